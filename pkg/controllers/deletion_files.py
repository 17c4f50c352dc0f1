"""What of a backup lies in the bucket, and whether it is this backup's at all.

A Backup object and a directory of the same name need not belong together: an object that was refused because its name
was taken must never take the other one's files with it. The claim decides, else `ark-backup.json`. Only keys that the
layout names are ever deleted, each by itself (operators.md 1); whatever else lies in the directory stays.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import msgspec

from pkg.apis.ark import Backup
from pkg.backup.claim import ClaimDocument
from pkg.controllers.ownership import adopted_at, is_imported
from pkg.objectstore.catalog import BackupMetadata, read_metadata
from pkg.objectstore.errors import ObjectInvalidError, ObjectNotFoundError
from pkg.objectstore.layout import backup_keys, restore_keys
from pkg.objectstore.store import ObjectStore
from pkg.volumes.errors import VolumeListError
from pkg.volumes.ledger import Ledger, from_json_gz

_RESTORE_FILE = re.compile(r"restore-(.+)-(?:logs|results)\.gz")


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupFiles:
    """A look at the backup's directory.

    Attributes:
        keys: What there is to delete, in the order of deletion; empty where the files are another backup's.
        foreign: Whose the files are instead, as a sentence; empty when they are the backup's own.
        committed: Whether `ark-backup.json` is there.
        ledger: The volume list; None where there is none.
        problem: Why the volume list cannot be read, empty when it could or there is none.
    """

    keys: tuple[str, ...] = ()
    foreign: str = ""
    committed: bool = False
    ledger: Ledger | None = None
    problem: str = ""


def look_at_files(store: ObjectStore, backup: Backup) -> BackupFiles:
    """Reads what lies in the bucket under the backup's name; raises StoreError where the store does not answer."""
    name = backup.metadata.name
    claim, metadata = _claim(store, name), _metadata(store, name)
    foreign = _not_of(backup, claim, metadata)
    if foreign:
        return BackupFiles(foreign=foreign)
    ledger, problem = _ledger(store, name)
    return BackupFiles(
        keys=own_keys(name, [found.key for found in store.list(name)]),
        committed=metadata is not None,
        ledger=ledger,
        problem=problem,
    )


def own_keys(backup: str, found: list[str]) -> tuple[str, ...]:
    """Of the keys that were found those that are the backup's and its restores', in the order of deletion."""
    restores = {key for key in found if _is_restore_file(backup, key)}
    own = [key for key in backup_keys(backup).in_deletion_order if key in set(found)]
    return (*sorted(restores), *own)


def _is_restore_file(backup: str, key: str) -> bool:
    directory, _, name = key.rpartition("/")
    matched = _RESTORE_FILE.fullmatch(name)
    return directory == backup and matched is not None and key in restore_keys(backup, matched[1]).in_deletion_order


def _claim(store: ObjectStore, name: str) -> ClaimDocument | None:
    try:
        return msgspec.json.decode(store.get(backup_keys(name).claim), type=ClaimDocument)
    except ObjectNotFoundError:
        return None
    except msgspec.DecodeError:
        return ClaimDocument()  # whoever wrote this, it was not this backup


def _metadata(store: ObjectStore, name: str) -> BackupMetadata | ObjectInvalidError | None:
    try:
        return read_metadata(store, name)
    except ObjectNotFoundError:
        return None
    except ObjectInvalidError as error:
        return error


def _ledger(store: ObjectStore, name: str) -> tuple[Ledger | None, str]:
    try:
        return from_json_gz(store.get(backup_keys(name).volumes)), ""
    except ObjectNotFoundError:
        return None, ""
    except VolumeListError as error:
        return None, str(error)


def _not_of(backup: Backup, claim: ClaimDocument | None, metadata: BackupMetadata | ObjectInvalidError | None) -> str:
    """Why the files are not the backup's; empty when they are. Where nothing says whose they are, nothing speaks."""
    name = backup.metadata.name
    from_bucket = is_imported(backup) or adopted_at(backup) is not None
    if claim is not None:
        owner = (
            (claim.cluster_uid, backup.status.cluster_id) if from_bucket else (claim.backup_uid, backup.metadata.uid)
        )
        if owner[0] != owner[1] or not owner[0]:
            return _belongs(name, claim.backup_uid, claim.cluster_uid)
    if not isinstance(metadata, BackupMetadata):
        return ""
    found = metadata.backup
    same = (
        found.status.start_timestamp == backup.status.start_timestamp
        if from_bucket
        else found.metadata.uid == backup.metadata.uid
    )
    return "" if same else _belongs(name, found.metadata.uid, found.status.cluster_id)


def _belongs(name: str, uid: str, cluster: str) -> str:
    return (
        f"the files below {name}/ belong to backup {uid or 'without a UID'} of cluster {cluster or 'unknown'}; "
        "they were not touched"
    )
