"""client-go's work queue (util/workqueue/queue.go): fair, deduplicating, never one key to two workers at once.

A key that is added while it waits is in the queue once; one that is added while it is worked on is queued again when
that work is done. So N changes during one reconcile cost one more, and none is lost.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Hashable
from typing import Generic, TypeVar

from pkg.kube.clock import Clock
from pkg.workqueue.metrics import BoundMetrics

K = TypeVar("K", bound=Hashable)


class Queue(Generic[K]):
    """The queue; `get` and `done` frame the work on a key."""

    def __init__(self, clock: Clock, metrics: BoundMetrics) -> None:
        self._clock = clock
        self._metrics = metrics
        lock = threading.Lock()
        self._filled = threading.Condition(lock)
        self._idle = threading.Condition(lock)  # apart from _filled, so that a wake-up for a worker reaches a worker
        self._order: deque[K] = deque()
        self._dirty: dict[K, float] = {}
        self._processing: dict[K, float] = {}
        self._shutting_down = False
        self._draining = False
        self._metrics.unfinished.set_function(self._unfinished_seconds)
        self._metrics.longest.set_function(self._longest_seconds)

    def __len__(self) -> int:
        with self._filled:
            return len(self._order)

    @property
    def shutting_down(self) -> bool:
        """Whether no key is taken any more."""
        return self._shutting_down

    def add(self, key: K) -> None:
        """Queues a key unless it is queued already; ignored when shutting down."""
        with self._filled:
            if self._shutting_down or key in self._dirty:
                return
            self._metrics.adds.inc()
            self._dirty[key] = self._clock.monotonic()
            if key not in self._processing:
                self._append(key)

    def get(self, timeout_seconds: float | None = None) -> K | None:
        """The next key; blocks. None when the time is over, or the queue is shut down and empty."""
        with self._filled:
            self._filled.wait_for(lambda: self._order or self._shutting_down, timeout_seconds)
            if not self._order:
                return None
            key = self._order.popleft()
            now = self._clock.monotonic()
            self._metrics.depth.set(len(self._order))
            self._metrics.waited.observe(now - self._dirty.pop(key, now))
            self._processing[key] = now
            return key

    def done(self, key: K) -> None:
        """Ends the work on a key; it is queued again if it was added meanwhile."""
        with self._filled:
            started = self._processing.pop(key, None)
            if started is None:
                return
            self._metrics.worked.observe(self._clock.monotonic() - started)
            if key in self._dirty:
                self._append(key)
            elif not self._processing:
                self._idle.notify_all()

    def shut_down(self) -> None:
        """Takes no more keys; workers drain what is queued. Ends the wait of a drain."""
        with self._filled:
            self._shutting_down = True
            self._draining = False
            self._filled.notify_all()
            self._idle.notify_all()

    def shut_down_with_drain(self, timeout_seconds: float) -> bool:
        """Shuts down and waits until nothing is queued or worked on; returns whether that was reached."""
        with self._filled:
            self._shutting_down = True
            self._draining = True
            self._filled.notify_all()
            self._idle.wait_for(lambda: self._drained() or not self._draining, timeout_seconds)
            return self._drained()

    def _drained(self) -> bool:
        return not self._processing and not self._order

    def _append(self, key: K) -> None:
        self._order.append(key)
        self._metrics.depth.set(len(self._order))
        self._filled.notify()

    def _unfinished_seconds(self) -> float:
        now = self._clock.monotonic()
        return sum(now - started for started in self._starts())

    def _longest_seconds(self) -> float:
        now = self._clock.monotonic()
        return max((now - started for started in self._starts()), default=0.0)

    def _starts(self) -> list[float]:
        with self._filled:
            return list(self._processing.values())
