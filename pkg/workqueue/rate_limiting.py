"""The queue that controllers use: deduplicating, delaying and rate-limited."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TypeVar

from pkg.kube.clock import Clock
from pkg.workqueue.deduplicating import Queue
from pkg.workqueue.delaying import Timer
from pkg.workqueue.metrics import BoundMetrics
from pkg.workqueue.ordering import NORMAL_PRIORITY
from pkg.workqueue.ratelimit import ExponentialFailureLimiter

K = TypeVar("K", bound=Hashable)


class RateLimitingQueue(Queue[K]):
    """A queue with `add_after` and `add_rate_limited`."""

    def __init__(
        self, timer: Timer, clock: Clock, metrics: BoundMetrics, limiter: ExponentialFailureLimiter[K] | None = None
    ) -> None:
        super().__init__(clock, metrics)
        self._timer = timer
        self._limiter = limiter or ExponentialFailureLimiter[K]()
        self._delayed: dict[K, int] = {}

    def add_after(self, key: K, seconds: float, *, priority: int = NORMAL_PRIORITY) -> None:
        """Adds later; a key that waits already is only moved earlier, and its priority only raised."""
        if self.shutting_down:
            return
        self._metrics.retries.inc()
        if seconds <= 0:
            self.add(key, priority=priority)
            return
        with self._filled:
            self._delayed[key] = max(priority, self._delayed.get(key, priority))
        self._timer.call_after((id(self), key), seconds, lambda: self._add_delayed(key))

    def _add_delayed(self, key: K) -> None:
        with self._filled:
            priority = self._delayed.pop(key, NORMAL_PRIORITY)
        self.add(key, priority=priority)

    def add_rate_limited(self, key: K, *, priority: int = NORMAL_PRIORITY) -> None:
        """Adds after the time that the key's failures deserve."""
        self.add_after(key, self._limiter.when(key), priority=priority)

    def forget(self, key: K) -> None:
        """Starts over with a key's failures; it stays in the queue if it is there."""
        self._limiter.forget(key)

    def num_requeues(self, key: K) -> int:
        """How many failures were counted for a key."""
        return self._limiter.num_requeues(key)
