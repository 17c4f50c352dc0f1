"""The objects of one informer by key, with indexes that are always as new as the objects.

Reads return the stored objects themselves; they are frozen, so nobody can change them behind an index's back.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Generic, TypeAlias, TypeVar

from pkg.apis.meta import Object
from pkg.informers.mutation import MutationDetector, new_detector
from pkg.informers.versions import at_least

T = TypeVar("T", bound=Object)
IndexFunction: TypeAlias = Callable[[T], Iterable[str]]

NAMESPACE_INDEX = "namespace"


def _namespace_of(obj: Object) -> tuple[str]:
    return (obj.metadata.namespace,)


class Store(Generic[T]):
    """A thread-safe map with named indexes; values are lists in no order."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._advanced = threading.Condition(self._lock)
        self._waiting = 0
        self._version = ""
        self._detector: MutationDetector | None = new_detector()
        self._objects: dict[str, T] = {}
        self._functions: dict[str, IndexFunction[T]] = {NAMESPACE_INDEX: _namespace_of}
        self._indexes: dict[str, dict[str, set[str]]] = {NAMESPACE_INDEX: {}}

    def put(self, obj: T) -> T | None:
        """Adds or replaces an object; returns the one that was there."""
        with self._lock:
            return self._put(obj.metadata.key, obj)

    def delete(self, key: str) -> T | None:
        """Removes an object; returns it, or None when it was not there."""
        with self._lock:
            return self._delete(key)

    def replace(self, objects: Mapping[str, T], *, keep: frozenset[str] = frozenset()) -> dict[str, T]:
        """Makes the store hold exactly these objects, besides kept keys; returns what was there before."""
        with self._lock:
            before = dict(self._objects)
            for key in before.keys() - objects.keys() - keep:
                self._delete(key)
            for key, obj in objects.items():
                self._put(key, obj)
            return before

    def add_index(self, name: str, fn: IndexFunction[T]) -> None:
        """Adds an index, also while the store is full; ValueError when the name is taken."""
        with self._lock:
            if name in self._functions:
                raise ValueError(f"there is an index {name} already")
            self._functions[name] = fn
            self._indexes[name] = {}
            for key, obj in self._objects.items():
                self._enter(name, key, fn(obj))

    def get(self, key: str) -> T | None:
        """The object, or None."""
        with self._lock:
            return self._objects.get(key)

    def list(self) -> list[T]:
        """All objects."""
        with self._lock:
            return list(self._objects.values())

    def by_index(self, name: str, value: str) -> Iterable[T]:
        """The objects that the index function gave this value; KeyError for an index that nobody added."""
        with self._lock:
            return [self._objects[key] for key in self._indexes[name].get(value, ())]

    @property
    def version(self) -> str:
        """The resourceVersion up to which the store is complete; empty before the first list."""
        return self._version

    def reached(self, version: str) -> None:
        """Says that everything up to this version is in the store."""
        self._version = version
        if self._waiting:
            with self._lock:
                self._advanced.notify_all()

    def wait_for_rv(self, version: str, timeout_seconds: float) -> bool:
        """Blocks until the store holds everything up to this version, or the timeout; returns whether it does.

        So a writer reads its own write: the version is the one that the write returned.
        """
        with self._lock:
            self._waiting += 1
            try:
                return self._advanced.wait_for(lambda: at_least(self._version, version), timeout_seconds)
            finally:
                self._waiting -= 1

    def __len__(self) -> int:
        return len(self._objects)

    def _put(self, key: str, obj: T) -> T | None:
        old = self._objects.get(key)
        if self._detector is not None:
            self._detector.exchange(key, obj)
        for name, fn in self._functions.items():
            if old is not None:
                self._leave(name, key, fn(old))
            self._enter(name, key, fn(obj))
        self._objects[key] = obj
        return old

    def _delete(self, key: str) -> T | None:
        old = self._objects.pop(key, None)
        if self._detector is not None:
            self._detector.exchange(key, None)
        if old is not None:
            for name, fn in self._functions.items():
                self._leave(name, key, fn(old))
        return old

    def _enter(self, name: str, key: str, values: Iterable[str]) -> None:
        for value in values:
            self._indexes[name].setdefault(value, set()).add(key)

    def _leave(self, name: str, key: str, values: Iterable[str]) -> None:
        index = self._indexes[name]
        for value in values:
            keys = index.get(value)
            if keys is not None:
                keys.discard(key)
                if not keys:
                    del index[value]
