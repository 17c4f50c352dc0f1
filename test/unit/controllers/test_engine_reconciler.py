"""The loop of a Backup and a Restore: validate, claim, run, record."""

from __future__ import annotations

import queue
from collections.abc import Callable

import pytest

from pkg.apis.ark import Backup
from pkg.apis.meta import JsonObject
from pkg.apis.reasons import Reason
from pkg.controllers.config import SettingsError
from pkg.controllers.engine_plan import EngineView
from pkg.controllers.engine_reconciler import (
    INTERRUPTED_RETRY_SECONDS,
    ClaimState,
    EngineOutcome,
    EngineReconciler,
)
from pkg.controllers.volume_plan import Work
from pkg.kube.errors import ConflictError, TransportError
from pkg.kube.refs import BACKUPS
from pkg.kube.stop import StopToken
from pkg.manager.operations import Operations
from pkg.manager.reconciler import Result, again_in, done
from pkg.testing.fakeapi import FakeApi
from pkg.testing.fakeclock import FakeClock
from pkg.testing.fakes import FakeLister
from pkg.workqueue.key import Key

NAMESPACE = "heptio-ark"
LONG_SECONDS = 30.0
KEY = Key(NAMESPACE, "nightly")


class FakeKind:
    """An engine that ends as `work` says."""

    ref = BACKUPS

    def __init__(self) -> None:
        self.problems: list[str] = []
        self.settings_error: SettingsError | None = None
        self.work: Callable[[StopToken], EngineOutcome] = lambda stop: EngineOutcome(status={"phase": "Completed"})
        self.ran: list[Backup] = []
        self.announced: list[str] = []

    def view(self, obj: Backup, work: Work) -> EngineView:
        return EngineView(phase=obj.status.phase, work=work, cancel=obj.spec.cancel)

    def validate(self, obj: Backup) -> list[str]:
        if self.settings_error is not None:
            raise self.settings_error
        return self.problems

    def claimed_so_far(self, obj: Backup) -> ClaimState:
        return ClaimState(epoch=obj.status.claim.epoch if obj.status.claim else 0, attempts=obj.status.attempts)

    def first_claim(self, obj: Backup) -> JsonObject:
        return {"version": 1}

    def run(self, obj: Backup, stop: StopToken) -> EngineOutcome:
        self.ran.append(obj)
        return self.work(stop)

    def ended(self, obj: Backup) -> None:
        self.announced.append(obj.status.phase)


class World:
    """One server process; another one over the same API is the next."""

    def __init__(self, api: FakeApi | None = None, *, holder: str = "server-1") -> None:
        self.api = api or FakeApi()
        self.clock = FakeClock()
        self.kind = FakeKind()
        self.lister: FakeLister[Backup] = FakeLister()
        self.ended: queue.SimpleQueue[Key] = queue.SimpleQueue()
        self.operations: Operations[EngineOutcome] = Operations("b", clock=self.clock, on_finished=self.ended.put)
        self.reconciler: EngineReconciler[Backup] = EngineReconciler(
            self.api.client, self.lister, self.kind, operations=self.operations, holder=holder, clock=self.clock
        )

    def add(self, status: JsonObject | None = None) -> None:
        metadata: JsonObject = {"name": KEY.name, "namespace": NAMESPACE}
        self.api.add(BACKUPS, {"metadata": metadata, "spec": {}, "status": status or {}})

    def sync(self) -> None:
        """Lets the cache catch up."""
        self.lister.objects = {obj.metadata.key: obj for obj in self.api.client.list(BACKUPS, NAMESPACE, Backup)}

    def reconcile(self) -> Result:
        self.sync()
        return self.reconciler.reconcile(KEY)

    def await_end(self) -> None:
        assert self.ended.get(timeout=LONG_SECONDS) == KEY

    @property
    def stored(self) -> Backup:
        return self.api.client.get(BACKUPS, NAMESPACE, KEY.name, Backup)


def until_stopped(stop: StopToken) -> EngineOutcome:
    assert stop.wait(LONG_SECONDS)
    return EngineOutcome(status={"phase": "Failed"} if stop.reason == Reason.CANCELED else None)


def test_a_new_backup_is_claimed_in_one_patch_and_then_run() -> None:
    world = World()
    world.add()
    assert world.reconcile() == done()
    world.await_end()
    status = world.stored.status
    assert status.claim is not None
    assert (status.phase, status.claim.holder, status.claim.epoch) == ("InProgress", "server-1", 1)
    assert (status.attempts, status.version, status.start_timestamp) == (1, 1, world.clock.now())
    assert world.api.count("PATCH") == 1
    assert world.kind.ran[0].status == status


def test_the_outcome_is_recorded_announced_once_and_forgotten() -> None:
    world = World()
    world.add()
    world.reconcile()
    world.await_end()
    assert world.reconcile() == done()
    world.reconcile()
    assert world.stored.status.phase == "Completed"
    assert world.kind.announced == ["Completed"]
    assert world.operations.observe(KEY) is None
    assert world.api.count("PATCH") == 2


