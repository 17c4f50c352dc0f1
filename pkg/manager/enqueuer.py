"""From an informer's notifications to keys: which object's change is whose work.

Handlers only map and enqueue. What was there before, and what a resync shows again unchanged, is enqueued with a low
priority, so that live changes overtake it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Generic, Protocol, TypeVar

from pkg.apis.meta import Object
from pkg.manager.predicates import Change, Predicate
from pkg.workqueue.deduplicating import LOW_PRIORITY
from pkg.workqueue.key import Key
from pkg.workqueue.ordering import NORMAL_PRIORITY

T = TypeVar("T", bound=Object)


class _Add(Protocol):
    def __call__(self, key: Key, *, priority: int) -> None: ...


def own_key(obj: Object) -> Iterable[Key]:
    """The key of the object itself."""
    return (Key(obj.metadata.namespace, obj.metadata.name),)


def owner_keys(kind: str, group: str, *, any_owner: bool = False, namespaced: bool = True) -> _OwnerKeys:
    """Maps an object to the owner of a kind, such as a pod to its Job.

    Args:
        kind: The owner's kind.
        group: The owner's API group, whatever its version; empty for core.
        any_owner: Follows every owner reference; else only that of the controller.
        namespaced: The owner's namespace is the object's; False for owners without one.
    """
    return _OwnerKeys(kind, group, any_owner, namespaced)


class _OwnerKeys:
    def __init__(self, kind: str, group: str, any_owner: bool, namespaced: bool) -> None:
        self._kind = kind
        self._group = group
        self._any_owner = any_owner
        self._namespaced = namespaced

    def __call__(self, obj: Object) -> Iterable[Key]:
        return [
            Key(obj.metadata.namespace if self._namespaced else "", owner.name)
            for owner in obj.metadata.owner_references or ()
            if owner.kind == self._kind
            and owner.api_version.rpartition("/")[0] == self._group
            and (self._any_owner or owner.controller)
        ]


class Enqueuer(Generic[T]):
    """An event handler that only maps objects to keys."""

    def __init__(self, add: _Add, keys: Callable[[T], Iterable[Key]], predicate: Predicate[T] | None = None) -> None:
        self._add = add
        self._keys = keys
        self._predicate = predicate

    def on_add(self, obj: T, initial: bool) -> None:
        """Enqueues its keys, behind all live changes when it was there before."""
        self._take(Change(None, obj), LOW_PRIORITY if initial else NORMAL_PRIORITY)

    def on_update(self, old: T, new: T) -> None:
        """Enqueues the keys before and after."""
        same = old.metadata.resource_version == new.metadata.resource_version
        self._take(Change(old, new), LOW_PRIORITY if same else NORMAL_PRIORITY)

    def on_delete(self, obj: T, final_state_known: bool) -> None:
        """Enqueues its keys."""
        self._take(Change(obj, None), NORMAL_PRIORITY)

    def _take(self, change: Change[T], priority: int) -> None:
        if self._predicate is not None and not self._predicate(change):
            return
        for obj in (change.old, change.new):
            if obj is not None:
                for key in self._keys(obj):
                    self._add(key, priority=priority)
