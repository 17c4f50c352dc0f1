"""How many backups of one schedule may go within an hour before somebody must say that it is meant (operators.md 3).

A clock that jumps or a script with the wrong selector would otherwise take a schedule's whole history in minutes. The
count rests on the DeleteBackupRequests themselves: one that was let through carries its schedule's label and is kept
for a day, so a restart forgets nothing. What was confirmed does not count.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable

from pkg.apis.ark import DeleteBackupRequest
from pkg.apis.names import DELETION_CONFIRMED_ANNOTATION, SCHEDULE_LABEL
from pkg.apis.reasons import RequestPhase

WINDOW = datetime.timedelta(hours=1)
AT_LEAST = 10
PART = 4  # a quarter


def allowance(unexpired: int) -> int:
    """How many may go within an hour, of a schedule with so many unexpired backups."""
    return max(AT_LEAST, unexpired // PART)


def deleted_lately(requests: Iterable[DeleteBackupRequest], schedule: str, now: datetime.datetime) -> int:
    """How many deletions of a schedule's backups were let through within the last hour and not confirmed."""
    return sum(_counts(request, schedule, now) for request in requests)


def _counts(request: DeleteBackupRequest, schedule: str, now: datetime.datetime) -> bool:
    if request.metadata.label(SCHEDULE_LABEL) != schedule or request.metadata.annotation(DELETION_CONFIRMED_ANNOTATION):
        return False
    if request.status.phase != RequestPhase.PROCESSED:
        return True
    ended = request.status.completion_timestamp or request.metadata.creation_timestamp
    return ended is None or now - ended < WINDOW


def held_text(schedule: str, allowed: int) -> str:
    """What a person reads who finds a deletion held."""
    return (
        f"more than {allowed} backups of schedule {schedule} would be deleted within an hour; if that is meant: "
        f"ark backup confirm-deletions {schedule}"
    )
