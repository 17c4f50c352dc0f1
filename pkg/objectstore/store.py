"""The one small interface that Ark needs of an object store, and the question whether it compares and sets.

Keys are relative to the location's prefix and never begin with a slash. Only single, named keys are deleted: there
is no deletion by prefix here, so there can be none anywhere (operators.md A1).
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Protocol, TypeAlias

from pkg.objectstore.errors import ConditionalPutUnsupportedError, PreconditionFailedError

PROBE_KEY_PREFIX = "ark-conditional-put-probe-"
Keys: TypeAlias = list[str]  # inside the class below `list` is a method


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectInfo:
    """What is known of an object; `etag` is opaque, and in a listing of Google's empty."""

    key: str
    size_bytes: int
    etag: str


class ObjectStore(Protocol):
    """A bucket; every method may raise the errors of `pkg.objectstore.errors` and no other."""

    def get(self, key: str) -> bytes:
        """The whole object, for small ones; ObjectNotFoundError when there is none."""
        ...

    def get_to_file(self, key: str, file: BinaryIO) -> int:
        """Writes the object to the file in pieces; returns its bytes."""
        ...

    def put(self, key: str, data: bytes | BinaryIO, *, if_none_match: bool = False, if_match: str | None = None) -> str:
        """Writes the object and returns its etag; a file is streamed in parts with bounded memory.

        Args:
            key: Where to.
            data: What; with a condition it is held in memory whole.
            if_none_match: Only where there is no object, else PreconditionFailedError.
            if_match: Only over the object with this etag, else PreconditionFailedError.
        """
        ...

    def head(self, key: str) -> ObjectInfo | None:
        """What is known of the object; None when there is none."""
        ...

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """All objects below a directory (whole path segments), page by page, in no promised order."""
        ...

    def list_directories(self, prefix: str = "") -> Keys:
        """The directories right below a directory, sorted, as keys without a slash at the end; one listing."""
        ...

    def delete(self, keys: Iterable[str]) -> None:
        """Deletes exactly these objects; one that is not there is as good as deleted."""
        ...

    def presign(self, key: str, seconds: int) -> str:
        """An address that anyone can GET the object from for that long."""
        ...

    def probe(self) -> None:
        """One cheap listing with short deadlines; raises within 10 s when the store is of no use."""
        ...


def supports_conditional_put(store: ObjectStore) -> bool:
    """Whether the store really refuses what it must refuse; writes one small object and deletes it."""
    key = f"{PROBE_KEY_PREFIX}{secrets.token_hex(8)}"
    try:
        etag = store.put(key, b"1", if_none_match=True)
        if not _refuses(store, key, if_none_match=True):
            return False
        newer = store.put(key, b"2", if_match=etag)
        return newer != etag and _refuses(store, key, if_match=etag)
    except (ConditionalPutUnsupportedError, PreconditionFailedError):
        return False
    finally:
        store.delete([key])


def _refuses(store: ObjectStore, key: str, *, if_none_match: bool = False, if_match: str | None = None) -> bool:
    try:
        store.put(key, b"3", if_none_match=if_none_match, if_match=if_match)
    except PreconditionFailedError:
        return True
    return False
