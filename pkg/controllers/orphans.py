"""The orphan sweep: once a day it reports what no backup names, and removes what it reported two weeks before.

Snapshots go into the queue of their repository, where a maintenance Job forgets them like deleted ones; files are
deleted each by its key, the claim last. The report is written before anything is removed, and whether anything may be
removed is asked before each step. Each sweep decides anew, so it may die at any line.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass

import msgspec
import structlog
from prometheus_client import Gauge

from pkg.apis.ark import Backup
from pkg.apis.names import CONFIG_NAME
from pkg.controllers.config import SettingsError
from pkg.controllers.deletion_gate import DeletionGate
from pkg.controllers.deletion_snapshots import ForgetQueue, QueueFullError, Snapshots
from pkg.controllers.orphan_facts import OrphanReader, SweepStoppedError, read_claim
from pkg.controllers.orphan_plan import DueDirectory, OrphanPlan, OrphanRules, plan_orphans, without
from pkg.controllers.orphan_report import OrphanKind, OrphanReport, OrphanReports
from pkg.controllers.stores import OpenStores, StoreFailure, Stores
from pkg.controllers.tenancy import place_of
from pkg.kube.client import Client
from pkg.kube.clock import Clock
from pkg.kube.errors import KubeError, NotFoundError
from pkg.kube.refs import BACKUPS
from pkg.kube.stop import StopToken
from pkg.manager.operations import Crashed, Operations, Running, Succeeded
from pkg.manager.reconciler import Result, again_in, done
from pkg.objectstore.errors import StoreError
from pkg.objectstore.layout import backup_keys
from pkg.objectstore.store import ObjectStore
from pkg.workqueue.key import Key

FIRST_SECONDS = 600.0  # a server that was just started has more urgent things to read
PERIOD_SECONDS = 24 * 3600.0
RETRY_SECONDS = 3600.0

Removed = set[tuple[OrphanKind, str]]
log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepOutcome:
    """How a sweep ended; `failure` says why there is no report of it."""

    next_seconds: float
    report: OrphanReport | None = None
    failure: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrphanSweep:
    """One sweep after the other."""

    client: Client
    namespace: str
    stores: Stores
    gate: DeletionGate
    reader: OrphanReader
    clock: Clock

    def run(self, stop: StopToken) -> SweepOutcome:
        """One sweep, unless the last is not old enough; blocks."""
        try:
            return self._run(stop)
        except SweepStoppedError:
            return SweepOutcome(next_seconds=RETRY_SECONDS, failure="stopped")
        except (StoreFailure, SettingsError) as error:
            return SweepOutcome(next_seconds=RETRY_SECONDS, failure=error.message)
        except (StoreError, KubeError) as error:
            return SweepOutcome(next_seconds=RETRY_SECONDS, failure=str(error))

    def _run(self, stop: StopToken) -> SweepOutcome:
        reports = OrphanReports(client=self.client, namespace=self.namespace)
        earlier, now = reports.read(), self.clock.now().replace(microsecond=0)
        left = _seconds_left(earlier, now)
        if left > 0:
            return SweepOutcome(next_seconds=left, report=earlier)
        stores = self.stores.owned()
        facts = self.reader.read(stores, stop)
        rules = OrphanRules(
            now=now,
            cluster_id=self.stores.cluster_id,
            place=place_of(stores.settings.location),
            held=self.gate.why(),
        )
        plan = plan_orphans(facts, earlier, rules)
        reports.write(plan.report)
        removed: Removed = set()
        try:
            self._remove(plan, stores, removed, stop)
        finally:
            report = without(plan.report, removed)
            _tell(report, removed)
        if removed:
            reports.write(report)
        return SweepOutcome(next_seconds=_seconds_left(report, now), report=report)

    def _remove(self, plan: OrphanPlan, stores: OpenStores, removed: Removed, stop: StopToken) -> None:
        queue = ForgetQueue(
            client=self.client, namespace=self.namespace, location=stores.settings.location, restic=stores.restic
        )
        for snapshots in plan.snapshots:
            if self._may_go_on(stop):
                self._queue(queue, snapshots, removed, stop)
        for directory in plan.directories:
            try:
                self._delete(directory, stores.backups, removed, stop)
            except (StoreError, msgspec.DecodeError) as error:
                log.warning("Orphan files not deleted", backup=directory.name, error=str(error))

    def _queue(self, queue: ForgetQueue, snapshots: Snapshots, removed: Removed, stop: StopToken) -> None:
        problem = queue.problem(snapshots)
        try:
            if not problem:
                queue.add(snapshots, stop)
                removed.update((OrphanKind.SNAPSHOT, one) for one in snapshots.ids)
        except QueueFullError as error:
            problem = str(error)
        if problem:
            log.warning("Orphan snapshots not queued", repository=snapshots.repository, message=problem)

    def _delete(self, directory: DueDirectory, store: ObjectStore, removed: Removed, stop: StopToken) -> None:
        if not self._may_go_on(stop) or not self._is_still_one(directory, store):
            return
        for key in directory.keys:
            if not self._may_go_on(stop):
                return
            store.delete([key])
            removed.add((OrphanKind.FILE, key))

    def _is_still_one(self, directory: DueDirectory, store: ObjectStore) -> bool:
        """Whether it has become nobody's backup since it was read."""
        if read_claim(store, directory.name) != directory.claim:
            return False
        try:
            self.client.get(BACKUPS, self.namespace, directory.name, Backup)
        except NotFoundError:
            return store.head(backup_keys(directory.name).metadata) is None
        return False

    def _may_go_on(self, stop: StopToken) -> bool:
        return not stop.cancelled and not self.gate.why()


