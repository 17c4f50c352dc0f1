"""Says that a reconcile takes too long: in the log, in a metric, and to the reconciler by a token.

A thread cannot be ended from outside, so a reconciler that may wait passes `reconcile_token()` to what it waits with.
One call of the shared timer per worker is enough: it looks at the reconcile that runs then, and comes again when that
one's time is over.
"""

from __future__ import annotations

import contextlib
import contextvars
import threading
from collections.abc import Callable, Iterator
from typing import Final

import structlog

from pkg.kube.clock import Clock
from pkg.kube.stop import StopToken
from pkg.manager.threads import stack_of
from pkg.workqueue.delaying import Timer
from pkg.workqueue.key import Key

log = structlog.get_logger()

OVERDUE: Final = "the reconcile takes too long"

_token: contextvars.ContextVar[StopToken | None] = contextvars.ContextVar("reconcile_token", default=None)


def reconcile_token() -> StopToken:
    """Is cancelled when the reconcile that this thread is in has used up its time; never without a limit."""
    return _token.get() or StopToken()


class TimeLimit:
    """One worker's; `on_overdue` is called in the timer's thread."""

    def __init__(self, seconds: float, timer: Timer, clock: Clock, on_overdue: Callable[[], None]) -> None:
        self._seconds = seconds
        self._timer = timer
        self._clock = clock
        self._on_overdue = on_overdue
        self._lock = threading.Lock()
        self._running: tuple[Key, float, StopToken, threading.Thread] | None = None
        self._armed = False

    @contextlib.contextmanager
    def over(self, key: Key) -> Iterator[None]:
        """Limits what runs within."""
        token = StopToken()
        with self._lock:
            self._running = (key, self._clock.monotonic() + self._seconds, token, threading.current_thread())
            arm, self._armed = not self._armed, True
        if arm:
            self._timer.call_after(("time limit", id(self)), self._seconds, self._look)
        reset = _token.set(token)
        try:
            yield
        finally:
            _token.reset(reset)
            with self._lock:
                self._running = None

    def _look(self) -> None:
        with self._lock:
            running = self._running
            self._armed = running is not None
        if running is None:
            return
        key, deadline, token, thread = running
        left = deadline - self._clock.monotonic()
        if left <= 0 and not token.cancelled:
            self._on_overdue()
            log.warning("Reconcile takes too long", key=str(key), limit_seconds=self._seconds, stack=stack_of(thread))
            token.cancel(OVERDUE)
        self._timer.call_after(("time limit", id(self)), left if left > 0 else self._seconds, self._look)
