"""One handler, its thread and its queue.

A handler that is slow delays only itself: the queue in front of it is unbounded, and a queue that grows is said in
the log. A handler that raises loses that one notification. Notifications of one handler come strictly in order.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeAlias, TypeVar

import structlog

from pkg.apis.meta import Object
from pkg.kube.clock import Clock
from pkg.kube.stop import StopToken

log = structlog.get_logger()

T = TypeVar("T", bound=Object)
T_contra = TypeVar("T_contra", bound=Object, contravariant=True)

HIGH_WATER: Final = 1024
SLOW_CALL_SECONDS: Final = 1.0
ERROR_PAUSE_SECONDS: Final = 1.0


class EventHandler(Protocol[T_contra]):
    """What wants to know of changes; a controller maps them to keys and does nothing else here."""

    def on_add(self, obj: T_contra, initial: bool) -> None:
        """An object is there; `initial` when it was there before this handler."""
        ...

    def on_update(self, old: T_contra, new: T_contra) -> None:
        """An object changed, or is shown again by a resync (then both are the same)."""
        ...

    def on_delete(self, obj: T_contra, final_state_known: bool) -> None:
        """An object is gone; its last state may be stale when the deletion itself was not seen."""
        ...


@dataclass(frozen=True, slots=True)
class Added(Generic[T]):
    """For `on_add`."""

    obj: T
    initial: bool


@dataclass(frozen=True, slots=True)
class Updated(Generic[T]):
    """For `on_update`."""

    old: T
    new: T


@dataclass(frozen=True, slots=True)
class Deleted(Generic[T]):
    """For `on_delete`."""

    obj: T
    final_state_known: bool


@dataclass(frozen=True, slots=True)
class InitialEnd:
    """All that was there before has been sent."""


Notification: TypeAlias = "Added[T] | Updated[T] | Deleted[T] | InitialEnd"


class Listener(Generic[T]):
    """Delivers to one handler; `put` never blocks."""

    def __init__(self, handler: EventHandler[T], *, name: str, stop: StopToken, clock: Clock) -> None:
        self._handler = handler
        self._name = name
        self._clock = clock
        self._stop = stop.child()
        self._changed = threading.Condition()
        self._pending: deque[Notification[T]] = deque()
        self._warn_at = HIGH_WATER
        self._call_began = float("inf")
        self._synced = StopToken()
        self._stop.on_cancel(self._wake)
        self._thread = threading.Thread(target=self._run, name=f"listener {name}", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def put(self, notification: Notification[T]) -> None:
        """Queues a notification."""
        with self._changed:
            self._pending.append(notification)
            pending = len(self._pending)
            self._changed.notify()
        if pending >= self._warn_at:
            self._warn_if_slow(pending)

    def _warn_if_slow(self, pending: int) -> None:
        """A long queue alone is what a long list makes; a long call behind it is what will eat the memory."""
        seconds = self._clock.monotonic() - self._call_began
        if seconds > SLOW_CALL_SECONDS:
            self._warn_at = pending * 2
            log.warning("Handler is slow", informer=self._name, pending=pending, call_seconds=round(seconds, 1))

    @property
    def pending(self) -> int:
        """How many notifications wait."""
        return len(self._pending)

    @property
    def has_synced(self) -> bool:
        """Whether the handler has returned from all initial adds."""
        return self._synced.cancelled

    def wait_synced(self, stop: StopToken, timeout_seconds: float) -> bool:
        """Blocks until `has_synced`, the token or the timeout; returns `has_synced`."""
        unregister = stop.on_cancel(self._wake)
        try:
            with self._changed:
                self._changed.wait_for(lambda: self.has_synced or stop.cancelled, timeout_seconds)
        finally:
            unregister()
        return self.has_synced

    def stop(self) -> None:
        """Ends the thread after the call it is in; what is queued is dropped."""
        self._stop.cancel("handler removed")
        self._stop.detach()
        with self._changed:
            self._pending.clear()

    def join(self, timeout_seconds: float) -> bool:
        """Waits for the thread; returns whether it ended. True at once from the handler itself."""
        if self._thread.ident is None or self._thread is threading.current_thread():
            return True
        self._thread.join(timeout_seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (notification := self._take()) is not None:
            self._call_began = self._clock.monotonic()
            try:
                self._deliver(notification)
            except Exception:
                log.exception("Handler failed", informer=self._name)
                self._clock.wait(self._stop, ERROR_PAUSE_SECONDS)
            self._call_began = float("inf")

    def _take(self) -> Notification[T] | None:
        with self._changed:
            self._changed.wait_for(lambda: self._pending or self._stop.cancelled)
            if self._stop.cancelled:
                return None
            return self._pending.popleft()

    def _deliver(self, notification: Notification[T]) -> None:
        match notification:
            case Added(obj, initial):
                self._handler.on_add(obj, initial)
            case Updated(old, new):
                self._handler.on_update(old, new)
            case Deleted(obj, final_state_known):
                self._handler.on_delete(obj, final_state_known)
            case InitialEnd():
                self._synced.cancel("synced")
                self._wake()

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()
