"""A capture into a repository that is known to be damaged is no good capture: it may refer to what is broken.

restic takes a file that it knows for stored, whether or not the stored bytes are whole. So such a backup is not
Completed, and says why; it is still the best there is, and is kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from pkg.apis.reasons import Reason, VolumePhase
from pkg.apis.volumes import PodVolumeBackupStatus, ResticRepository
from pkg.controllers.verification_record import is_damaged


def in_damaged(
    results: Mapping[str, PodVolumeBackupStatus], repositories: Iterable[ResticRepository]
) -> dict[str, PodVolumeBackupStatus]:
    """The results of captures, those into a damaged repository degraded."""
    damaged = {one.status.repository_id: one.metadata.name for one in repositories if is_damaged(one)}
    return {name: _degraded(status, damaged) for name, status in results.items()}


def _degraded(status: PodVolumeBackupStatus, damaged: Mapping[str, str]) -> PodVolumeBackupStatus:
    name = damaged.get(status.repository_id, "") if status.repository_id else ""
    if not name or status.phase != VolumePhase.COMPLETED or status.reason not in ("", Reason.UNREAD_FILES):
        return status
    said = f"; {status.message}" if status.message else ""
    message = f"captured, but repository {name} is damaged, and what it refers to may be broken{said}"
    return msgspec.structs.replace(status, reason=Reason.REPOSITORY_DAMAGED.value, message=message)
