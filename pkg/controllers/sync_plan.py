"""What a sync does about each name, decided from one listing and the cache (operators.md 18).

Invariant: a name that is known and in order costs no request. What is not in the listing is only a suspicion, and is
confirmed by asking for the metadata itself before anything is done about it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

from pkg.apis.ark import Backup
from pkg.apis.names import PINNED_ANNOTATION
from pkg.apis.reasons import BackupPhase
from pkg.controllers.ownership import is_imported

FILES_MISSING_CONDITION = "FilesMissing"

_HAS_FILES = frozenset({BackupPhase.COMPLETED, BackupPhase.PARTIALLY_FAILED})
_HAS_NO_METADATA = frozenset({BackupPhase.FAILED, BackupPhase.FAILED_VALIDATION})


class SyncStep(Enum):
    """What to do about a name.

    IMPORT: nobody knows it yet. COMPLETE: an import that died before it wrote the status. COMPARE: an own backup that
    came to nothing stands in the way of what the bucket may hold under its name. REMOVE: an imported object whose
    files are gone. MARK_MISSING, MARK_FOUND: an own backup lost its files, or has them again.
    """

    IMPORT = "import"
    COMPLETE = "complete"
    COMPARE = "compare"
    REMOVE = "remove"
    MARK_MISSING = "mark missing"
    MARK_FOUND = "mark found"


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncAction:
    """One step; `backup` is the object that has the name, where there is one."""

    step: SyncStep
    name: str
    backup: Backup | None = None


def plan_sync(in_bucket: Iterable[str], known: Iterable[Backup]) -> Iterator[SyncAction]:
    """The steps of a sync, those that make restores possible first."""
    listed = list(in_bucket)
    by_name = {backup.metadata.name: backup for backup in known}
    for name in listed:
        backup = by_name.get(name)
        step = SyncStep.IMPORT if backup is None else _step_for_listed(backup)
        if step is not None:
            yield SyncAction(step=step, name=name, backup=backup)
    for name in sorted(by_name.keys() - set(listed)):
        step = _step_for_unlisted(by_name[name])
        if step is not None:
            yield SyncAction(step=step, name=name, backup=by_name[name])


def is_marked_missing(backup: Backup) -> bool:
    """Whether the object says that its files are gone."""
    found = [each for each in backup.status.conditions or () if each.type == FILES_MISSING_CONDITION]
    return bool(found) and found[0].status == "True"


def _being_deleted(backup: Backup) -> bool:
    return backup.metadata.deletion_timestamp is not None or backup.status.phase == BackupPhase.DELETING


def _step_for_listed(backup: Backup) -> SyncStep | None:
    if _being_deleted(backup):
        return None
    if is_imported(backup) and not backup.status.phase:
        return SyncStep.COMPLETE
    if is_marked_missing(backup):
        return SyncStep.MARK_FOUND
    if is_imported(backup):
        return None
    return SyncStep.COMPARE if backup.status.phase in _HAS_NO_METADATA else None


def _step_for_unlisted(backup: Backup) -> SyncStep | None:
    if _being_deleted(backup):
        return None
    pinned = bool(backup.metadata.annotation(PINNED_ANNOTATION))  # which a later import would not bring back
    if is_imported(backup) and not pinned:
        return SyncStep.REMOVE
    if backup.status.phase in _HAS_FILES and not is_marked_missing(backup):
        return SyncStep.MARK_MISSING
    return None
