"""Small stand-ins for what reconcilers read."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from pkg.apis.meta import Object

T = TypeVar("T", bound=Object)


class FakeLister(Generic[T]):
    """A `Lister` over a dict that the test fills: `lister.objects[obj.metadata.key] = obj`, or `lister.put(obj)`."""

    def __init__(self, objects: Iterable[T] = ()) -> None:
        self.objects: dict[str, T] = {obj.metadata.key: obj for obj in objects}
        self._indexes: dict[str, Callable[[T], Iterable[str]]] = {}

    def put(self, *objects: T) -> None:
        """Adds or replaces objects."""
        self.objects |= {obj.metadata.key: obj for obj in objects}

    def remove(self, namespace: str, name: str) -> None:
        """Forgets an object, which need not be there."""
        self.objects.pop(_key(namespace, name), None)

    def add_index(self, name: str, fn: Callable[[T], Iterable[str]]) -> None:
        """Makes `by_index` answer for this name."""
        self._indexes[name] = fn

    def get(self, namespace: str, name: str) -> T | None:
        """The object, or None."""
        return self.objects.get(_key(namespace, name))

    def by_index(self, name: str, value: str) -> list[T]:
        """The objects whose index values hold this one."""
        fn = self._indexes[name]
        return [obj for obj in self.objects.values() if value in fn(obj)]

    def list(self, namespace: str = "") -> list[T]:
        """All objects, or those of one namespace."""
        return [obj for obj in self.objects.values() if namespace in ("", obj.metadata.namespace)]


def _key(namespace: str, name: str) -> str:
    return f"{namespace}/{name}" if namespace else name
