"""Starts and stops a daemon in order (controller-runtime's pkg/manager).

Start: health server, informers (synced), runnables, leader lease, controllers. Stop: controllers take no more work,
operations get their grace, informers end, the lease is released after all work has, the health server last.
A lost lease ends everything at once with a non-zero exit code, because another leader may start.
"""

from __future__ import annotations

import sys
import threading
import traceback
from collections.abc import Callable

import structlog
from prometheus_client import GC_COLLECTOR, PLATFORM_COLLECTOR, CollectorRegistry, ProcessCollector

from pkg.informers.factory import InformerFactory
from pkg.kube.client import Client
from pkg.kube.clock import Clock
from pkg.kube.stop import StopToken
from pkg.manager.controller import Controller, ControllerMetrics
from pkg.manager.health import HealthServer
from pkg.manager.leader import LeaderElector
from pkg.manager.operations import Operations
from pkg.manager.reconciler import Reconciler
from pkg.workqueue.delaying import Timer
from pkg.workqueue.metrics import QueueMetrics

SYNC_SECONDS = 120.0
LOST_LEASE_GRACE_SECONDS = 2.0
SHUTDOWN = "shutdown"

log = structlog.get_logger()


class Manager:
    """Holds what a daemon is made of and runs it."""

    def __init__(
        self,
        client: Client,
        *,
        metrics_address: str,
        grace_seconds: float,
        registry: CollectorRegistry,
        clock: Clock,
        elector: LeaderElector | None = None,
    ) -> None:
        self._grace_seconds = grace_seconds
        self._clock = clock
        self._elector = elector
        ProcessCollector(registry=registry)
        registry.register(GC_COLLECTOR)
        registry.register(PLATFORM_COLLECTOR)
        self.factory = InformerFactory(client, clock=clock, registry=registry)
        self.health = HealthServer(metrics_address, registry)
        self._timer = Timer(clock)
        self._queue_metrics = QueueMetrics(registry)
        self._controller_metrics = ControllerMetrics(registry)
        self._controllers: list[Controller] = []
        self._operations: list[Operations[object]] = []
        self._runnables: list[tuple[str, Callable[[StopToken], None]]] = []
        self._working = StopToken()
        self._failed = ""
        self.health.add_ready_check("informers", self._informers_ready)

    def controller(self, name: str, reconciler: Reconciler, *, workers: int = 1) -> Controller:
        """Makes a controller that runs with this manager."""
        controller = Controller(
            name,
            reconciler,
            timer=self._timer,
            clock=self._clock,
            queue_metrics=self._queue_metrics,
            metrics=self._controller_metrics,
            workers=workers,
        )
        self._controllers.append(controller)
        return controller

    def add_operations(self, operations: Operations[object]) -> None:
        """Lets operations have their part of the grace period."""
        self._operations.append(operations)

    def add_runnable(self, name: str, run: Callable[[StopToken], None]) -> None:
        """Adds something that blocks until stopped, such as a listener."""
        self._runnables.append((name, run))

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
        self._spawn("timer", self._timer.run, stop)
        self.factory.start(self._working)
        while not self.factory.wait_for_sync(stop, SYNC_SECONDS):
            if stop.cancelled:
                return
            log.warning("Still waiting for informers", missing=", ".join(self.factory.not_synced()))
        for name, run in self._runnables:
            self._spawn(name, run, stop)
        if self._elector is not None:
            elector = self._elector
            if not elector.acquire(stop):
                return
            self._spawn("lease", lambda working: elector.renew(working, lambda: self._lose(stop)), stop)
        for controller in self._controllers:
            controller.start()
        log.info("Started", controllers=len(self._controllers))

    def _lose(self, stop: StopToken) -> None:
        self._failed = "lost the lease"
        stop.cancel(self._failed)

    def _stop(self, stop: StopToken) -> None:
        log.info("Stopping", reason=stop.reason)
        grace = LOST_LEASE_GRACE_SECONDS if self._failed else self._grace_seconds
        deadline = self._clock.monotonic() + grace
        for controller in self._controllers:
            controller.shut_down()
        for operations in self._operations:
            operations.cancel_all(SHUTDOWN)
        for operations in self._operations:
            self._report_stuck(operations.wait_all(max(0.0, deadline - self._clock.monotonic())))
        for controller in self._controllers:
            self._report_stuck(controller.join(max(1.0, deadline - self._clock.monotonic())))
        self._working.cancel(SHUTDOWN)
        self.factory.shutdown()
        if self._elector is not None and not self._failed:
            self._elector.release()
        self.health.stop()
        log.info("Stopped", failed=self._failed)

    def _spawn(self, name: str, run: Callable[[StopToken], None], stop: StopToken) -> None:
        """A runnable that fails ends the manager."""

        def guarded() -> None:
            try:
                run(self._working)
            except BaseException as error:
                self._failed = f"{name} ended: {error!r}"
                log.exception("Runnable crashed", runnable=name, error=repr(error))
                stop.cancel(self._failed)

        threading.Thread(target=guarded, name=name, daemon=True).start()

    def _informers_ready(self) -> str | None:
        missing = self.factory.not_synced()
        return f"not synced: {', '.join(missing)}" if missing else None

    def _report_stuck(self, threads: list[threading.Thread]) -> None:
        frames = sys._current_frames()
        for thread in threads:
            frame = frames.get(thread.ident or 0)
            stack = "".join(traceback.format_stack(frame)) if frame is not None else ""
            log.error("Thread did not stop", thread=thread.name, stack=stack)
