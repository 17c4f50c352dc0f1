"""The buckets of the fake of Google Cloud Storage: objects with generations, and listings in pages."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

PAGE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """One object."""

    content: bytes
    generation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A part of a listing; `following` is where the next one begins, empty at the end."""

    names: list[str]
    prefixes: list[str]
    following: str


class MissingBucketError(Exception):
    """There is no such bucket."""


@dataclass(slots=True)
class Buckets:
    """All buckets; the caller holds a lock."""

    held: dict[str, dict[str, Blob]] = field(default_factory=dict)
    uploads: dict[str, dict[int, bytes]] = field(default_factory=dict)
    _generations: Iterator[int] = field(default_factory=lambda: itertools.count(1_700_000_000_000_001))

    def make_bucket(self, name: str) -> str:
        """Makes a bucket and returns its name."""
        self.held.setdefault(name, {})
        return name

    def bucket(self, name: str) -> dict[str, Blob]:
        """The objects of a bucket."""
        try:
            return self.held[name]
        except KeyError:
            raise MissingBucketError(name) from None

    def put(self, bucket: str, name: str, content: bytes, if_generation: str) -> Blob | None:
        """Writes an object; None when another generation is there than the condition says (0: any at all)."""
        objects = self.bucket(bucket)
        found = objects.get(name)
        if if_generation and str(found.generation if found else 0) != if_generation:
            return None
        objects[name] = Blob(content=content, generation=next(self._generations))
        return objects[name]

    def listing(self, bucket: str, prefix: str, delimiter: str, start: str) -> Page:
        """A page of names from `start` on, and the directories among them where a delimiter is given."""
        names, prefixes = list[str](), list[str]()
        for name in sorted(self.bucket(bucket)):
            if not name.startswith(prefix) or name < start:
                continue
            head, found, _ = name[len(prefix) :].partition(delimiter) if delimiter else (name, "", "")
            directory = f"{prefix}{head}{delimiter}" if found else ""
            if directory and directory in prefixes[-1:]:
                continue
            if len(names) + len(prefixes) == PAGE:
                return Page(names=names, prefixes=prefixes, following=name)
            (prefixes if directory else names).append(directory or name)
        return Page(names=names, prefixes=prefixes, following="")
