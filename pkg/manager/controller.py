"""A controller: a queue of keys, workers that reconcile them, and the informers that feed the queue."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from pkg.apis.meta import Object
from pkg.informers.informer import SharedInformer
from pkg.kube.clock import Clock
from pkg.kube.errors import ConflictError
from pkg.manager.reconciler import Reconciler, TerminalError
from pkg.workqueue.delaying import Timer
from pkg.workqueue.key import Key
from pkg.workqueue.metrics import QueueMetrics
from pkg.workqueue.rate_limiting import RateLimitingQueue

RESULTS = ("success", "requeue_after", "error")
SECONDS_BUCKETS = (0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)

log = structlog.get_logger()

T = TypeVar("T", bound=Object)


class ControllerMetrics:
    """controller-runtime's series of all controllers of one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.total = Counter(
            "controller_runtime_reconcile", "Reconciles by result.", ["controller", "result"], registry=registry
        )
        self.errors = Counter(
            "controller_runtime_reconcile_errors", "Reconciles that failed.", ["controller"], registry=registry
        )
        self.terminal = Counter(
            "controller_runtime_terminal_reconcile_errors", "Failures for good.", ["controller"], registry=registry
        )
        self.seconds = Histogram(
            "controller_runtime_reconcile_time_seconds",
            "How long reconciles took.",
            ["controller"],
            buckets=SECONDS_BUCKETS,
            registry=registry,
        )
        self.active = Gauge(
            "controller_runtime_active_workers", "Workers in a reconcile.", ["controller"], registry=registry
        )


class Controller:
    """Reconciles the keys that its informers name; each worker is a thread."""

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
    ) -> None:
        self.name = name
        self._reconciler = reconciler
        self._workers = workers
        self._clock = clock
        self._queue: RateLimitingQueue[Key] = RateLimitingQueue(timer, clock, queue_metrics.of(name))
        self._threads: list[threading.Thread] = []
        self._total = {result: metrics.total.labels(name, result) for result in RESULTS}
        self._errors = metrics.errors.labels(name)
        self._terminal = metrics.terminal.labels(name)
        self._seconds = metrics.seconds.labels(name)
        self._active = metrics.active.labels(name)

    def watch(self, informer: SharedInformer[T], keys: Callable[[T], Iterable[Key]] | None = None) -> None:
        """Enqueues the keys of every object that is added, changed (before and after) or deleted."""
        informer.add_handler(_Enqueuer(self._queue.add, keys or own_key))

    def enqueue(self, key: Key) -> None:
        """Queues a key."""
        self._queue.add(key)

    def enqueue_after(self, key: Key, seconds: float) -> None:
        """Queues a key later."""
        self._queue.add_after(key, seconds)

    def start(self) -> None:
        """Starts the workers."""
        for number in range(self._workers):
            thread = threading.Thread(target=self._work, name=f"{self.name}-{number}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def shut_down(self) -> None:
        """Takes no more keys; workers end when the queue is empty."""
        self._queue.shut_down()

    def join(self, timeout_seconds: float) -> list[threading.Thread]:
        """Waits for the workers; returns those that have not ended."""
        deadline = self._clock.monotonic() + timeout_seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - self._clock.monotonic()))
        return [thread for thread in self._threads if thread.is_alive()]

    def _work(self) -> None:
        while True:
            key = self._queue.get()
            if key is None:
                return
            self._active.inc()
            started = self._clock.monotonic()
            try:
                self.process(key)
            finally:
                self._queue.done(key)
                self._active.dec()
                self._seconds.observe(self._clock.monotonic() - started)

    def process(self, key: Key) -> None:
        """One reconcile and what the queue does after it; see pkg/manager/reconciler.py."""
        with structlog.contextvars.bound_contextvars(controller=self.name):
            try:
                result = self._reconciler.reconcile(key)
            except TerminalError as error:
                self._terminal.inc()
                self._failed(key, error)
            except Exception as error:
                self._failed(key, error)
                self._queue.add_rate_limited(key)
            else:
                self._queue.forget(key)
                if result.again_seconds is None:
                    self._total["success"].inc()
                else:
                    self._total["requeue_after"].inc()
                    self._queue.add_after(key, result.again_seconds)

    def _failed(self, key: Key, error: Exception) -> None:
        self._total["error"].inc()
        self._errors.inc()
        if isinstance(error, ConflictError):
            log.debug("Reconcile saw an old object", key=str(key), error=str(error))
            return
        log.error(
            "Reconcile failed", key=str(key), error=str(error), kind=type(error).__name__, exc_info=_unforeseen(error)
        )


def _unforeseen(error: Exception) -> bool:
    """Whether the error is a programming error, whose stack the log must show."""
    return type(error).__module__ == "builtins"


def own_key(obj: Object) -> Iterable[Key]:
    """The key of the object itself."""
    return (Key(obj.metadata.namespace, obj.metadata.name),)


class _Enqueuer(Generic[T]):
    """An event handler that only maps objects to keys."""

    def __init__(self, add: Callable[[Key], None], keys: Callable[[T], Iterable[Key]]) -> None:
        self._add = add
        self._keys = keys

    def on_add(self, obj: T, initial: bool) -> None:
        self._enqueue(obj)

    def on_update(self, old: T, new: T) -> None:
        self._enqueue(old)
        self._enqueue(new)

    def on_delete(self, obj: T, final_state_known: bool) -> None:
        self._enqueue(obj)

    def _enqueue(self, obj: T) -> None:
        for key in self._keys(obj):
            self._add(key)