class OrphanReconciler:
    """Starts sweeps and takes note of how they ended; its key is the Config's."""

    def __init__(
        self,
        sweep: OrphanSweep,
        *,
        gate: DeletionGate,
        operations: Operations[SweepOutcome],
        gauge: Gauge,
        clock: Clock,
    ) -> None:
        self._sweep = sweep
        self._gate = gate
        self._operations = operations
        self._gauge = gauge
        self._clock = clock
        self._next = clock.monotonic() + FIRST_SECONDS

    def reconcile(self, key: Key) -> Result:
        """Starts a sweep when one is due; takes note of one that ended."""
        if key.name != CONFIG_NAME:
            return done()
        match self._operations.observe(key):
            case Running():
                return done()
            case Succeeded(result=outcome):
                return self._note(key, outcome)
            case Crashed(error=error):
                return self._note(key, SweepOutcome(next_seconds=RETRY_SECONDS, failure=repr(error)))
            case None:
                return self._start(key)

    def _start(self, key: Key) -> Result:
        left = self._next - self._clock.monotonic()
        if left > 0:
            return again_in(left)
        if self._gate.restore_only():
            return again_in(RETRY_SECONDS)
        self._operations.start(key, self._sweep.run)
        return done()

    def _note(self, key: Key, outcome: SweepOutcome) -> Result:
        self._operations.forget(key)
        if outcome.report is None:
            log.warning("Orphans not looked for", message=outcome.failure)
        else:
            self._gauge.labels(OrphanKind.SNAPSHOT.value).set(outcome.report.snapshots)
            self._gauge.labels(OrphanKind.FILE.value).set(outcome.report.files)
        self._next = self._clock.monotonic() + outcome.next_seconds
        return again_in(outcome.next_seconds)


def _seconds_left(report: OrphanReport, now: datetime.datetime) -> float:
    """Until the next sweep: a day after the last, an hour after one that could not read everything."""
    if report.at is None or report.at > now:
        return 0.0
    period = RETRY_SECONDS if report.problem else PERIOD_SECONDS
    return max(0.0, period - (now - report.at).total_seconds())


def _tell(report: OrphanReport, removed: Removed) -> None:
    kinds = [kind for kind, _ in removed]
    log.info(
        "Orphans looked for",
        snapshots=report.snapshots,
        files=report.files,
        queued=kinds.count(OrphanKind.SNAPSHOT),
        deleted=kinds.count(OrphanKind.FILE),
        problem=report.problem,
        held=report.held,
    )