def test_an_invalid_one_is_refused_with_every_sentence_and_never_claimed() -> None:
    world = World()
    world.kind.problems = ["no such resource", "no such namespace"]
    world.add()
    world.reconcile()
    status = world.stored.status
    assert (status.phase, status.reason) == ("FailedValidation", "InvalidSpec")
    assert status.validation_errors == ("no such resource", "no such namespace")
    assert status.message == "no such resource; no such namespace"
    assert status.start_timestamp == status.completion_timestamp == world.clock.now()
    assert status.claim is None
    assert world.kind.announced == ["FailedValidation"]
    assert world.kind.ran == []


def test_a_config_that_is_missing_refuses_with_its_own_reason() -> None:
    world = World()
    world.kind.settings_error = SettingsError(Reason.CONFIG_MISSING, "there is no Config")
    world.add()
    world.reconcile()
    assert (world.stored.status.reason, world.stored.status.message) == ("ConfigMissing", "there is no Config")


def test_a_claim_of_a_dead_server_is_taken_over_without_validation_and_keeps_its_start() -> None:
    world = World(holder="server-2")
    world.kind.problems = ["would not pass today"]
    claim: JsonObject = {"holder": "server-1", "epoch": 3}
    start = "2025-12-31T23:00:00Z"
    world.add({"phase": "InProgress", "claim": claim, "attempts": 3, "startTimestamp": start})
    world.reconcile()
    world.await_end()
    status = world.stored.status
    assert status.claim is not None
    assert (status.claim.holder, status.claim.epoch, status.attempts) == ("server-2", 4, 4)
    assert status.start_timestamp is not None
    assert status.start_timestamp < world.clock.now()


def test_an_interrupted_engine_keeps_its_claim_and_runs_again_soon() -> None:
    world = World()
    world.kind.work = lambda stop: EngineOutcome(status=None)
    world.add()
    world.reconcile()
    world.await_end()
    assert world.reconcile() == again_in(INTERRUPTED_RETRY_SECONDS)
    assert world.stored.status.phase == "InProgress"
    assert world.kind.announced == []
    world.reconcile()
    world.await_end()
    assert world.stored.status.attempts == 2


def test_a_crash_of_the_engine_is_a_failure_with_type_and_text() -> None:
    world = World()

    def crash(stop: StopToken) -> EngineOutcome:
        raise KeyError("surprise")

    world.kind.work = crash
    world.add()
    world.reconcile()
    world.await_end()
    world.reconcile()
    status = world.stored.status
    assert (status.phase, status.reason, status.completion_timestamp) == ("Failed", "Internal", world.clock.now())
    assert "KeyError" in status.message
    assert "surprise" in status.message


def test_an_outcome_that_could_not_be_recorded_is_kept_for_the_next_time() -> None:
    world = World()
    world.add()
    world.reconcile()
    world.await_end()
    world.sync()
    world.api.fail_next(TransportError("refused"), method="PATCH")
    with pytest.raises(TransportError):
        world.reconciler.reconcile(KEY)
    assert world.kind.announced == []
    world.reconcile()
    assert world.kind.announced == ["Completed"]
    assert len(world.kind.ran) == 1


def test_a_claim_from_an_old_view_starts_nothing() -> None:
    world = World()
    world.add()
    world.sync()
    world.api.client.patch(BACKUPS, NAMESPACE, KEY.name, {"spec": {"cancel": True}}, Backup)
    with pytest.raises(ConflictError):
        world.reconciler.reconcile(KEY)
    assert world.kind.ran == []


def test_a_canceled_engine_is_stopped_with_that_reason() -> None:
    world = World()
    world.kind.work = until_stopped
    world.add()
    world.reconcile()
    world.api.client.patch(BACKUPS, NAMESPACE, KEY.name, {"spec": {"cancel": True}}, Backup)
    world.reconcile()
    world.await_end()
    world.reconcile()
    assert world.stored.status.phase == "Failed"


def test_a_deleted_backup_stops_its_engine_and_leaves_nothing() -> None:
    world = World()
    world.kind.work = until_stopped
    world.add()
    world.reconcile()
    world.api.remove(BACKUPS, NAMESPACE, KEY.name)
    world.reconcile()
    world.await_end()
    world.reconcile()
    assert world.operations.observe(KEY) is None


def test_what_a_deleted_backup_left_is_never_recorded_on_its_successor() -> None:
    world = World()
    world.add()
    world.reconcile()
    world.await_end()
    world.api.remove(BACKUPS, NAMESPACE, KEY.name)
    world.add()
    assert world.reconcile() == again_in(0)
    assert world.stored.status.phase == ""
    world.reconcile()
    world.await_end()
    world.reconcile()
    assert [backup.metadata.uid for backup in world.kind.ran][1] == world.stored.metadata.uid
    assert world.kind.announced == ["Completed"]


def test_the_engine_of_a_deleted_backup_is_stopped_for_its_successor() -> None:
    world = World()
    world.kind.work = until_stopped
    world.add()
    world.reconcile()
    world.api.remove(BACKUPS, NAMESPACE, KEY.name)
    world.add()
    assert world.reconcile() == done()
    world.await_end()
    assert world.stored.status.phase == ""
