"""One watch shared by many handlers and listers.

An informer starts once and cannot be restarted. Its threads: one that reads, decodes, stores and distributes; one
per handler; one for resyncs if a handler asked for them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final, Generic, TypeVar

import structlog

from pkg.apis.meta import Object
from pkg.informers.decode import Decoder, Transform
from pkg.informers.distributor import Distributor
from pkg.informers.listener import EventHandler, Listener
from pkg.informers.lister import Lister, StoreLister
from pkg.informers.listing import Selection
from pkg.informers.metrics import InformerStatistics
from pkg.informers.reflector import Reflector
from pkg.informers.store import IndexFunction, Store
from pkg.kube.client import Client
from pkg.kube.clock import REAL_CLOCK, Clock
from pkg.kube.stop import StopToken

log = structlog.get_logger()

T = TypeVar("T", bound=Object)

MINIMUM_RESYNC_SECONDS: Final = 1.0


class Registration(Generic[T]):
    """A handler's place at an informer."""

    def __init__(self, listener: Listener[T], remove: Callable[[], None]) -> None:
        self._listener = listener
        self._remove = remove

    @property
    def has_synced(self) -> bool:
        """Whether the handler has returned from all initial adds."""
        return self._listener.has_synced

    def wait_synced(self, stop: StopToken, timeout_seconds: float) -> bool:
        """Blocks until `has_synced`, the token or the timeout; returns `has_synced`."""
        return self._listener.wait_synced(stop, timeout_seconds)

    @property
    def pending(self) -> int:
        """How many notifications wait for the handler."""
        return self._listener.pending

    def remove(self, wait_seconds: float = 0.0) -> bool:
        """Ends the deliveries, what is queued is dropped; returns whether the handler is out of its last call."""
        self._remove()
        return self._listener.join(wait_seconds)


class SharedInformer(Generic[T]):
    """A cache of one selection of objects.

    Args:
        transform: Makes a smaller object of each one before it is stored; must be idempotent.
        stream_lists: Whether a wide list is streamed where the server can; else it is read in pages.
    """

    def __init__(
        self,
        client: Client,
        selection: Selection,
        struct: type[T],
        *,
        transform: Transform[T] | None = None,
        clock: Clock = REAL_CLOCK,
        stream_lists: bool = True,
    ) -> None:
        self.selection = selection
        self.name = str(self.selection)
        self._clock = clock
        self._store: Store[T] = Store()
        self._distributor = Distributor(self._store, self.name)
        self._stop = StopToken()
        self.reflector = Reflector(
            client.until(self._stop),
            selection,
            Decoder(struct, transform),
            self._distributor,
            clock=clock,
            stream_lists=stream_lists,
        )
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._listeners: list[Listener[T]] = []
        self._started = False

    @property
    def lister(self) -> Lister[T]:
        """Reads the cache."""
        return StoreLister(self._store)

    @property
    def has_synced(self) -> bool:
        """Whether the first list is in the cache."""
        return self._distributor.synced.cancelled

    @property
    def version(self) -> str:
        """The resourceVersion up to which the cache is complete; empty before the first list."""
        return self._store.version

    def wait_for_rv(self, version: str, timeout_seconds: float) -> bool:
        """Blocks until the cache is at least this new, or the timeout; returns whether it is.

        With the version that a write returned, the lister then shows that write or something newer. Handlers run in
        their own threads and may not have seen it yet.
        """
        return self._store.wait_for_rv(version, timeout_seconds)

    @property
    def undecodable_total(self) -> int:
        """How often an object came that did not decode."""
        return self._distributor.undecodable.total

    @property
    def undecodable_keys(self) -> tuple[str, ...]:
        """The objects that do not decode now."""
        return self._distributor.undecodable.current

    @property
    def statistics(self) -> InformerStatistics:
        """The numbers for metrics."""
        return InformerStatistics(
            name=self.name,
            objects=len(self._store),
            pending_notifications=sum(listener.pending for listener in tuple(self._listeners)),
            lists=self.reflector.lists,
            watches=self.reflector.watches,
            last_version=self.reflector.last_version,
            undecodable=self.undecodable_total,
        )

    def add_index(self, name: str, fn: IndexFunction[T]) -> None:
        """Adds an index for `lister.by_index`; ValueError when the name is taken."""
        self._store.add_index(name, fn)

    def add_handler(self, handler: EventHandler[T], resync_seconds: float = 0.0) -> Registration[T]:
        """Adds a handler at any time; it gets every object that is there as an initial add.

        Args:
            handler: Called in a thread of its own, one call at a time.
            resync_seconds: Shows it every object again that often; 0 never. At least a second.

        Raises:
            RuntimeError: the informer was stopped.
        """
        with self._lock:
            if self._stop.cancelled:
                raise RuntimeError(f"informer {self.name} was stopped")
            listener = Listener(handler, name=self.name, stop=self._stop, clock=self._clock)
            self._listeners.append(listener)
            if resync_seconds > 0:
                self._spawn("resync", lambda: self._resync(listener, max(resync_seconds, MINIMUM_RESYNC_SECONDS)))
        listener.start()
        self._distributor.join(listener)
        return Registration(listener, lambda: self._remove(listener))

    def start(self, stop: StopToken) -> None:
        """Starts watching until the token is cancelled or `stop` is called; a second call does nothing."""
        with self._lock:
            if self._started:
                return
            self._started = True
            self._spawn("informer", lambda: self.reflector.run(self._stop))
        stop.on_cancel(lambda: self._stop.cancel(stop.reason))

    def wait_synced(self, stop: StopToken, timeout_seconds: float) -> bool:
        """Blocks until `has_synced`, the token or the timeout; returns `has_synced`."""
        either = StopToken()
        for token in (self._distributor.synced, stop):
            token.on_cancel(lambda: either.cancel("synced or stopped"))
        either.wait(timeout_seconds)
        return self.has_synced

    def stop(self, timeout_seconds: float = 5.0) -> bool:
        """Ends all threads; returns whether they ended in time. What handlers have not seen is dropped."""
        self._stop.cancel("informer stopped")
        deadline = time.monotonic() + timeout_seconds
        with self._lock:
            threads, listeners = list(self._threads), list(self._listeners)
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        ended = [listener.join(max(0.0, deadline - time.monotonic())) for listener in listeners]
        alive = [thread.name for thread in threads if thread.is_alive()]
        if alive:
            log.warning("Informer does not stop", informer=self.name, threads=alive)
        return not alive and all(ended)

    def _spawn(self, what: str, run: Callable[[], None]) -> None:
        thread = threading.Thread(target=run, name=f"{what} {self.name}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _resync(self, listener: Listener[T], seconds: float) -> None:
        while not self._clock.wait(self._stop, seconds):
            self._distributor.resync(listener)

    def _remove(self, listener: Listener[T]) -> None:
        self._distributor.leave(listener)
        listener.stop()
        with self._lock:
            if listener in self._listeners:
                self._listeners.remove(listener)
