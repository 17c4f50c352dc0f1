"""Which backup a Restore means, and whether that one can be restored.

The spec is its author's and is never written, so the backup that was found for a schedule is kept in the status. Asked
of the API and not of a cache: a backup that has just ended must not look as if it had not.
"""

from __future__ import annotations

import datetime

from pkg.apis.ark import Backup, Restore
from pkg.apis.names import SCHEDULE_LABEL
from pkg.apis.reasons import BackupPhase
from pkg.kube.client import Client
from pkg.kube.errors import NotFoundError
from pkg.kube.refs import BACKUPS
from pkg.volumes.naming import label_value

RESTORABLE = (BackupPhase.COMPLETED, BackupPhase.PARTIALLY_FAILED)
_LONG_AGO = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


def backup_of(client: Client, restore: Restore) -> str:
    """The name of the backup to restore; empty where a schedule has none yet."""
    if restore.backup_name:
        return restore.backup_name
    label = f"{SCHEDULE_LABEL}={label_value(restore.spec.schedule_name)}"
    return newest(client.list(BACKUPS, restore.metadata.namespace, Backup, label_selector=label))


def newest(backups: list[Backup]) -> str:
    """The name of the newest backup that can be restored; empty where there is none."""
    fit = [one for one in backups if one.status.phase in RESTORABLE and one.metadata.deletion_timestamp is None]
    return max(fit, key=_age, default=Backup()).metadata.name


def _age(backup: Backup) -> tuple[datetime.datetime, str]:
    return backup.status.start_timestamp or backup.metadata.creation_timestamp or _LONG_AGO, backup.metadata.name


def unfit(client: Client, namespace: str, name: str) -> str:
    """Why a backup cannot be restored now; empty where it can, or where only the bucket can tell."""
    try:
        backup = client.get(BACKUPS, namespace, name, Backup)
    except NotFoundError:
        return ""
    phase, message = backup.status.phase, backup.status.message
    if phase == BackupPhase.DELETING or backup.metadata.deletion_timestamp is not None:
        return f'backup "{name}" is being deleted'
    if phase in ("", BackupPhase.NEW, BackupPhase.IN_PROGRESS):
        return f'backup "{name}" has not ended yet: restore it when it has'
    if phase not in RESTORABLE:
        return f'backup "{name}" is {phase} and holds nothing to restore' + (f": {message}" if message else "")
    return ""
