"""How long a volume may take: no limit but restic's own progress, unless somebody sets one as in Ark 0.9.

0.9 gave every backup 60 minutes in all, which failed large volumes that were fine; the limit here counts for each
volume from the moment an agent takes it on, so waiting in a queue costs nothing.
"""

from __future__ import annotations

import datetime

import structlog

from pkg.apis.duration import format_duration, parse_duration
from pkg.apis.meta import ObjectMeta
from pkg.apis.names import POD_VOLUME_TIMEOUT_ANNOTATION

log = structlog.get_logger()


def volume_timeout(metadata: ObjectMeta, configured_seconds: float) -> str:
    """The limit of each volume of a Backup or Restore, as a Go duration; empty for none.

    An annotation that is no duration is told in the log and Config's value counts, as in 0.9.
    """
    seconds, text = configured_seconds, metadata.annotation(POD_VOLUME_TIMEOUT_ANNOTATION)
    if text:
        try:
            seconds = parse_duration(text)
        except ValueError as error:
            log.error("Annotation not usable", key=metadata.key, name=POD_VOLUME_TIMEOUT_ANNOTATION, error=str(error))
    return format_duration(seconds) if seconds > 0 else ""


def seconds_left(timeout: str, slot_at: datetime.datetime | None, now: datetime.datetime) -> float | None:
    """What is left of a volume's time; None where it has no limit or was not taken on."""
    if not timeout or slot_at is None:
        return None
    try:
        return parse_duration(timeout) - (now - slot_at).total_seconds()
    except ValueError:
        return None
