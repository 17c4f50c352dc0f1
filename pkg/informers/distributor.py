"""Turns lists and events into a store and notifications, in an order in which nothing is lost or invented.

One lock is held over "change the store and queue the notifications", and over adding a handler. So a handler that
joins late gets the store as it is and every change after it, each exactly once. Handlers run in their own threads
and see a store at least as new as what they are told.

On a list: the store first, then deletes, then adds and updates in the list's order.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Generic, TypeVar

from pkg.apis.meta import Object
from pkg.informers.decode import EventType, ObjectEvent, Undecodable, key_of
from pkg.informers.listener import Added, Deleted, InitialEnd, Listener, Notification, Updated
from pkg.informers.store import Store
from pkg.informers.tracker import UndecodableTracker
from pkg.kube.stop import StopToken

T = TypeVar("T", bound=Object)


class Distributor(Generic[T]):
    """The reflector's sink; thread-safe."""

    def __init__(self, store: Store[T], name: str) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._listeners: list[Listener[T]] = []
        self.synced = StopToken()
        self.undecodable = UndecodableTracker(name)

    def join(self, listener: Listener[T]) -> None:
        """Adds a listener: it gets all that is there as initial adds, then what changes."""
        with self._lock:
            for obj in self._store.list():
                listener.put(Added(obj, initial=True))
            if self.synced.cancelled:
                listener.put(InitialEnd())
            self._listeners.append(listener)

    def leave(self, listener: Listener[T]) -> None:
        """Removes a listener; it gets nothing more."""
        with self._lock:
            if listener in self._listeners:
                self._listeners.remove(listener)

    def replace(self, items: Sequence[T | Undecodable]) -> None:
        """Takes a whole list. An object that does not decode is neither gone nor changed."""
        with self._lock:
            objects = {key_of(item): item for item in items if not isinstance(item, Undecodable)}
            broken = frozenset(key_of(item) for item in items if isinstance(item, Undecodable))
            for item in items:
                if isinstance(item, Undecodable):
                    self.undecodable.seen(item)
            self.undecodable.retain(broken)
            before = self._store.replace(objects, keep=broken)
            for key in before.keys() - objects.keys() - broken:
                self._send(Deleted(before[key], final_state_known=False))
            initial = not self.synced.cancelled
            for key, obj in objects.items():
                self._send_change(before.get(key), obj, initial=initial)
            if initial:
                self.synced.cancel("synced")
                self._send(InitialEnd())

    def apply(self, event: ObjectEvent[T]) -> None:
        """Takes one change."""
        item = event.object
        with self._lock:
            self._apply(event, item)
        if event.resource_version:
            self._store.reached(event.resource_version)

    def reached(self, version: str) -> None:
        """Everything up to this version has been taken."""
        self._store.reached(version)

    def resync(self, listener: Listener[T]) -> None:
        """Shows one listener every object again."""
        with self._lock:
            if listener in self._listeners:
                for obj in self._store.list():
                    listener.put(Updated(obj, obj))

    def _apply(self, event: ObjectEvent[T], item: T | Undecodable) -> None:
        if event.type is EventType.DELETED:
            self._delete(item)
        elif isinstance(item, Undecodable):
            self.undecodable.seen(item)
        else:
            self.undecodable.gone(item.metadata.key)
            self._send_change(self._store.put(item), item, initial=False)

    def _delete(self, item: T | Undecodable) -> None:
        key = key_of(item)
        self.undecodable.gone(key)
        last = self._store.delete(key)
        if not isinstance(item, Undecodable):
            self._send(Deleted(item, final_state_known=True))
        elif last is not None:
            self._send(Deleted(last, final_state_known=False))

    def _send_change(self, old: T | None, new: T, *, initial: bool) -> None:
        if old is None:
            self._send(Added(new, initial=initial))
        elif old.metadata.resource_version != new.metadata.resource_version:
            self._send(Updated(old, new))

    def _send(self, notification: Notification[T]) -> None:
        for listener in self._listeners:
            listener.put(notification)
