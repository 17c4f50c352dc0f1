"""Holds a process back while the API server is ill, so that many callers together do not keep it ill.

While answers come, nothing waits. A process that has no proof of health, because it has just started, a stream has
ended or a request has failed, shares a few requests per second, so that a dozen informers that lose their watches
at the same moment do not all come back at once; the first good answer lifts that. After a few failures in a row the
process shares a small rate.

A refusal, such as 403 or 404, proves that the server lives and not that it serves: it ends the illness, but a process
to which everything is refused stays at those few requests.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import Final

from pkg.kube.clock import REAL_CLOCK, Clock
from pkg.kube.stop import StopToken

FAILURES_UNTIL_ILL: Final = 3
SECONDS_BETWEEN_REQUESTS: Final = 0.5
UNPROVEN_REQUESTS_PER_SECOND: Final = 4


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
        self._proven = False
        self._next_slot = 0.0
        self._unproven_slots: deque[float] = deque(maxlen=UNPROVEN_REQUESTS_PER_SECOND)
        self._recovered = StopToken()

    @property
    def ill(self) -> bool:
        """Whether requests are held back."""
        return self._failures >= self._failures_until_ill

    def admit(self, timeout_seconds: float, stop: StopToken | None = None) -> bool:
        """Waits for this request's turn, or for the token.

        Returns False, without waiting, when the turn would not come within the timeout.
        """
        with self._lock:
            if self._proven:
                return True
            now = self._clock.monotonic()
            slot = self._free_slot(now)
            if slot - now > timeout_seconds:
                return False
            self._unproven_slots.append(slot)
            self._next_slot = slot + self._seconds_between
            recovered = self._recovered
        if slot > now:
            self._wait(recovered, slot - now, stop)
        return True

    def _wait(self, recovered: StopToken, seconds: float, stop: StopToken | None) -> None:
        either = recovered.child()
        unregister = stop.on_cancel(lambda: either.cancel("stopped")) if stop else lambda: None
        try:
            self._clock.wait(either, seconds)
        finally:
            unregister()
            either.detach()

    def _free_slot(self, now: float) -> float:
        slot = max(now, self._next_slot) if self.ill else now
        if len(self._unproven_slots) == UNPROVEN_REQUESTS_PER_SECOND:
            slot = max(slot, self._unproven_slots[0] + 1.0)
        return slot

    def report(self, *, healthy: bool) -> None:
        """Tells how a request ended: answered, or no answer, 429 or 5xx."""
        with self._lock:
            if not healthy:
                self._failures += 1
                self._lose_proof()
                return
            self._failures = 0
            if self._proven:
                return
            self._proven = True
            recovered, self._recovered = self._recovered, StopToken()
        recovered.cancel("the API server answers again")

    def report_refusal(self) -> None:
        """Tells that a request was refused, such as with 403 or 404."""
        with self._lock:
            self._failures = 0

    def doubt(self) -> None:
        """Tells that a stream has ended that nobody here ended: the server may be going away."""
        with self._lock:
            self._lose_proof()

    def _lose_proof(self) -> None:
        if self._proven:
            self._proven = False
            self._next_slot = 0.0
            self._unproven_slots.clear()
