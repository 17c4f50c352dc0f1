"""A backup as it lies in the bucket: its record, its volume list and its proven tarball."""

from __future__ import annotations

import errno
import tempfile
from dataclasses import dataclass
from typing import BinaryIO, cast

import msgspec

from pkg.apis.ark import Backup
from pkg.apis.formats import format_problem
from pkg.objectstore.errors import ObjectNotFoundError, StoreError
from pkg.objectstore.layout import backup_keys
from pkg.restore.archive import Archive, open_archive
from pkg.restore.errors import BackupDamagedError, BackupNotFoundError, ScratchFullError, StoreFailedError
from pkg.restore.job import BackupFiles
from pkg.volumes.errors import VolumeListError
from pkg.volumes.ledger import Ledger, from_json_gz

_FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredBackup:
    """A backup read from the bucket; `ledger` is None for one of 0.9, which had no volume list."""

    backup: Backup
    ledger: Ledger | None
    archive: Archive


def read_backup(store: BackupFiles, name: str, *, scratch_dir: str | None) -> StoredBackup:
    """Reads and proves a backup; the caller closes its archive.

    Raises:
        BackupNotFoundError: there is no `ark-backup.json`.
        BackupDamagedError: something in it does not decode, is missing, or has another digest.
        StoreFailedError: the bucket cannot be read.
        ScratchFullError: there is no room to unpack it.
    """
    keys = backup_keys(name)
    try:
        backup = _record(store, keys.metadata, name)
        ledger = _volume_list(store, keys.volumes)
        archive = _tarball(store, keys.tarball, sha256=backup.status.tarball_sha256, scratch_dir=scratch_dir)
    except StoreError as error:
        raise StoreFailedError(f"backup {name} cannot be read: {error}", error.reason) from error
    except OSError as error:
        if error.errno not in _FULL:
            raise
        where = scratch_dir or tempfile.gettempdir()
        text = f"backup {name} cannot be unpacked: the scratch space {where} is full; give the server's pod more of it"
        raise ScratchFullError(text) from error
    return StoredBackup(backup=backup, ledger=ledger, archive=archive)


def _record(store: BackupFiles, key: str, name: str) -> Backup:
    try:
        backup = msgspec.json.decode(store.get(key), type=Backup)
    except ObjectNotFoundError as error:
        raise BackupNotFoundError(f'the bucket holds no backup "{name}": {key} is missing') from error
    except msgspec.DecodeError as error:
        raise BackupDamagedError(f"{key} does not decode: {error}") from error
    if problem := format_problem(backup):
        raise BackupDamagedError(f"{key} cannot be read: {problem}")
    return backup


def _volume_list(store: BackupFiles, key: str) -> Ledger | None:
    try:
        return from_json_gz(store.get(key))
    except ObjectNotFoundError:
        return None
    except VolumeListError as error:
        raise BackupDamagedError(f"{key}: {error}") from error


def _tarball(store: BackupFiles, key: str, *, sha256: str, scratch_dir: str | None) -> Archive:
    with tempfile.TemporaryFile(dir=scratch_dir) as file:
        try:
            store.get_to_file(key, cast(BinaryIO, file))
        except ObjectNotFoundError as error:
            raise BackupDamagedError(f"{key} is missing") from error
        return open_archive(file, sha256=sha256, scratch_dir=scratch_dir)
