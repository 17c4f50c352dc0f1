"""How many operations run at once; the limit may change while they run, and groups share fairly."""

from __future__ import annotations

import threading
from collections import Counter

from pkg.kube.clock import REAL_CLOCK, Clock

WAITING_SECONDS = 5.0


class Slots:
    """Slots that holders take and release; taking is idempotent.

    Fair among groups: while others wait, a group that holds more than its equal part gets no further slot. Who waits
    must call `try_take` again and again; one that has not asked for five seconds has given up, so an object that was
    deleted while it waited holds nobody back.
    """

    def __init__(self, limit: int, *, clock: Clock = REAL_CLOCK) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._limit = limit
        self._holders: dict[str, str] = {}
        self._waiting: dict[str, tuple[str, float]] = {}

    @property
    def in_use(self) -> int:
        """How many are taken."""
        with self._lock:
            return len(self._holders)

    @property
    def limit(self) -> int:
        """How many there are."""
        return self._limit

    def set_limit(self, limit: int) -> None:
        """Changes the limit; nobody loses a slot."""
        with self._lock:
            self._limit = limit

    def try_take(self, holder: str, group: str) -> bool:
        """Takes a slot for a holder if there is one for its group; True also when it has one."""
        with self._lock:
            if holder in self._holders:
                return True
            now = self._clock.monotonic()
            self._waiting[holder] = (group, now)
            if len(self._holders) >= self._limit or not self._is_fair(group, now):
                return False
            del self._waiting[holder]
            self._holders[holder] = group
            return True

    def release(self, holder: str) -> None:
        """Gives a slot back, or stops waiting for one."""
        with self._lock:
            self._holders.pop(holder, None)
            self._waiting.pop(holder, None)

    def _is_fair(self, group: str, now: float) -> bool:
        """Whether no waiting group holds fewer slots than this one."""
        self._waiting = {who: asked for who, asked in self._waiting.items() if now - asked[1] <= WAITING_SECONDS}
        held = Counter(self._holders.values())
        return all(held[group] <= held[other] for other, _ in self._waiting.values())
