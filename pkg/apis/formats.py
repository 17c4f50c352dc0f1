"""Which `ark-backup.json` this Ark can read: a later format may mean something else by the same fields."""

from __future__ import annotations

from pkg.apis.ark import Backup
from pkg.apis.names import API_VERSION

BACKUP_FORMAT = 1  # 0.9's, and `status.version` of every backup since


def format_problem(backup: Backup) -> str:
    """Why a backup's metadata is not read; empty when it is."""
    kind = (backup.api_version or API_VERSION, backup.kind or "Backup")
    if kind != (API_VERSION, "Backup"):
        return f"it describes a {kind[1]} of {kind[0]}, not a Backup of {API_VERSION}"
    if backup.status.version > BACKUP_FORMAT:
        return f"it has the format {backup.status.version}, this Ark reads up to {BACKUP_FORMAT}: use a newer one"
    return ""
