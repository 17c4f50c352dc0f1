"""The tarball in 0.9's form, streamed: one object in memory, gzip and digest on the way."""

from __future__ import annotations

import hashlib
import tarfile
from types import TracebackType
from typing import BinaryIO, Self

from isal import isal_zlib

from pkg.backup.scratch import scratch_errors
from pkg.backup.spool import Item
from pkg.backup.tar_header import member_header
from pkg.kube.clock import Clock

_PACK_BYTES = 256 << 10
_GZIP_WINDOW_BITS = 16 + 15


class TarballWriter:
    """Writes items into a file, as a context manager; `sha256` counts after it ended well.

    Small members are packed together, because gzip, digest and disk take large pieces quicker than many.
    """

    def __init__(self, file: BinaryIO, clock: Clock) -> None:
        self._file = file
        self._clock = clock
        self._digest = hashlib.sha256()
        self._gzip = isal_zlib.compressobj(wbits=_GZIP_WINDOW_BITS)
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self.count = 0

    @property
    def sha256(self) -> str:
        """Hex digest of the compressed bytes."""
        return self._digest.hexdigest()

    def add(self, item: Item) -> None:
        """Writes one object."""
        size = len(item.body)
        header = member_header(entry_name(item), size=size, mtime=int(self._clock.now().timestamp()))
        self._pending += (header, item.body, bytes(-size % tarfile.BLOCKSIZE))
        self._pending_bytes += len(header) + size
        self.count += 1
        if self._pending_bytes >= _PACK_BYTES:
            self._pack()

    def _pack(self) -> None:
        self._write(self._gzip.compress(b"".join(self._pending)))
        self._pending.clear()
        self._pending_bytes = 0

    def _write(self, compressed: bytes) -> None:
        self._digest.update(compressed)
        with scratch_errors():
            self._file.write(compressed)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._pending.append(bytes(2 * tarfile.BLOCKSIZE))
            self._pack()
            self._write(self._gzip.flush())
            with scratch_errors():
                self._file.flush()


def entry_name(item: Item) -> str:
    """0.9's path: `resources/<plural.group>/namespaces/<namespace>/<name>.json`, or below `cluster/`."""
    place = f"namespaces/{item.namespace}" if item.namespace else "cluster"
    return f"resources/{item.ref.group_resource}/{place}/{item.name}.json"
