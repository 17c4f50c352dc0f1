"""Cloud disk snapshots, which a backup of 0.9 may hold and this Ark does not restore: said aloud, never passed over."""

from __future__ import annotations

from pkg.apis.ark import RestoreSpec, VolumeBackupInfo
from pkg.apis.meta import JsonObject
from pkg.restore.archive import Entry
from pkg.restore.errors import BackupDamagedError
from pkg.restore.fields import text_at
from pkg.restore.plan import CLAIMS, VOLUMES
from pkg.restore.preparation import Prepared
from pkg.restore.reading import StoredBackup


def snapshots_not_restored(stored: StoredBackup, prepared: Prepared, spec: RestoreSpec) -> list[str]:
    """An error for each volume that the Restore asks for and whose contents are a cloud disk snapshot only."""
    if spec.restore_pvs is False:
        return []
    taken = stored.backup.status.volume_backups or {}
    return [_text(name, info) for name, info in sorted(taken.items()) if _is_wanted(name, stored, prepared)]


def _is_wanted(name: str, stored: StoredBackup, prepared: Prepared) -> bool:
    scope, archive = prepared.scope, stored.archive
    entry = next((one for one in archive.of(VOLUMES) if one.name == name), None)
    volume: JsonObject = {}
    if entry is not None:
        try:
            volume = archive.read(entry)
        except BackupDamagedError:
            volume = {}  # reported when its own turn comes
    claim = text_at(volume, "spec", "claimRef", "namespace"), text_at(volume, "spec", "claimRef", "name")
    if not claim[1]:
        return scope.resources.takes(VOLUMES)
    bound = Entry(group_resource=CLAIMS, namespace=claim[0], name=claim[1], offset=0, size=0)
    return scope.takes(bound) and claim not in prepared.captures.by_claim


def _text(name: str, info: VolumeBackupInfo) -> str:
    known = ", ".join(part for part in (info.type, info.availability_zone) if part)
    snapshot = f"{info.snapshot_id} ({known})" if known else info.snapshot_id
    return (
        f"persistentvolumes {name}: its contents are the cloud disk snapshot {snapshot} of Ark 0.9, and this Ark does "
        "not restore cloud disks: make a disk from the snapshot by hand"
    )
