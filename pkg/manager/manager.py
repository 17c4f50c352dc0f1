"""Starts a daemon's parts in order and stops them in the opposite one (design.md, invariant 11).

Start: health server, informers and their first lists, other runnables, the lease, controllers. Stop: controllers
take no more work, operations are asked to end and get their grace, their ends are recorded, then informers and other
runnables end, and the lease is released last. Losing the lease ends everything at once with a non-zero exit code,
because another leader may start.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

import structlog
from prometheus_client import GC_COLLECTOR, PLATFORM_COLLECTOR, CollectorRegistry, ProcessCollector

from pkg.informers.factory import InformerFactory
from pkg.kube.client import Client
from pkg.kube.clock import Clock
from pkg.kube.stop import StopToken
from pkg.manager.checks import Check
from pkg.manager.controller import Controller
from pkg.manager.controller_metrics import ControllerMetrics
from pkg.manager.events import EventRecorder
from pkg.manager.health import HealthServer
from pkg.manager.leader import LeaderElector
from pkg.manager.reconciler import Reconciler
from pkg.manager.threads import join_all, report_stuck
from pkg.workqueue.delaying import Timer
from pkg.workqueue.metrics import QueueMetrics

SYNC_SECONDS = 120.0
RECORD_SECONDS = 5.0
JOIN_SECONDS = 3.0
SHUTDOWN = "shutdown"
LOST_LEASE = "lost the lease"

log = structlog.get_logger()


class LongWork(Protocol):
    """Operations of whatever result."""

    def cancel_all(self, reason: str) -> None:
        """Asks all to end, and starts no more."""
        ...

    def wait_all(self, timeout_seconds: float) -> list[threading.Thread]:
        """Waits for all to end; returns the threads that have not."""
        ...


class Manager:
    """Holds what a daemon is made of and runs it.

    Args:
        grace_seconds: From the stop to the end of the last operation and its record.
        component: What Events name as their source.
    """

    def __init__(
        self,
        client: Client,
        *,
        metrics_address: str,
        grace_seconds: float,
        registry: CollectorRegistry,
        clock: Clock,
        elector: LeaderElector | None = None,
        component: str = "ark",
    ) -> None:
        self._grace_seconds = grace_seconds
        self._clock = clock
        self._elector = elector
        ProcessCollector(registry=registry)
        registry.register(GC_COLLECTOR)
        registry.register(PLATFORM_COLLECTOR)
        self.factory = InformerFactory(client, clock=clock, registry=registry)
        self.health = HealthServer(metrics_address, registry)
        self.events = EventRecorder(client, component, clock)
        self._timer = Timer(clock)
        self._queue_metrics = QueueMetrics(registry)
        self._controller_metrics = ControllerMetrics(registry)
        self._controllers: list[Controller] = []
        self._operations: list[LongWork] = []
        self._runnables: list[tuple[str, Callable[[StopToken], None]]] = []
        self._threads: list[threading.Thread] = []
        self._working = StopToken()
        self._recording = StopToken()
        self._leading = StopToken()
        self._events_thread: threading.Thread | None = None
        self._lease_thread: threading.Thread | None = None
        self._failed = ""
        self.add_ready_check("informers", self._informers_ready)

    def controller(
        self, name: str, reconciler: Reconciler, *, workers: int = 1, reconcile_seconds: float = 0.0
    ) -> Controller:
        """Makes a controller that runs with this manager; ValueError when the name is taken."""
        if name in [controller.name for controller in self._controllers]:
            raise ValueError(f"there is a controller {name} already")
        controller = Controller(
            name,
            reconciler,
            timer=self._timer,
            clock=self._clock,
            queue_metrics=self._queue_metrics,
            metrics=self._controller_metrics,
            workers=workers,
            reconcile_seconds=reconcile_seconds,
        )
        self._controllers.append(controller)
        return controller

    def add_operations(self, operations: LongWork) -> None:
        """Lets operations have their part of the grace period."""
        self._operations.append(operations)

    def add_runnable(self, name: str, run: Callable[[StopToken], None]) -> None:
        """Adds something that blocks until stopped, such as a listener; it runs whether or not this one leads."""
        self._runnables.append((name, run))

    def add_ready_check(self, name: str, check: Check) -> None:
        """Adds a condition of being ready."""
        self.health.add_ready_check(name, check)

    def add_health_check(self, name: str, check: Check) -> None:
        """Adds a condition of being alive."""
        self.health.add_health_check(name, check)

    def run(self, stop: StopToken) -> int:
        """Runs until stopped; returns the exit code."""
        self.health.start()
        try:
            self._start(stop)
            stop.wait(None)
        finally:
            self._stop(stop)
        return 1 if self._failed else 0

    def _start(self, stop: StopToken) -> None:
        self._spawn("timer", self._timer.run, self._working, stop)
        self._events_thread = self._spawn("events", self.events.run, self._recording, stop)
        self.factory.start(self._working)
        while not self.factory.wait_for_sync(stop, SYNC_SECONDS):
            if stop.cancelled:
                return
            log.warning("Still waiting for informers", missing=", ".join(self.factory.not_synced()))
        for name, run in self._runnables:
            self._spawn(name, run, self._working, stop)
        if self._lead(stop):
            self._start_controllers(stop)

    def _lead(self, stop: StopToken) -> bool:
        """Whether this process may work: at once without a lease, else when it has it."""
        elector = self._elector
        if elector is None:
            return True
        if not elector.acquire(stop):
            return False
        self._lease_thread = self._spawn(
            "lease", lambda leading: elector.renew(leading, lambda: self._fail(LOST_LEASE, stop)), self._leading, stop
        )
        return True

    def _start_controllers(self, stop: StopToken) -> None:
        for controller in self._controllers:
            if not controller.wait_synced(stop):
                return
        for controller in self._controllers:
            controller.start()
        log.info("Started", controllers=len(self._controllers))

    def _fail(self, reason: str, stop: StopToken) -> None:
        self._failed = self._failed or reason
        stop.cancel(reason)

    def _stop(self, stop: StopToken) -> None:
        log.info("Stopping", reason=stop.reason)
        if self._failed == LOST_LEASE:
            self._stop_at_once()
        elif self._end_work() and self._elector is not None:
            self._release_lease(self._elector)
        self._recording.cancel(SHUTDOWN)
        if self._events_thread is not None and not self._failed:
            join_all([self._events_thread], JOIN_SECONDS)
        self.health.stop()
        log.info("Stopped", failed=self._failed)

    def _stop_at_once(self) -> None:
        for controller in self._controllers:
            controller.shut_down()
        for operations in self._operations:
            operations.cancel_all(LOST_LEASE)
        self._working.cancel(LOST_LEASE)

    def _end_work(self) -> bool:
        """Ends everything that the lease protects; returns whether all of it ended."""
        deadline = self._clock.monotonic() + self._grace_seconds
        for controller in self._controllers:
            controller.stop_taking()
        for operations in self._operations:
            operations.cancel_all(SHUTDOWN)
        stuck = [
            thread
            for operations in self._operations
            for thread in operations.wait_all(self._until(deadline - RECORD_SECONDS))
        ]
        for controller in self._controllers:
            if not controller.drain(self._until(deadline)):
                log.warning("Not everything was recorded", controller=controller.name)
            controller.shut_down()
        self._working.cancel(SHUTDOWN)
        deadline = self._clock.monotonic() + JOIN_SECONDS
        for controller in self._controllers:
            stuck += controller.join(self._until(deadline))
        self.factory.shutdown(self._until(deadline))
        stuck += join_all(self._threads, self._until(deadline))
        report_stuck(stuck)
        self._failed = self._failed or ("threads did not stop" if stuck else "")
        return not stuck

    def _release_lease(self, elector: LeaderElector) -> None:
        self._leading.cancel(SHUTDOWN)
        if self._lease_thread is None or not join_all([self._lease_thread], 2 * JOIN_SECONDS):
            elector.release()

    def _until(self, deadline: float) -> float:
        return max(0.0, deadline - self._clock.monotonic())

    def _spawn(
        self, name: str, run: Callable[[StopToken], None], token: StopToken, stop: StopToken
    ) -> threading.Thread:
        """Starts a thread; one that fails ends the manager."""

        def guarded() -> None:
            try:
                run(token)
            except BaseException as error:
                log.exception("Runnable crashed", runnable=name, error=repr(error))
                self._fail(f"{name} ended: {error!r}", stop)

        thread = threading.Thread(target=guarded, name=name, daemon=True)
        if token is self._working:
            self._threads.append(thread)
        thread.start()
        return thread

    def _informers_ready(self) -> str | None:
        missing = self.factory.not_synced()
        return f"not synced: {', '.join(missing)}" if missing else None
