"""Small questions about Backups and their DeleteBackupRequests that deletion by age and by request both ask."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

from pkg.apis.ark import Backup, DeleteBackupRequest, Restore
from pkg.apis.names import BACKUP_UID_LABEL, SCHEDULE_LABEL
from pkg.apis.reasons import TERMINAL_PHASES, BackupPhase, Reason, RequestPhase
from pkg.controllers.ownership import is_imported, is_ours

_LONG_AGO = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


def meant_uid(request: DeleteBackupRequest) -> str:
    """UID of the Backup that is meant; empty for whichever has the name. 0.9's requests say it in a label."""
    return request.spec.backup_uid or request.metadata.label(BACKUP_UID_LABEL)


def requests_of(backup: Backup, requests: Sequence[DeleteBackupRequest]) -> list[DeleteBackupRequest]:
    """The requests that mean this backup."""
    meta = backup.metadata
    return [one for one in requests if one.spec.backup_name == meta.name and meant_uid(one) in ("", meta.uid)]


def is_open(request: DeleteBackupRequest) -> bool:
    """Whether a request still has something to do."""
    return request.status.phase != RequestPhase.PROCESSED


def is_mass_held(request: DeleteBackupRequest) -> bool:
    """Whether a request waits for a confirmation."""
    return is_open(request) and request.status.reason == Reason.MASS_DELETION_HELD


def open_restores(backup: Backup, restores: Sequence[Restore]) -> list[str]:
    """Names of the Restores that read this backup or are about to."""
    schedule = backup.metadata.label(SCHEDULE_LABEL)
    return sorted(
        one.metadata.name
        for one in restores
        if one.status.phase not in TERMINAL_PHASES
        and (
            one.backup_name == backup.metadata.name
            or (schedule and not one.backup_name and one.spec.schedule_name == schedule)
        )
    )


def made_at(backup: Backup) -> datetime.datetime:
    """When the backup was begun."""
    return backup.status.start_timestamp or backup.metadata.creation_timestamp or _LONG_AGO


def is_refused(backup: Backup) -> bool:
    """Whether it was refused here before it began: an object that stands for nothing in the bucket."""
    return backup.status.phase == BackupPhase.FAILED_VALIDATION and not is_imported(backup)


def may_be_deleted(backup: Backup, cluster_id: str) -> bool:
    """Whether this cluster may delete it at all."""
    return is_ours(backup, cluster_id) or is_refused(backup)
