"""An object store in a dictionary; it passes the same contract tests as MinIO and a directory."""

from __future__ import annotations

import hashlib
import itertools
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO

from pkg.objectstore.errors import ObjectNotFoundError, PreconditionFailedError
from pkg.objectstore.store import Keys, ObjectInfo


class FakeStore:
    """A bucket in memory.

    Attributes:
        objects: Key to content; tests read and write it freely.
        calls: (verb, key) of every call, in order.
        before: Called with (verb, key) before each call; raises what the store shall raise.
    """

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.calls: list[tuple[str, str]] = []
        self.before: Callable[[str, str], None] = lambda verb, key: None
        self._versions: dict[str, int] = {}
        self._counter = itertools.count(1)
        self._lock = threading.RLock()

    def _called(self, verb: str, key: str) -> None:
        self.calls.append((verb, key))
        self.before(verb, key)

    def _etag(self, key: str) -> str:
        digest = hashlib.md5(self.objects[key], usedforsecurity=False).hexdigest()
        return f'"{digest}-{self._versions.get(key, 0)}"'

    def get(self, key: str) -> bytes:
        """The whole object."""
        self._called("get", key)
        with self._lock:
            if key not in self.objects:
                raise ObjectNotFoundError(f"the fake bucket has no object {key!r}")
            return self.objects[key]

    def get_to_file(self, key: str, file: BinaryIO) -> int:
        """Writes the object to the file."""
        return file.write(self.get(key))

    def put(self, key: str, data: bytes | BinaryIO, *, if_none_match: bool = False, if_match: str | None = None) -> str:
        """Writes the object and returns its etag."""
        self._called("put", key)
        content = bytes(data) if isinstance(data, bytes | bytearray | memoryview) else data.read()
        with self._lock:
            there = key in self.objects
            if (if_none_match and there) or (if_match is not None and (not there or self._etag(key) != if_match)):
                raise PreconditionFailedError(f"the fake bucket has another object at {key!r}")
            self.objects[key] = content
            self._versions[key] = next(self._counter)
            return self._etag(key)

    def head(self, key: str) -> ObjectInfo | None:
        """What is known of the object."""
        self._called("head", key)
        with self._lock:
            return self._info(key) if key in self.objects else None

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """All objects below a directory."""
        self._called("list", prefix)
        with self._lock:
            found = [self._info(key) for key in self.objects if key.startswith(_directory(prefix))]
        yield from found

    def list_directories(self, prefix: str = "") -> Keys:
        """The directories right below a directory."""
        self._called("list_directories", prefix)
        directory = _directory(prefix)
        with self._lock:
            below = [key.removeprefix(directory) for key in self.objects if key.startswith(directory)]
        return sorted({directory + key.partition("/")[0] for key in below if "/" in key})

    def delete(self, keys: Iterable[str]) -> None:
        """Deletes exactly these objects."""
        for key in keys:
            self._called("delete", key)
            with self._lock:
                self.objects.pop(key, None)

    def presign(self, key: str, seconds: int) -> str:
        """An address that looks like one."""
        self._called("presign", key)
        return f"http://fake.invalid/{key}?expires={seconds}"

    def probe(self) -> None:
        """Answers at once."""
        self._called("probe", "")

    def _info(self, key: str) -> ObjectInfo:
        return ObjectInfo(key=key, size_bytes=len(self.objects[key]), etag=self._etag(key))


def _directory(prefix: str) -> str:
    return f"{prefix.rstrip('/')}/" if prefix else ""
