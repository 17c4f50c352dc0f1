"""All volumes of a backup: the status shows at most 100, the list in the bucket has every one."""

from __future__ import annotations

from pkg.apis.ark import Backup, VolumeEntry
from pkg.apis.reasons import TERMINAL_PHASES
from pkg.cli.client import Connection
from pkg.cli.download import downloaded
from pkg.cli.failures import CliError
from pkg.kube.errors import KubeError
from pkg.volumes.errors import VolumeListError
from pkg.volumes.ledger import STATUS_ENTRIES, LedgerEntry, from_json_gz

LIST_SECONDS = 30.0


def is_cut(backup: Backup) -> bool:
    """Whether the status may lack volumes that the list in the bucket has."""
    entries = backup.status.volumes.entries if backup.status.volumes else None
    return backup.status.phase in TERMINAL_PHASES and len(entries or ()) >= STATUS_ENTRIES


def all_entries(connection: Connection, backup: Backup) -> tuple[tuple[VolumeEntry, ...], str]:
    """Every volume from the bucket, or those of the status and why there are no more."""
    counts = backup.status.volumes
    known = (counts.entries if counts else None) or ()
    try:
        with downloaded(connection, "BackupVolumes", backup.metadata.name, timeout_seconds=LIST_SECONDS) as file:
            ledger = from_json_gz(file.read())
    except (CliError, KubeError, VolumeListError) as error:
        return known, f"only {len(known)} are shown: {error}"
    return tuple(_shown(entry) for entry in ledger.entries), ""


def _shown(entry: LedgerEntry) -> VolumeEntry:
    return VolumeEntry(
        namespace=entry.namespace,
        pod=entry.pod,
        volume=entry.volume,
        claim_name=entry.claim_name,
        phase=entry.state,
        reason=entry.reason,
        message=entry.message,
        snapshot_id=entry.snapshot_id,
        excludes=entry.excludes,
        parent_backup=entry.parent_backup,
    )
