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

from pkg.backup.scratch import scratch_error, scratch_errors
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
        self._last = 0
        self._at_end = True
        self.count = 0

    def append(self, item: Item) -> None:
        """Adds an item at the end."""
        namespace, name = item.namespace.encode(), item.name.encode()
        header = _HEADER.pack(self._number(item.ref), len(namespace), len(name), len(item.body))
        try:
            if not self._at_end:
                self._file.seek(0, os.SEEK_END)
                self._at_end = True
            self._file.write(b"".join((header, namespace, name, item.body)))
        except OSError as error:
            raise scratch_error(error) from error
        self.count += 1

    def __iter__(self) -> Iterator[Item]:
        """All items in the order of their coming, one in memory at a time; nothing may be added meanwhile."""
        self._at_end = False
        with scratch_errors():  # around this generator's reads only; its reader's errors do not come by here
            self._file.seek(0)
            while header := self._file.read(_HEADER.size):
                yield self._item(*_HEADER.unpack(header))

    def _item(self, number: int, namespace_length: int, name_length: int, body_length: int) -> Item:
        name_at = namespace_length
        body_at = name_at + name_length
        data = self._file.read(body_at + body_length)
        return Item(
            ref=self._refs[number],
            namespace=data[:name_at].decode(),
            name=data[name_at:body_at].decode(),
            body=data[body_at:],
        )

    def _number(self, ref: ResourceRef) -> int:
        if self._refs and self._refs[self._last] is ref:
            return self._last  # lists come one after the other
        if ref not in self._numbers:
            self._numbers[ref] = len(self._refs)
            self._refs.append(ref)
        self._last = self._numbers[ref]
        return self._last
