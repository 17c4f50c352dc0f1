"""The queue that controllers use: deduplicating, delaying and rate-limited."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TypeVar

from pkg.kube.clock import Clock
from pkg.workqueue.deduplicating import Queue
from pkg.workqueue.delaying import Timer
from pkg.workqueue.metrics import BoundMetrics
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

    def add_after(self, key: K, seconds: float) -> None:
        """Adds later; a key that waits already is only moved earlier."""
        if self.shutting_down:
            return
        self._metrics.retries.inc()
        if seconds <= 0:
            self.add(key)
            return
        self._timer.call_after((id(self), key), seconds, lambda: self.add(key))

    def add_rate_limited(self, key: K) -> None:
        """Adds after the time that the key's failures deserve."""
        self.add_after(key, self._limiter.when(key))

    def forget(self, key: K) -> None:
        """Starts over with a key's failures; it stays in the queue if it is there."""
        self._limiter.forget(key)

    def num_requeues(self, key: K) -> int:
        """How many failures were counted for a key."""
        return self._limiter.num_requeues(key)
