"""A backup's files as they come out of the bucket: proven whole before the first object is created.

The tarball is compared with the digest in `ark-backup.json`, unpacked into an unlinked scratch file and walked to
its end, so damage anywhere in it is found while the cluster is still untouched. Only regular files named
`resources/...` count; a name or a link that could lead out of the tarball condemns it as a whole, and so does a size
that is made to fill the disk or the memory.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO

import msgspec
from isal import igzip, isal_zlib

from pkg.apis.meta import JsonObject
from pkg.restore.errors import BackupDamagedError

MAX_OBJECT_BYTES = 64 << 20  # etcd takes 1.5 MiB of it
MAX_OBJECTS = 2_000_000
SMALL_BYTES = 1 << 30
MAX_RATIO = 200  # of unpacked to packed bytes, above SMALL_BYTES; the JSON of a cluster shrinks to a tenth or so
_CHUNK_BYTES = 1 << 20
_BLOCK_BYTES = 512
_ISAL_ERROR: type[Exception] = vars(isal_zlib)["error"]  # isal's types call it an instance
_GZIP_ERRORS = (EOFError, OSError, zlib.error, _ISAL_ERROR)
_OPEN_GZIP: Callable[[IO[bytes], str], IO[bytes]] = igzip.open


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One object in the tarball; `namespace` is empty for a cluster-scoped one."""

    group_resource: str
    namespace: str
    name: str
    offset: int
    size: int

    @property
    def key(self) -> str:
        """`namespace/name`, or `name` for a cluster-scoped object."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


class Archive:
    """The objects of a backup; closing it frees the scratch file."""

    def __init__(self, spool: IO[bytes], entries: tuple[Entry, ...]) -> None:
        self._spool = spool
        self.entries = entries

    def read(self, entry: Entry) -> JsonObject:
        """The object.

        Raises:
            BackupDamagedError: it is not a JSON object.
        """
        if entry.size > MAX_OBJECT_BYTES:
            raise BackupDamagedError(f"{entry.group_resource} {entry.key} has {entry.size} bytes, which no object has")
        self._spool.seek(entry.offset)
        try:
            return msgspec.json.decode(self._spool.read(entry.size), type=dict)
        except msgspec.DecodeError as error:
            raise BackupDamagedError(f"{entry.group_resource} {entry.key} does not decode: {error}") from error

    def of(self, group_resource: str) -> Iterator[Entry]:
        """The entries of one resource."""
        return (entry for entry in self.entries if entry.group_resource == group_resource)

    def close(self) -> None:
        """Frees the scratch file."""
        self._spool.close()


def open_archive(tarball: IO[bytes], *, sha256: str, scratch_dir: str | None) -> Archive:
    """Proves a downloaded tarball and indexes it.

    Args:
        tarball: The file, open for reading.
        sha256: The digest it must have in hex; empty for a backup of 0.9, which has none.
        scratch_dir: Where the unpacked copy goes; None for the system's temporary directory.

    Raises:
        BackupDamagedError: it is not what was written.
    """
    if sha256:
        _check_digest(tarball, sha256)
    tarball.seek(0)
    with contextlib.ExitStack() as on_failure:
        spool = on_failure.enter_context(tempfile.TemporaryFile(dir=scratch_dir))
        _unpack(tarball, spool)
        archive = Archive(spool, tuple(_index(spool)))
        on_failure.pop_all()
    return archive


def entry_of(path: str, *, offset: int, size: int) -> Entry | None:
    """The entry that a tar member's name stands for; None for a name that is not an object of ours.

    Raises:
        BackupDamagedError: the name could lead out of the tarball.
    """
    parts = path.removeprefix("./").split("/")
    if path.startswith("/") or ".." in parts or "\0" in path or "\\" in path:
        raise BackupDamagedError(f"the tarball holds the unsafe name {path!r}")
    match parts:
        case ["resources", resource, "namespaces", namespace, file] if file.endswith(".json"):
            pass
        case ["resources", resource, "cluster", file] if file.endswith(".json"):
            namespace = ""
        case _:
            return None
    name = file.removesuffix(".json")
    return Entry(group_resource=resource, namespace=namespace, name=name, offset=offset, size=size)


def _check_digest(tarball: IO[bytes], expected: str) -> None:
    tarball.seek(0)
    digest = hashlib.sha256()
    while chunk := tarball.read(_CHUNK_BYTES):
        digest.update(chunk)
    found = digest.hexdigest()
    if found != expected.lower():
        raise BackupDamagedError(f"the tarball's sha256 is {found}, ark-backup.json says {expected}")


def _unpack(tarball: IO[bytes], spool: IO[bytes]) -> None:
    limit = max(SMALL_BYTES, MAX_RATIO * tarball.seek(0, os.SEEK_END))
    tarball.seek(0)
    unzipped = _OPEN_GZIP(tarball, "rb")
    while chunk := _read_chunk(unzipped):
        spool.write(chunk)
        if spool.tell() > limit:
            raise BackupDamagedError(f"the tarball unpacks to more than {limit} bytes, which no backup does")
    spool.flush()


def _read_chunk(unzipped: IO[bytes]) -> bytes:
    try:
        return unzipped.read(_CHUNK_BYTES)
    except _GZIP_ERRORS as error:
        raise BackupDamagedError(f"the tarball does not decompress: {error}") from error


def _index(spool: IO[bytes]) -> Iterator[Entry]:
    spool.seek(0)
    try:
        with tarfile.open(fileobj=spool, mode="r:") as tar:
            yield from _members(tar)
            end = tar.offset
    except (tarfile.TarError, ValueError, UnicodeError) as error:
        raise BackupDamagedError(f"the tarball does not decode: {error}") from error
    # tarfile takes a damaged header in the middle for the end; the true end is a block of zeros.
    spool.seek(end)
    if spool.read(_BLOCK_BYTES) != bytes(_BLOCK_BYTES):
        raise BackupDamagedError("the tarball ends before its end mark")


def _members(tar: tarfile.TarFile) -> Iterator[Entry]:
    count = 0
    while (member := tar.next()) is not None:
        vars(tar)["members"].clear()  # tarfile would keep every header in memory
        if not (member.isreg() or member.isdir()):
            raise BackupDamagedError(f"the tarball holds {member.name!r}, which is neither file nor directory")
        entry = entry_of(member.name, offset=member.offset_data, size=member.size)
        if entry is not None and member.isreg():
            count += 1
            yield entry
        if count > MAX_OBJECTS:
            raise BackupDamagedError(f"the tarball holds more than {MAX_OBJECTS} objects")
