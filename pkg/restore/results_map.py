"""The ConfigMap with a restore's results and the end of its log, as its readers find it."""

from __future__ import annotations

import base64
import binascii

from pkg.apis.meta import JsonObject
from pkg.restore.fields import text_at

RESULTS_KEY = "results.gz"
LOG_KEY = "log.gz"


def file_in(config_map: JsonObject, key: str) -> bytes:
    """One of the two files.

    Raises:
        ValueError: it is not there.
    """
    text = text_at(config_map, "binaryData", key)
    if not text:
        raise ValueError(f"the ConfigMap holds no {key}")
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(f"{key} of the ConfigMap does not decode: {error}") from error
