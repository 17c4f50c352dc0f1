"""A store that this process must not write to, whatever its credentials would allow.

In restoreOnly mode nothing is written to the store (operators.md 5). Every writer asks first; this is the lock on
the door behind them: a put or a delete that somebody forgot to gate never leaves the process.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import BinaryIO

from pkg.objectstore.errors import StoreReadOnlyError
from pkg.objectstore.store import Keys, ObjectInfo, ObjectStore


class ReadOnlyStore:
    """An ObjectStore that refuses to write."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def get(self, key: str) -> bytes:
        """The whole object."""
        return self._store.get(key)

    def get_to_file(self, key: str, file: BinaryIO) -> int:
        """Writes the object to the file."""
        return self._store.get_to_file(key, file)

    def put(self, key: str, data: bytes | BinaryIO, *, if_none_match: bool = False, if_match: str | None = None) -> str:
        """Refuses.

        Raises:
            StoreReadOnlyError: always.
        """
        raise StoreReadOnlyError(f"{key!r} is not written: this installation only restores from here")

    def head(self, key: str) -> ObjectInfo | None:
        """What is known of the object."""
        return self._store.head(key)

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """All objects below a directory."""
        return self._store.list(prefix)

    def list_directories(self, prefix: str = "") -> Keys:
        """The directories right below a directory."""
        return self._store.list_directories(prefix)

    def delete(self, keys: Iterable[str]) -> None:
        """Refuses.

        Raises:
            StoreReadOnlyError: always.
        """
        raise StoreReadOnlyError(f"{', '.join(keys)} not deleted: this installation only restores from here")

    def presign(self, key: str, seconds: int) -> str:
        """An address that anyone can GET the object from for that long."""
        return self._store.presign(key, seconds)

    def probe(self) -> None:
        """One cheap listing with short deadlines."""
        self._store.probe()
