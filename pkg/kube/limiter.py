"""Holds a process back while the API server is ill, so that many callers together do not keep it ill.

While answers come, nothing waits. After a few failures in a row the whole process shares a small rate; the first
good answer lifts it at once.
"""

from __future__ import annotations

import threading
from typing import Final

from pkg.kube.clock import REAL_CLOCK, Clock
from pkg.kube.stop import StopToken

FAILURES_UNTIL_ILL: Final = 3
SECONDS_BETWEEN_REQUESTS: Final = 0.5


class Limiter:
    """One per process and server; thread-safe."""

    def __init__(
        self,
        *,
        clock: Clock = REAL_CLOCK,
        failures_until_ill: int = FAILURES_UNTIL_ILL,
        seconds_between: float = SECONDS_BETWEEN_REQUESTS,
    ) -> None:
        self._clock = clock
        self._failures_until_ill = failures_until_ill
        self._seconds_between = seconds_between
        self._lock = threading.Lock()
        self._failures = 0
        self._next_slot = 0.0
        self._recovered = StopToken()

    @property
    def ill(self) -> bool:
        """Whether requests are held back."""
        return self._failures >= self._failures_until_ill

    def admit(self, timeout_seconds: float) -> bool:
        """Waits for this request's turn; False, without waiting, when it would not come within the timeout."""
        with self._lock:
            if not self.ill:
                return True
            now = self._clock.monotonic()
            slot = max(now, self._next_slot)
            if slot - now > timeout_seconds:
                return False
            self._next_slot = slot + self._seconds_between
            recovered = self._recovered
        if slot > now:
            self._clock.wait(recovered, slot - now)
        return True

    def report(self, *, healthy: bool) -> None:
        """Tells how a request ended: answered, or no answer, 429 or 5xx."""
        with self._lock:
            if not healthy:
                self._failures += 1
                return
            if self._failures == 0:
                return
            self._failures = 0
            self._next_slot = 0.0
            recovered, self._recovered = self._recovered, StopToken()
        recovered.cancel("the API server answers again")
