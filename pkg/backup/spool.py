"""The objects of a backup between list and tarball: on disk, in a file without a name.

Continue tokens of a list expire after minutes while volumes take hours, so every list is drained at once; memory
holds none of the objects.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from pkg.backup.scratch import scratch_errors
from pkg.kube.resources import ResourceRef

_HEADER = struct.Struct("<HHHI")  # resource, lengths of namespace, name and body


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """An object on its way into the tarball; `body` is its JSON as the server sent it."""

    ref: ResourceRef
    namespace: str
    name: str
    body: bytes


class Spool:
    """Items written once and read in the same order, by one thread; raises ScratchError when the disk is full."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._refs: list[ResourceRef] = []
        self._numbers: dict[ResourceRef, int] = {}
        self._at_end = True
        self.count = 0

    def append(self, item: Item) -> None:
        """Adds an item at the end."""
        namespace, name = item.namespace.encode(), item.name.encode()
        header = _HEADER.pack(self._number(item.ref), len(namespace), len(name), len(item.body))
        with scratch_errors():
            if not self._at_end:
                self._file.seek(0, os.SEEK_END)
                self._at_end = True
            self._file.write(b"".join((header, namespace, name, item.body)))
        self.count += 1

    def __iter__(self) -> Iterator[Item]:
        """All items in the order of their coming, one in memory at a time; nothing may be added meanwhile."""
        self._at_end = False
        with scratch_errors():
            self._file.seek(0)
        while (item := self._next()) is not None:
            yield item

    def _next(self) -> Item | None:
        with scratch_errors():
            header = self._file.read(_HEADER.size)
            if not header:
                return None
            number, namespace_length, name_length, body_length = _HEADER.unpack(header)
            namespace = self._file.read(namespace_length).decode()
            name = self._file.read(name_length).decode()
            return Item(ref=self._refs[number], namespace=namespace, name=name, body=self._file.read(body_length))

    def _number(self, ref: ResourceRef) -> int:
        if ref not in self._numbers:
            self._numbers[ref] = len(self._refs)
            self._refs.append(ref)
        return self._numbers[ref]
