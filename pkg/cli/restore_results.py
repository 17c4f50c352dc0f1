"""A restore's results and log where the bucket must not be written to: from the ConfigMap that the server made."""

from __future__ import annotations

import gzip
import zlib

from pkg.apis.ark import Restore
from pkg.cli.client import Connection
from pkg.cli.failures import CliError
from pkg.kube.errors import NotFoundError
from pkg.kube.refs import CONFIG_MAPS
from pkg.restore.results_map import LOG_KEY, file_in


def kept_file(connection: Connection, restore: Restore, key: str) -> bytes:
    """A file out of the restore's ConfigMap.

    Raises:
        CliError: it is not there.
    """
    name = restore.status.results_config_map
    try:
        return file_in(connection.client.get_raw(CONFIG_MAPS, connection.namespace, name), key)
    except NotFoundError as error:
        raise CliError(f'the ConfigMap "{name}" with the results of the restore is gone') from error
    except ValueError as error:
        raise CliError(f'ConfigMap "{name}": {error}') from error


def kept_log(connection: Connection, restore: Restore) -> bytes:
    """The end of the restore's log.

    Raises:
        CliError: it is not there, or damaged.
    """
    try:
        return gzip.decompress(kept_file(connection, restore, LOG_KEY))
    except (OSError, EOFError, zlib.error) as error:
        raise CliError(f"the log of the restore does not decode: {error}") from error
