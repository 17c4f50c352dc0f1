"""Which key is next: the highest priority first, and first come, first served within one.

(controller-runtime's priority queue.) Priorities are few, so a row for each and a look at all rows costs less than a
heap, and a key whose priority rises moves in constant time.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Final, Generic, TypeVar

K = TypeVar("K", bound=Hashable)

NORMAL_PRIORITY: Final = 0


class Ordering(Generic[K]):
    """Keys that wait, each once; not thread-safe."""

    def __init__(self) -> None:
        self._normal: OrderedDict[K, None] = OrderedDict()
        self._others: dict[int, OrderedDict[K, None]] = {}  # rows that are not empty
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def append(self, key: K, priority: int) -> None:
        """Puts a key that does not wait at the end of its priority's row."""
        self._count += 1
        if priority == NORMAL_PRIORITY:
            self._normal[key] = None
        else:
            self._others.setdefault(priority, OrderedDict())[key] = None

    def move(self, key: K, before: int, after: int) -> None:
        """Gives a key another priority, if it waits; it comes after all that have that already."""
        row = self._normal if before == NORMAL_PRIORITY else self._others.get(before)
        if row is None or key not in row:
            return
        del row[key]
        self._count -= 1
        self._drop_empty(before)
        self.append(key, after)

    def pop(self) -> K:
        """Takes the next key; only when there is one."""
        self._count -= 1
        if not self._others:
            return self._normal.popitem(last=False)[0]
        priority = max(self._others)
        if priority < NORMAL_PRIORITY and self._normal:
            return self._normal.popitem(last=False)[0]
        key, _ = self._others[priority].popitem(last=False)
        self._drop_empty(priority)
        return key

    def _drop_empty(self, priority: int) -> None:
        if priority in self._others and not self._others[priority]:
            del self._others[priority]
