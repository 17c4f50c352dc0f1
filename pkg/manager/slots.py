"""How many operations run at once; the limit may change while they run, and groups share fairly.

Where half of the slots is kept for small work, large work never takes more than the other half, so that what is over
in seconds does not wait for hours. Work is large if its last run took a minute, or once this one does; of work that
never ran nothing is known, and it is small for its first minute.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from pkg.kube.clock import REAL_CLOCK, Clock

WAITING_SECONDS = 5.0
SMALL_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who holds a slot, or waits for one.

    Attributes:
        since: When it got it, or asked last.
        last_seconds: How long the same took the last time; None where that is not known.
    """

    group: str
    since: float
    last_seconds: float | None = None

    @property
    def is_known_small(self) -> bool:
        """Whether its last run was over within a minute."""
        return self.last_seconds is not None and self.last_seconds < SMALL_SECONDS

    def is_large(self, now: float) -> bool:
        """Whether its last run took a minute or, of a holder, this one does."""
        return (self.last_seconds or 0.0) >= SMALL_SECONDS or now - self.since >= SMALL_SECONDS


def kept_for_small(limit: int) -> int:
    """How many slots large work leaves free; none where there is only one."""
    return limit // 2


def has_room(asking: Holder, holding: Iterable[Holder], *, limit: int, keep: bool, now: float) -> bool:
    """Whether a slot is free for that one.

    Args:
        asking: Who wants it.
        holding: Who has one.
        limit: How many there are.
        keep: Whether half of them is kept for small work.
        now: Monotonic seconds.
    """
    holding = tuple(holding)
    if len(holding) >= limit:
        return False
    if not keep or asking.is_known_small:
        return True
    return sum(holder.is_large(now) for holder in holding) < limit - kept_for_small(limit)


class Slots:
    """Slots that holders take and release; taking is idempotent.

    Fair among groups: while others wait that could begin, a group that holds more than its equal part gets no further
    slot. Who waits must call `try_take` again and again; one that has not asked for five seconds has given up, so an
    object that was deleted while it waited holds nobody back.

    Args:
        limit: How many there are, or who says so; asked at each take, and nobody loses a slot when it falls.
        keep_for_small: Whether half of them is kept for small work.
    """

    def __init__(
        self, limit: int | Callable[[], int], *, keep_for_small: bool = False, clock: Clock = REAL_CLOCK
    ) -> None:
        self._clock = clock
        self._keep = keep_for_small
        self._lock = threading.Lock()
        self._limit = limit
        self._holders: dict[str, Holder] = {}
        self._waiting: dict[str, Holder] = {}

    @property
    def in_use(self) -> int:
        """How many are taken."""
        with self._lock:
            return len(self._holders)

    @property
    def waiting(self) -> int:
        """How many asked in vain just now."""
        now = self._clock.monotonic()
        with self._lock:
            self._forget_silent(now)
            return len(self._waiting)

    @property
    def limit(self) -> int:
        """How many there are."""
        return self._limit if isinstance(self._limit, int) else self._limit()

    def try_take(self, holder: str, group: str, last_seconds: float | None = None) -> bool:
        """Takes a slot for a holder if there is one for its group; True also when it has one."""
        limit, now = self.limit, self._clock.monotonic()
        asking = Holder(group=group, since=now, last_seconds=last_seconds)
        with self._lock:
            if holder in self._holders:
                return True
            self._forget_silent(now)
            self._waiting[holder] = asking
            if not self._has_room(asking, limit, now) or not self._is_fair(group, limit, now):
                return False
            del self._waiting[holder]
            self._holders[holder] = asking
            return True

    def release(self, holder: str) -> None:
        """Gives a slot back, or stops waiting for one."""
        with self._lock:
            self._holders.pop(holder, None)
            self._waiting.pop(holder, None)

    def _has_room(self, asking: Holder, limit: int, now: float) -> bool:
        return has_room(asking, self._holders.values(), limit=limit, keep=self._keep, now=now)

    def _is_fair(self, group: str, limit: int, now: float) -> bool:
        """Whether no waiting group that could begin holds fewer slots than this one."""
        held = Counter(holder.group for holder in self._holders.values())
        fewer = (other for other in self._waiting.values() if held[other.group] < held[group])
        return not any(self._has_room(other, limit, now) for other in fewer)

    def _forget_silent(self, now: float) -> None:
        self._waiting = {who: one for who, one in self._waiting.items() if now - one.since <= WAITING_SECONDS}
