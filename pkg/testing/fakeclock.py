"""A clock that a test steps by hand, so that minutes pass in no time."""

from __future__ import annotations

import datetime
import threading

from pkg.kube.stop import StopToken

START = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
REAL_SECONDS = 30.0


class FakeClock:
    """A `Clock` that stands still until `advance`; thread-safe.

    Args:
        start: The wall clock's first reading.
        automatic: A wait moves the clock by itself and returns at once; for code with one thread.
    """

    def __init__(self, start: datetime.datetime = START, *, automatic: bool = False) -> None:
        self._start = start
        self._automatic = automatic
        self._elapsed = 0.0
        self._changed = threading.Condition()
        self._waiting: list[float] = []
        self.waits: list[float] = []

    def monotonic(self) -> float:
        """Seconds since the clock was made."""
        return self._elapsed

    def now(self) -> datetime.datetime:
        """The wall clock in UTC, aware."""
        return self._start + datetime.timedelta(seconds=self._elapsed)

    def wait(self, stop: StopToken, seconds: float) -> bool:
        """Blocks until the clock was advanced that far or the token is cancelled; records the seconds in `waits`."""
        if stop.cancelled:
            return True
        self.waits.append(seconds)
        if self._automatic:
            self.advance(max(0.0, seconds))
            return stop.cancelled
        unregister = stop.on_cancel(self._wake)
        try:
            with self._changed:
                deadline = self._elapsed + seconds
                self._waiting.append(deadline)
                self._changed.notify_all()
                self._changed.wait_for(lambda: stop.cancelled or self._elapsed >= deadline)
                if deadline in self._waiting:
                    self._waiting.remove(deadline)
        finally:
            unregister()
        return stop.cancelled

    def advance(self, seconds: float) -> None:
        """Moves the time forward and wakes whoever waited for it."""
        with self._changed:
            self._elapsed += seconds
            self._waiting = [deadline for deadline in self._waiting if deadline > self._elapsed]
            self._changed.notify_all()

    def advance_to_next(self) -> None:
        """Moves the time to the earliest moment that somebody waits for."""
        with self._changed:
            self.advance(max(0.0, min(self._waiting) - self._elapsed))

    @property
    def waiters(self) -> int:
        """How many threads wait."""
        with self._changed:
            return len(self._waiting)

    def wait_for_waiters(self, count: int = 1, *, real_seconds: float = REAL_SECONDS) -> None:
        """Blocks until that many threads wait; AssertionError when they do not come."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._waiting) >= count, real_seconds):
                raise AssertionError(f"{len(self._waiting)} threads wait on the clock, expected {count}")

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()
