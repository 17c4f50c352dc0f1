"""Each pod with hooks between its own hooks: frozen when its agent holds a slot, thawed when its volumes ended.

Whatever happens after a pod was written down as open, its post hook is run: a cancellation, a shutdown, a capture
that takes longer than `maxFreeze`, an error of the run. Only a process that is killed leaves it to the next one.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol, Self

import structlog.typing

from pkg.apis.reasons import Reason, VolumePhase
from pkg.apis.volumes import PodVolumeBackupStatus
from pkg.backup.hook_runner import HookReport, HookRunner
from pkg.backup.hooks import HookedPod
from pkg.backup.open_hooks import OpenHooks
from pkg.backup.podvolumes import FINISHED
from pkg.backup.stopping import is_canceled
from pkg.kube.clock import Clock
from pkg.kube.stop import StopToken

THREADS = 32

Statuses = Mapping[str, PodVolumeBackupStatus]


class HeldVolumes(Protocol):
    """What a freeze does to captures."""

    def release(self, captures: Iterable[str]) -> None:
        """Lets them run."""
        ...

    def cancel(self, captures: Iterable[str], reason: Reason) -> None:
        """Ends them."""
        ...


@dataclass(slots=True, kw_only=True)
class _Freeze:
    """One pod and its captures.

    Attributes:
        captures: Empty for a pod without volumes to capture: its hooks follow each other.
        begun: An earlier run released the captures; its pre hook is not run again.
        ended: Cancelled when nothing has to be waited for any more.
    """

    pod: HookedPod
    captures: tuple[str, ...]
    begun: bool
    started: bool = False
    ended: StopToken = field(default_factory=StopToken)


@dataclass(slots=True)
class FreezeResults:
    """What came of the hooks of a run.

    Attributes:
        errors: One sentence per hook that failed and must not.
        warnings: How many others failed.
        frozen_seconds: By the pod's UID.
        overruled: Captures whose own result does not count, and why.
    """

    errors: list[str] = field(default_factory=list)
    warnings: int = 0
    frozen_seconds: dict[str, float] = field(default_factory=dict)
    overruled: dict[str, tuple[Reason, str]] = field(default_factory=dict)

    def add(self, report: HookReport) -> None:
        """Counts what a hook said."""
        self.errors += report.errors
        self.warnings += report.warnings


class PodFreezes:
    """A context manager around the waiting for captures; its end is the end of every freeze."""

    def __init__(
        self,
        volumes: HeldVolumes,
        runner: HookRunner,
        opens: OpenHooks,
        *,
        max_freeze_seconds: float,
        stop: StopToken,
        clock: Clock,
        log: structlog.typing.FilteringBoundLogger,
        results: FreezeResults,
    ) -> None:
        self._volumes = volumes
        self._runner = runner
        self._opens = opens
        self._max_freeze_seconds = max_freeze_seconds
        self._stop = stop
        self._clock = clock
        self._log = log
        self._results = results
        self._freezes: list[_Freeze] = []
        self._futures: list[Future[None]] = []
        self._statuses: Statuses = {}
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="backup-hooks")
        self._lock = threading.Lock()
        self._over = False

    def add(self, pod: HookedPod, captures: Iterable[str], *, begun: bool = False) -> None:
        """Takes on a pod; one without captures gets its turn at once."""
        freeze = _Freeze(pod=pod, captures=tuple(captures), begun=begun)
        self._freezes.append(freeze)
        if not freeze.captures:
            self._start(freeze)

    def see(self, statuses: Statuses) -> None:
        """Takes note of how captures stand: starts the freezes that may begin, ends those whose volumes ended.

        Raises:
            Exception: what went wrong with a freeze and ends the run.
        """
        self._statuses = statuses
        for freeze in self._freezes:
            running = self._running(freeze)
            if freeze.started and not running:
                freeze.ended.cancel()
            if not freeze.started and running and all(_is_taken(statuses.get(name)) for name in running):
                self._start(freeze)
        for future in [one for one in self._futures if one.done()]:
            self._futures.remove(future)
            future.result()

    def __enter__(self) -> Self:
        self._unregister = self._stop.on_cancel(self._end)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._unregister()
        if kind is not None or self._stop.cancelled:
            self._end()
        self._pool.shutdown(wait=True)
        if kind is None:
            for future in self._futures:
                future.result()

    def _end(self) -> None:
        """Lets nothing be frozen any more, and everything be thawed."""
        self._over = True
        for freeze in self._freezes:
            freeze.ended.cancel()

    def _start(self, freeze: _Freeze) -> None:
        if not self._over:
            freeze.started = True
            self._futures.append(self._pool.submit(self._run, freeze))

    def _running(self, freeze: _Freeze) -> list[str]:
        """The captures that have not ended, or are not made yet."""
        found = ((name, self._statuses.get(name)) for name in freeze.captures)
        return [name for name, status in found if status is None or status.phase not in FINISHED]

    def _run(self, freeze: _Freeze) -> None:
        if self._over:
            return
        began = self._clock.monotonic()
        if freeze.pod.post:
            self._opens.add(freeze.pod, self._stop)
        settled = False
        try:
            if self._begin(freeze) and freeze.captures:
                self._await(freeze, began)
            settled = True
        finally:  # what is not settled stays written down, and the next run settles it
            self._thaw(freeze, began, settled=settled)

    def _begin(self, freeze: _Freeze) -> bool:
        """Freezes the pod and lets its volumes go; False where that did not come about."""
        report = HookReport() if freeze.begun else self._runner.pre(freeze.pod, self._stop)
        if self._stop.cancelled:
            return False  # what failed, failed for that
        with self._lock:
            self._results.add(report)
        if report.errors:
            self._overrule(freeze.captures, Reason.HOOK_FAILED, report.errors[0])
            return False
        self._volumes.release(freeze.captures)
        return True

    def _await(self, freeze: _Freeze, began: float) -> None:
        """Waits for the volumes to end; gives up those that the pod cannot stand still for any longer."""
        limit = self._max_freeze_seconds - (self._clock.monotonic() - began)
        ended = self._clock.wait(freeze.ended, max(0.0, limit)) if freeze.pod.freezes else freeze.ended.wait(None)
        running = self._running(freeze)
        if not running or is_canceled(self._stop):
            return
        if not ended:
            message = f"the pod would have been frozen for more than {self._max_freeze_seconds:g} s (maxFreeze)"
            self._log.error("Freeze took too long", pod=freeze.pod.key, volumes=len(running))
            self._overrule(running, Reason.FREEZE_EXCEEDED, message)
        elif freeze.pod.post:  # the run was interrupted; the next one captures all of them again, in one freeze
            self._volumes.cancel(freeze.captures, Reason.THAWED)

    def _overrule(self, captures: Iterable[str], reason: Reason, message: str) -> None:
        with self._lock:
            self._results.overruled.update(dict.fromkeys(captures, (reason, message)))
        self._volumes.cancel(captures, reason)

    def _thaw(self, freeze: _Freeze, began: float, *, settled: bool) -> None:
        pod = freeze.pod
        if not pod.post:
            return
        report = self._runner.post(pod)
        seconds = self._clock.monotonic() - began
        with self._lock:
            self._results.add(report)
            if pod.freezes:
                self._results.frozen_seconds[pod.uid] = seconds
        self._log.info("Pod thawed", pod=pod.key, frozen_seconds=round(seconds, 1))
        interrupted = self._stop.cancelled and not is_canceled(self._stop)
        if settled and not (interrupted and report.errors):
            self._opens.remove(pod.uid, seconds if pod.freezes else 0.0)


def _is_taken(status: PodVolumeBackupStatus | None) -> bool:
    """Whether an agent has a slot for a capture."""
    return status is not None and status.phase == VolumePhase.IN_PROGRESS and status.slot_at is not None
