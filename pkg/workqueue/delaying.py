"""Adding a key later: one timer thread serves all queues of a process.

A key waits once per queue; a second wish only moves it earlier (util/workqueue/delaying_queue.go). A wish for the
past is an add.
"""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Callable, Hashable

import structlog

from pkg.kube.clock import Clock
from pkg.kube.stop import StopToken

HEARTBEAT_SECONDS = 10.0

log = structlog.get_logger()


class Timer:
    """Calls functions at times; a slot (queue and key) holds at most one call, the earliest asked for."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._count = itertools.count()
        self._heap: list[tuple[float, int, Hashable]] = []
        self._calls: dict[Hashable, tuple[float, Callable[[], None]]] = {}
        self._nudge = StopToken()

    def call_after(self, slot: Hashable, seconds: float, call: Callable[[], None]) -> None:
        """Calls in that many seconds, or earlier if the slot holds an earlier call already."""
        at = self._clock.monotonic() + seconds
        with self._lock:
            held = self._calls.get(slot)
            if held is not None and held[0] <= at:
                return
            self._calls[slot] = (at, call)
            heapq.heappush(self._heap, (at, next(self._count), slot))
            nudge = self._nudge
        nudge.cancel("earlier call")

    def run(self, stop: StopToken) -> None:
        """Makes the calls until stopped."""
        unregister = stop.on_cancel(lambda: self._nudge.cancel("stopped"))
        while not stop.cancelled:
            for call in self.take_due():
                _make(call)
            with self._lock:
                nudge = self._nudge = StopToken() if self._nudge.cancelled else self._nudge
                wait_seconds = self._until_next()
            if not stop.cancelled:
                self._clock.wait(nudge, wait_seconds)
        unregister()

    def take_due(self) -> list[Callable[[], None]]:
        """Removes and returns the calls whose time has come."""
        now = self._clock.monotonic()
        due = []
        with self._lock:
            while self._heap and self._heap[0][0] <= now:
                at, _, slot = heapq.heappop(self._heap)
                held = self._calls.get(slot)
                if held is not None and held[0] == at:
                    due.append(held[1])
                    del self._calls[slot]
        return due

    def _until_next(self) -> float:
        if not self._heap:
            return HEARTBEAT_SECONDS
        return min(HEARTBEAT_SECONDS, max(0.0, self._heap[0][0] - self._clock.monotonic()))


def _make(call: Callable[[], None]) -> None:
    """One broken call must not end the thread that serves every queue."""
    try:
        call()
    except Exception:
        log.exception("Delayed call failed")
