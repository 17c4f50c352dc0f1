"""Wakes a thread that waits for objects to change, without telling it which: it looks again by itself."""

from __future__ import annotations

import threading

from pkg.apis.meta import Object
from pkg.kube.stop import StopToken


class ChangeSignal:
    """A counter that informers' handlers raise and waiters watch; level-based, so no change is missed.

    It is an event handler of any informer.
    """

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._version = 0

    @property
    def version(self) -> int:
        """How many changes there were; take it before looking, pass it to `wait` after."""
        with self._condition:
            return self._version

    def raise_(self) -> None:
        """Says that something changed."""
        with self._condition:
            self._version += 1
            self._condition.notify_all()

    def wait(self, stop: StopToken, seen: int, timeout_seconds: float) -> None:
        """Blocks until there is a change after `seen`, the token is cancelled, or the time is over."""
        unregister = stop.on_cancel(self.raise_)
        try:
            with self._condition:
                self._condition.wait_for(lambda: self._version != seen or stop.cancelled, timeout_seconds)
        finally:
            unregister()

    def on_add(self, obj: Object, initial: bool) -> None:
        """An object is new."""
        self.raise_()

    def on_update(self, old: Object, new: Object) -> None:
        """An object changed."""
        self.raise_()

    def on_delete(self, obj: Object, final_state_known: bool) -> None:
        """An object is gone."""
        self.raise_()
