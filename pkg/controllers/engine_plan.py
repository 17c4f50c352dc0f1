"""What the server does next with a Backup or a Restore, decided from what is seen and from nothing else.

There is one server at a time (the lease), so a claim by another holder is a claim by a dead one and is taken over
with the next epoch; the engine then finds in the API and in the bucket how far it had come.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from pkg.apis.reasons import BackupPhase
from pkg.controllers.volume_plan import Work


class EngineStep(Enum):
    """What to do."""

    IGNORE = "ignore"
    FORGET = "forget"
    WATCH = "watch"
    CANCEL = "cancel"
    RECORD = "record"
    VALIDATE = "validate"
    TAKE_OVER = "take over"


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineView:
    """What the decision rests on.

    Attributes:
        imported: A backup that was found in a bucket: it is a record and never runs.
        deleting: The object has a deletionTimestamp.
    """

    phase: str
    work: Work
    cancel: bool
    imported: bool = False
    deleting: bool = False


_OPEN = frozenset({"", BackupPhase.NEW.value, BackupPhase.IN_PROGRESS.value})

_AFTER_THE_END = {
    Work.NONE: EngineStep.IGNORE,
    Work.FINISHED: EngineStep.FORGET,
    Work.RUNNING: EngineStep.CANCEL,  # somebody else ended it, such as a deletion of the backup
}


def decide_engine(view: EngineView) -> EngineStep:
    """The next step for one Backup or Restore."""
    if view.imported:
        return EngineStep.IGNORE
    if view.phase not in _OPEN:
        return _AFTER_THE_END[view.work]
    if view.work is Work.FINISHED:
        return EngineStep.RECORD
    if view.work is Work.RUNNING:
        return EngineStep.CANCEL if view.cancel or view.deleting else EngineStep.WATCH
    if view.deleting:
        return EngineStep.IGNORE
    return EngineStep.TAKE_OVER if view.phase == BackupPhase.IN_PROGRESS else EngineStep.VALIDATE
