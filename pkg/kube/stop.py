"""One way to end work: a token that is cancelled once, waited on, and inherited.

Every thread and every wait in Ark holds a token. Cancelling is idempotent, keeps the first reason, and reaches
children; a callback that registers too late runs at once, so no cancellation is lost.
"""

from __future__ import annotations

import threading
from collections.abc import Callable


class StopToken:
    """Says that work must end; the `ctx` of this code base."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._callbacks: dict[int, Callable[[], None]] = {}
        self._next_id = 0
        self._reason = ""

    @property
    def cancelled(self) -> bool:
        """Whether the work must end."""
        return self._event.is_set()

    @property
    def reason(self) -> str:
        """Why, in the words of the first `cancel`; empty while not cancelled."""
        return self._reason

    def cancel(self, reason: str = "stopped") -> None:
        """Ends the work of this token and of all its children; runs the callbacks in this thread, once."""
        with self._lock:
            if self._event.is_set():
                return
            self._reason = reason
            self._event.set()
            callbacks, self._callbacks = list(self._callbacks.values()), {}
        for callback in callbacks:
            callback()

    def wait(self, timeout_seconds: float | None) -> bool:
        """Blocks until cancelled or timed out; returns whether it is cancelled. None waits without a limit."""
        return self._event.wait(timeout_seconds)

    def on_cancel(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Runs the callback at cancellation (now, if that was before); returns a function that unregisters it."""
        with self._lock:
            if not self._event.is_set():
                ident = self._next_id
                self._next_id += 1
                self._callbacks[ident] = callback
                return lambda: self._unregister(ident)
        callback()
        return lambda: None

    def child(self) -> ChildToken:
        """A token that ends with this one and may end before it. Call `detach` on it when its work is over."""
        child = ChildToken()
        child.detach = self.on_cancel(lambda: child.cancel(self.reason))
        return child

    def _unregister(self, ident: int) -> None:
        with self._lock:
            self._callbacks.pop(ident, None)


class ChildToken(StopToken):
    """A token with a parent; `detach` lets the parent forget it."""

    def __init__(self) -> None:
        super().__init__()
        self.detach: Callable[[], None] = lambda: None
