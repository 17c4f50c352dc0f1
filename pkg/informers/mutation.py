"""Finds code that changes a cached object, and transforms that are not idempotent; a switch for tests.

Cached objects are frozen, but the dicts and lists in them are not, and they are shared by every reader: who writes
into one corrupts the indexes and everybody's view. Within `mutation_detection()` every store remembers how each object
encodes when it comes, and compares when it goes and at the end. (client-go: KUBE_CACHE_MUTATION_DETECTOR)
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

import msgspec

from pkg.apis.meta import Object

T = TypeVar("T", bound=Object)


class CacheMutatedError(AssertionError):
    """Somebody changed a cached object."""


class MutationDetector:
    """One store's memory; called under the store's lock, and `changed` by anybody."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, tuple[Object, bytes]] = {}
        self._changed: list[str] = []

    def exchange(self, key: str, obj: Object | None) -> None:
        """Takes the object that is at a key from now on; None when it is gone."""
        with self._lock:
            self._look_at(key)
            if obj is None:
                self._known.pop(key, None)
            else:
                self._known[key] = (obj, msgspec.msgpack.encode(obj))

    def changed(self) -> list[str]:
        """The keys of the objects that were changed while they were in the store, and how."""
        with self._lock:
            for key in self._known:
                self._look_at(key)
            return list(self._changed)

    def _look_at(self, key: str) -> None:
        if key not in self._known:
            return
        obj, before = self._known[key]
        now = msgspec.msgpack.encode(obj)
        if now != before:
            self._known[key] = (obj, now)
            was, found = msgspec.msgpack.decode(before), msgspec.msgpack.decode(now)
            self._changed.append(f"{key}: {was} became {found}")

    def blame(self, text: str) -> None:
        """Reports something else that a cache must not be exposed to."""
        with self._lock:
            self._changed.append(text)


_detectors: list[MutationDetector] | None = None


def new_detector() -> MutationDetector | None:
    """A store's detector; None outside `mutation_detection`."""
    if _detectors is None:
        return None
    detector = MutationDetector()
    _detectors.append(detector)
    return detector


def idempotent(transform: Callable[[T], T]) -> Callable[[T], T]:
    """The transform itself; within `mutation_detection` one that is tried twice on each object."""
    detector = new_detector()
    if detector is None:
        return transform

    def tried_twice(obj: T) -> T:
        once = transform(obj)
        if transform(once) != once:
            detector.blame(f"{obj.metadata.key}: the transform gives something else when it is applied again")
        return once

    return tried_twice


@contextlib.contextmanager
def mutation_detection() -> Iterator[None]:
    """Watches the stores that are made within.

    Raises:
        CacheMutatedError: at the end, when somebody changed a cached object.
    """
    global _detectors  # the switch of the process, for tests
    outer, _detectors = _detectors, []
    try:
        yield
        changed = [text for detector in _detectors for text in detector.changed()]
    finally:
        _detectors = outer
    if changed:
        raise CacheMutatedError("; ".join(changed))
