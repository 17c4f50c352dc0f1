"""client-go's work queue (util/workqueue/queue.go): fair, deduplicating, never one key to two workers at once.

A key that is added while it waits is in the queue once; one that is added while it is worked on is queued again when
that work is done. So N changes during one reconcile cost one more, and none is lost.

Keys of a higher priority come first (controller-runtime's priority queue): what merely exists when the process starts
is added with `LOW_PRIORITY`, so that a live change overtakes a cold start. A key that is added again keeps the highest
priority that was asked for.
"""

from __future__ import annotations

import threading
from collections.abc import Hashable
from typing import Final, Generic, TypeVar

from pkg.kube.clock import Clock
from pkg.workqueue.metrics import BoundMetrics
from pkg.workqueue.ordering import NORMAL_PRIORITY, Ordering

K = TypeVar("K", bound=Hashable)

LOW_PRIORITY: Final = -100


class Queue(Generic[K]):
    """The queue; `get` and `done` frame the work on a key."""

    def __init__(self, clock: Clock, metrics: BoundMetrics) -> None:
        self._clock = clock
        self._metrics = metrics
        lock = threading.Lock()
        self._filled = threading.Condition(lock)
        self._idle = threading.Condition(lock)  # apart from _filled, so that a wake-up for a worker reaches a worker
        self._order: Ordering[K] = Ordering()
        self._dirty: dict[K, float] = {}
        self._priorities: dict[K, int] = {}  # of dirty keys, where it is not the normal one
        self._processing: dict[K, float] = {}
        self._taken_priorities: dict[K, int] = {}  # of keys that are worked on, likewise
        self._shutting_down = False
        self._draining = False
        self._metrics.depth.set_function(self._order.__len__)
        self._metrics.unfinished.set_function(self._unfinished_seconds)
        self._metrics.longest.set_function(self._longest_seconds)

    def __len__(self) -> int:
        with self._filled:
            return len(self._order)

    @property
    def shutting_down(self) -> bool:
        """Whether no key is taken any more."""
        return self._shutting_down

    def add(self, key: K, *, priority: int = NORMAL_PRIORITY) -> None:
        """Queues a key, or raises its priority if it is queued already; ignored when shutting down."""
        with self._filled:
            if self._shutting_down:
                return
            if key in self._dirty:
                self._raise(key, priority)
                return
            self._metrics.adds.inc()
            self._dirty[key] = self._clock.monotonic()
            if priority != NORMAL_PRIORITY:
                self._priorities[key] = priority
            if key not in self._processing:
                self._append(key)

    def _raise(self, key: K, priority: int) -> None:
        if not self._priorities and priority <= NORMAL_PRIORITY:
            return
        before = self._priorities.get(key, NORMAL_PRIORITY)
        if priority > before:
            self._priorities[key] = priority
            self._order.move(key, before, priority)

    def priority_of(self, key: K) -> int:
        """The priority with which a key that is worked on was taken."""
        return self._taken_priorities.get(key, NORMAL_PRIORITY)

    def get(self, timeout_seconds: float | None = None) -> K | None:
        """The next key; blocks. None when the time is over, or the queue is shut down and empty."""
        with self._filled:
            self._filled.wait_for(lambda: self._order or self._shutting_down, timeout_seconds)
            if not self._order:
                return None
            key = self._order.pop()
            now = self._clock.monotonic()
            self._metrics.waited.observe(now - self._dirty.pop(key, now))
            self._processing[key] = now
            if self._priorities and key in self._priorities:
                self._taken_priorities[key] = self._priorities.pop(key)
            return key

    def done(self, key: K) -> None:
        """Ends the work on a key; it is queued again if it was added meanwhile."""
        with self._filled:
            started = self._processing.pop(key, None)
            if started is None:
                return
            self._taken_priorities.pop(key, None)
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
        self._order.append(key, self._priorities.get(key, NORMAL_PRIORITY))
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
