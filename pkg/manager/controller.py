"""A controller: a queue of keys, workers that reconcile them, and the informers that feed the queue.

At shutdown it stops taking work in two steps. First nothing that informers or timers say counts any more; only keys
that were enqueued by name, as the end of an operation does, are still reconciled, so that outcomes are recorded.
When none of those is left, or the time is over, the workers end.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar

import structlog

from pkg.apis.meta import Object
from pkg.informers.informer import SharedInformer
from pkg.kube.clock import Clock
from pkg.kube.errors import ConflictError
from pkg.kube.stop import StopToken
from pkg.manager.controller_metrics import ControllerMetrics
from pkg.manager.enqueuer import Enqueuer, own_key
from pkg.manager.predicates import Predicate
from pkg.manager.reconciler import Reconciler, Result, TerminalError
from pkg.manager.threads import join_all
from pkg.manager.time_limit import TimeLimit
from pkg.workqueue.delaying import Timer
from pkg.workqueue.key import Key
from pkg.workqueue.metrics import QueueMetrics
from pkg.workqueue.rate_limiting import RateLimitingQueue

SYNC_LOOK_SECONDS = 60.0

log = structlog.get_logger()

T = TypeVar("T", bound=Object)


class _Synced(Protocol):
    """A handler's place at an informer of whatever type."""

    def wait_synced(self, stop: StopToken, timeout_seconds: float) -> bool: ...


class Controller:
    """Reconciles the keys that its informers name; each worker is a thread.

    Args:
        workers: How many keys are reconciled at the same time.
        reconcile_seconds: A reconcile that takes longer is counted, logged and told (`pkg.manager.time_limit`);
            0 for no limit.
    """

    def __init__(
        self,
        name: str,
        reconciler: Reconciler,
        *,
        timer: Timer,
        clock: Clock,
        queue_metrics: QueueMetrics,
        metrics: ControllerMetrics,
        workers: int = 1,
        reconcile_seconds: float = 0.0,
    ) -> None:
        self.name = name
        self._reconciler = reconciler
        self._workers = workers
        self._reconcile_seconds = reconcile_seconds
        self._timer = timer
        self._clock = clock
        self._queue: RateLimitingQueue[Key] = RateLimitingQueue(timer, clock, queue_metrics.of(name))
        self._registrations: list[_Synced] = []
        self._threads: list[threading.Thread] = []
        self._metrics = metrics.of(name, workers)
        self._settled = threading.Condition()
        self._owed: set[Key] = set()
        self._active = 0
        self._stopping = False

    def watch(
        self,
        informer: SharedInformer[T],
        keys: Callable[[T], Iterable[Key]] | None = None,
        *,
        predicate: Predicate[T] | None = None,
        resync_seconds: float = 0.0,
    ) -> None:
        """Enqueues the keys of every object that is added, changed (before and after) or deleted.

        Args:
            informer: Where the objects come from.
            keys: Maps an object to keys, such as `owner_keys`; without it, to its own.
            predicate: Only changes that it lets through.
            resync_seconds: Enqueues everything that often, behind all live changes; 0 never.
        """
        handler = Enqueuer(self._queue.add, keys or own_key, predicate)
        self._registrations.append(informer.add_handler(handler, resync_seconds))

    def enqueue(self, key: Key) -> None:
        """Queues a key; it is reconciled also when the controller is stopping."""
        with self._settled:
            self._owed.add(key)
        self._queue.add(key)

    def enqueue_after(self, key: Key, seconds: float) -> None:
        """Queues a key later."""
        self._queue.add_after(key, seconds)

    def wait_synced(self, stop: StopToken) -> bool:
        """Blocks until the keys of all objects that are there have come; False when stopped first."""
        for registration in self._registrations:
            while not registration.wait_synced(stop, SYNC_LOOK_SECONDS):
                if stop.cancelled:
                    return False
        return True

    def start(self) -> None:
        """Starts the workers."""
        for number in range(self._workers):
            thread = threading.Thread(target=self._work, name=f"{self.name}-{number}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop_taking(self) -> None:
        """From now on reconciles only what was enqueued by name."""
        with self._settled:
            self._stopping = True
            self._settled.notify_all()

    def drain(self, timeout_seconds: float) -> bool:
        """Waits, after `stop_taking`, until nothing that was enqueued by name is left; returns whether that is so."""
        with self._settled:
            if not self._threads:
                return not self._owed
            return self._settled.wait_for(lambda: not self._owed and not self._active, timeout_seconds)

    def shut_down(self) -> None:
        """Lets the workers end after the reconcile they are in."""
        with self._settled:
            self._stopping = True
            self._owed.clear()
        self._queue.shut_down()

    def join(self, timeout_seconds: float) -> list[threading.Thread]:
        """Waits for the workers; returns those that have not ended."""
        return join_all(self._threads, timeout_seconds)

    def _work(self) -> None:
        limit = None
        if self._reconcile_seconds > 0:
            limit = TimeLimit(self._reconcile_seconds, self._timer, self._clock, self._metrics.timeouts.inc)
        while (key := self._queue.get()) is not None:
            try:
                self._take(key, limit)
            finally:
                self._queue.done(key)

    def _take(self, key: Key, limit: TimeLimit | None) -> None:
        with self._settled:
            owed = key in self._owed
            if self._stopping and not owed:
                return
            self._owed.discard(key)
            self._active += 1
        started = self._clock.monotonic()
        self._metrics.active.inc()
        try:
            with limit.over(key) if limit else contextlib.nullcontext():
                self.process(key, owed=owed)
        finally:
            self._metrics.active.dec()
            self._metrics.seconds.observe(self._clock.monotonic() - started)
            with self._settled:
                self._active -= 1
                self._settled.notify_all()

    def process(self, key: Key, *, owed: bool = False) -> None:
        """One reconcile and what the queue does after it; see pkg/manager/reconciler.py."""
        with structlog.contextvars.bound_contextvars(controller=self.name, key=str(key)):
            try:
                result = self._reconciler.reconcile(key)
            except TerminalError as error:
                self._metrics.terminal.inc()
                self._failed(error)
            except BaseException as error:  # a worker outlives whatever a reconciler raises
                self._failed(error)
                self._again_after_failure(key, owed=owed)
            else:
                self._ended(key, result)

    def _ended(self, key: Key, result: Result) -> None:
        self._queue.forget(key)
        if result.again_seconds is None:
            self._metrics.success.inc()
            return
        self._metrics.requeue_after.inc()
        self._queue.add_after(key, result.again_seconds, priority=self._queue.priority_of(key))

    def _again_after_failure(self, key: Key, *, owed: bool) -> None:
        with self._settled:
            if owed and not self._queue.shutting_down:
                self._owed.add(key)
        self._queue.add_rate_limited(key, priority=self._queue.priority_of(key))

    def _failed(self, error: BaseException) -> None:
        self._metrics.error.inc()
        self._metrics.errors.inc()
        if isinstance(error, ConflictError):
            log.debug("Reconcile saw an old object", error=str(error))
            return
        unforeseen = _unforeseen(error)
        if unforeseen:
            self._metrics.panics.inc()
        log.error(
            "Reconcile failed", error=str(error), kind=type(error).__name__, exc_info=error if unforeseen else None
        )


def _unforeseen(error: BaseException) -> bool:
    """Whether the error is a programming error, whose stack the log must show."""
    return type(error).__module__ == "builtins"
