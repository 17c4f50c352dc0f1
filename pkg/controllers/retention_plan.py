"""When the objects of work that has ended may go (operators.md 19); the bucket keeps the record.

A PodVolumeBackup is needed for longer than its own end in two cases: as long as the volume list of its backup does not
lie in the bucket it is the only one that names its snapshot, and the newest of each volume is what the next capture is
compared with.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence

from pkg.apis.ark import Backup, Restore
from pkg.apis.meta import ObjectMeta
from pkg.apis.reasons import TERMINAL_PHASES, VolumePhase
from pkg.apis.volumes import PodVolumeBackup, PodVolumeRestore
from pkg.controllers.gc_plan import RESTORABLE

VOLUME_DAYS = datetime.timedelta(days=7)
RESTORE_DAYS = datetime.timedelta(days=30)
ENDED_VOLUMES = frozenset({VolumePhase.COMPLETED, VolumePhase.FAILED})


def capture_end(capture: PodVolumeBackup, backup: Backup | None, alike: Sequence[PodVolumeBackup]) -> _Moment:
    """When a PodVolumeBackup may go; None while something needs it.

    Args:
        capture: The object.
        backup: The Backup that owns it, None when that is gone.
        alike: All captures of the same volume in the same repository.
    """
    if capture.status.phase not in ENDED_VOLUMES or (backup is not None and not _is_listed(backup)):
        return None
    if is_newest(capture, alike):
        return None
    return _after(capture.metadata, capture.status.completion_timestamp, VOLUME_DAYS)


def filling_end(filling: PodVolumeRestore, restore: Restore | None) -> _Moment:
    """When a PodVolumeRestore may go; None while it or its Restore goes on."""
    if filling.status.phase not in ENDED_VOLUMES:
        return None
    if restore is not None and restore.status.phase not in TERMINAL_PHASES:
        return None
    return _after(filling.metadata, filling.status.completion_timestamp, VOLUME_DAYS)


def restore_end(restore: Restore) -> _Moment:
    """When a Restore may go; None while it goes on. Its log and results stay in the bucket."""
    if restore.status.phase not in TERMINAL_PHASES:
        return None
    return _after(restore.metadata, restore.status.completion_timestamp, RESTORE_DAYS)


def volume_key(capture: PodVolumeBackup) -> Iterable[str]:
    """The index that gathers the finished captures of one volume in one repository."""
    status, spec = capture.status, capture.spec
    if status.phase != VolumePhase.COMPLETED or not status.snapshot_id:
        return ()
    claim = spec.source.claim_uid
    return ("/".join((status.repository_id, claim or f"{spec.pod.namespace}/{spec.pod.name}/{spec.volume}")),)


def is_newest(capture: PodVolumeBackup, alike: Sequence[PodVolumeBackup]) -> bool:
    """Whether no later capture of the volume is there."""
    if not list(volume_key(capture)):
        return False
    return all(_rank(one) <= _rank(capture) for one in alike)


def owner_of(meta: ObjectMeta, kind: str) -> tuple[str, str]:
    """Name and UID of the object's owner of a kind; empty texts where it has none."""
    found = next((one for one in meta.owner_references or () if one.kind == kind), None)
    return (found.name, found.uid) if found is not None else ("", "")


def _rank(capture: PodVolumeBackup) -> tuple[str, str]:
    ended = capture.status.completion_timestamp
    return (ended.isoformat() if ended else "", capture.status.snapshot_id)


def _is_listed(backup: Backup) -> bool:
    """Whether the backup's volume list was committed: of our engine's making, and with an end that can be restored."""
    return backup.status.claim is not None and backup.status.phase in RESTORABLE


def _after(meta: ObjectMeta, ended: datetime.datetime | None, kept: datetime.timedelta) -> _Moment:
    since = ended or meta.creation_timestamp
    return since + kept if since is not None else None


_Moment = datetime.datetime | None
