"""What reconcilers read: the cache of one informer, never the API."""

from __future__ import annotations

import builtins
from typing import Generic, Protocol, TypeVar

from pkg.apis.meta import Object
from pkg.informers.store import NAMESPACE_INDEX, Store

T = TypeVar("T", bound=Object)


class Lister(Protocol[T]):
    """Reads cached objects; they are shared and frozen, and as old as the last event."""

    def get(self, namespace: str, name: str) -> T | None:
        """The object, or None."""
        ...

    def list(self, namespace: str = "") -> builtins.list[T]:
        """All objects, or those of one namespace, in no order."""
        ...

    def by_index(self, name: str, value: str) -> builtins.list[T]:
        """The objects whose index values hold this one."""
        ...


class StoreLister(Generic[T]):
    """A `Lister` over a store."""

    def __init__(self, store: Store[T]) -> None:
        self._store = store

    def get(self, namespace: str, name: str) -> T | None:
        """The object, or None."""
        return self._store.get(f"{namespace}/{name}" if namespace else name)

    def list(self, namespace: str = "") -> builtins.list[T]:
        """All objects, or those of one namespace, in no order."""
        return self.by_index(NAMESPACE_INDEX, namespace) if namespace else self._store.list()

    def by_index(self, name: str, value: str) -> builtins.list[T]:
        """The objects whose index values hold this one."""
        return builtins.list(self._store.by_index(name, value))
