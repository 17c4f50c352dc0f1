"""The sweep reports, waits and removes what is nobody's and nothing else, wherever the server dies meanwhile."""

from __future__ import annotations

import base64
import datetime
from pathlib import Path

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from pkg.apis.ark import Config
from pkg.apis.meta import JsonObject
from pkg.apis.reasons import Reason
from pkg.backup.claim import ClaimDocument
from pkg.controllers.config import ConfigReconciler
from pkg.controllers.deletion_gate import DeletionGate
from pkg.controllers.orphan_facts import OrphanReader
from pkg.controllers.orphan_report import OrphanReport, OrphanReports
from pkg.controllers.orphans import (
    FIRST_SECONDS,
    PERIOD_SECONDS,
    RETRY_SECONDS,
    OrphanReconciler,
    OrphanSweep,
    SweepOutcome,
)
from pkg.controllers.orphans_wiring import orphan_gauge
from pkg.controllers.stores import StoreFailure
from pkg.kube.client import Client
from pkg.kube.refs import BACKUPS, CONFIG_MAPS, CONFIGS, RESTIC_REPOSITORIES, SECRETS
from pkg.manager.reconciler import Result, done
from pkg.objectstore.errors import StoreUnreachableError
from pkg.objectstore.layout import backup_keys
from pkg.restic.command import Command
from pkg.restic.environment import ResticEnvironment
from pkg.restic.finished import Finished
from pkg.restic.messages import ExitError, Snapshot
from pkg.testing.fakeapi import FakeApi
from pkg.testing.fakeclock import FakeClock
from pkg.testing.fakedeletion import CLUSTER, NAMESPACE, Calls, CountedTransport, InlineOperations, KilledError
from pkg.testing.fakedeletion import StoresInMemory as Stores
from pkg.testing.fakerestic import FakeRepository, FakeRestic, FakeSnapshot
from pkg.testing.fakes import FakeLister
from pkg.testing.fakestore import FakeStore
from pkg.volumes.ledger import Ledger, LedgerEntry, to_json_gz
from pkg.workqueue.key import Key

KEY = Key(NAMESPACE, "default")
DAY = 24 * 3600.0
LISTED, LOST, FOREIGN = "a" * 64, "b" * 64, "c" * 64
DEAD_FILES = {"dead/dead.tar.gz", "dead/dead-logs.gz", "dead/ark-claim.json"}


class World:
    """One backup, one snapshot and one directory that are nobody's, and what is foreign."""

    def __init__(self, path: Path) -> None:
        self.path, self.clock, self.calls = path, FakeClock(automatic=True), Calls()
        self.api, self.store, self.restic_store = FakeApi(clock=self.clock), FakeStore(), FakeStore()
        self.restic = FakeRestic()
        self.configure()
        self.restart()
        self._fill_bucket()
        self._add_repository()

    def configure(self, *, frozen: str = "", restore_only: bool = False) -> None:
        provider: JsonObject = {"name": "local", "bucket": "bucket", "config": {"path": str(self.path)}}
        metadata: JsonObject = {"name": "default", "namespace": NAMESPACE}
        body: JsonObject = {"deletionsFrozen": frozen, "restoreOnlyMode": restore_only}
        self.api.add(CONFIGS, {"metadata": metadata, "backupStorageProvider": provider, **body})

    def restart(self) -> None:
        self.calls.die_before(0)
        for store in (self.store, self.restic_store):
            store.before = lambda verb, key: self.calls.count()
        self.restic.script = self._counted
        client = Client(CountedTransport(self.api, self.calls))
        self.configs: FakeLister[Config] = FakeLister()
        self.stores = Stores(ConfigReconciler(self.configs, {}, NAMESPACE), self.store, self.restic_store)
        gate = DeletionGate(configs=self.configs, namespace=NAMESPACE, stores=self.stores)
        reader = OrphanReader(
            client=client, namespace=NAMESPACE, runner=self.restic, scratch_dir=self.path, cluster_id=CLUSTER
        )
        sweep = OrphanSweep(
            client=client, namespace=NAMESPACE, stores=self.stores, gate=gate, reader=reader, clock=self.clock
        )
        operations: InlineOperations[SweepOutcome] = InlineOperations(
            "orphans", clock=self.clock, on_finished=lambda key: None
        )
        self.registry = CollectorRegistry()
        gauge = orphan_gauge(self.registry)
        self.reconciler = OrphanReconciler(sweep, gate=gate, operations=operations, gauge=gauge, clock=self.clock)
        self.clock.advance(FIRST_SECONDS)

    def _counted(self, command: Command, environment: ResticEnvironment | None) -> Finished | None:
        self.calls.count()
        return None

    def _fill_bucket(self) -> None:
        keys = backup_keys("good")
        body: JsonObject = {"metadata": {"name": "good", "uid": "good-uid"}, "status": {"clusterID": CLUSTER}}
        entry = LedgerEntry(namespace="shop", snapshot_id=LISTED)
        theirs = ClaimDocument(backup_uid="x", cluster_uid="cluster-2", epoch=1)
        dead = ClaimDocument(backup_uid="dead-uid", cluster_uid=CLUSTER, epoch=1)
        self.store.objects |= {
            keys.metadata: msgspec.json.encode(body),
            keys.volumes: to_json_gz(Ledger(entries=(entry,))),
            keys.claim: msgspec.json.encode(ClaimDocument(backup_uid="good-uid", cluster_uid=CLUSTER, epoch=1)),
            "theirs/ark-claim.json": msgspec.json.encode(theirs),
            "theirs/theirs.tar.gz": b"theirs",
            "dead/dead.tar.gz": b"dead",
            "dead/dead-logs.gz": b"dead",
            "dead/ark-claim.json": msgspec.json.encode(dead),
            "dead/notes.txt": b"somebody's",
            "ark-cluster.json": b"{}",
        }

    def _add_repository(self) -> None:
        self.configs.objects = {f"{NAMESPACE}/default": self.config()}
        place = self.stores.settings().location.restic_identifier("shop")
        self.restic.repositories[place] = FakeRepository(
            id="r1",
            password="secret",
            snapshots=[
                FakeSnapshot(snapshot=self._snapshot(identity, cluster), files={})
                for identity, cluster in ((LISTED, CLUSTER), (LOST, CLUSTER), (FOREIGN, "cluster-2"))
            ],
        )
        meta: JsonObject = {"name": "ark-restic-credentials", "namespace": NAMESPACE}
        self.api.add(SECRETS, {"metadata": meta, "data": {"repository-password": base64.b64encode(b"secret").decode()}})
        self.api.add(
            RESTIC_REPOSITORIES,
            {
                "metadata": {"name": "shop", "namespace": NAMESPACE},
                "spec": {"volumeNamespace": "shop", "resticIdentifier": place},
                "status": {"phase": "Ready", "repositoryID": "r1", "clusterID": CLUSTER, "passwordGeneration": 1},
            },
        )

    def _snapshot(self, identity: str, cluster: str) -> Snapshot:
        made = self.clock.now() - datetime.timedelta(days=2)
        tags = (f"cluster={cluster}", "ns=shop", f"backup-uid=uid-{identity[0]}")
        return Snapshot(id=identity, time=made.isoformat(), tags=tags)

    def config(self) -> Config:
        return msgspec.convert(self.api.get(CONFIGS, NAMESPACE, "default"), Config)

    def sweep(self) -> Result:
        """One sweep as far as one is due; what the reconciler says after it."""
        self.configs.objects = {f"{NAMESPACE}/default": self.config()}
        result = self.reconciler.reconcile(KEY)
        return self.reconciler.reconcile(KEY) if result == done() else result

    def days(self, count: int) -> None:
        """That many days with a sweep each."""
        for _ in range(count):
            self.clock.advance(DAY)
            self.sweep()

    @property
    def report(self) -> OrphanReport:
        return OrphanReports(client=self.api.client, namespace=NAMESPACE).read()

    @property
    def reported(self) -> set[str]:
        return {one.id for one in self.report.orphans}

    @property
    def pending(self) -> list[str]:
        found = self.api.get(RESTIC_REPOSITORIES, NAMESPACE, "shop")
        assert found is not None
        status = found["status"]
        assert isinstance(status, dict)
        ids = status.get("pendingForget") or []
        assert isinstance(ids, list)
        return [str(one) for one in ids]

    @property
    def deleted(self) -> set[str]:
        return {key for verb, key in self.store.calls if verb == "delete"}

    def metric(self, kind: str) -> float | None:
        return self.registry.get_sample_value("ark_orphans", {"kind": kind})


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_orphans_are_reported_at_once_and_stay_for_the_grace(world: World) -> None:
    assert world.sweep().again_seconds == PERIOD_SECONDS
    assert world.reported == {LOST} | DEAD_FILES
    assert (world.metric("snapshot"), world.metric("file")) == (1, 3)
    world.days(13)
    assert (world.pending, world.deleted) == ([], set())


def test_after_the_grace_snapshots_are_queued_and_files_deleted_by_key_and_nothing_else(world: World) -> None:
    before = set(world.store.objects)
    world.sweep()
    world.days(14)
    assert world.pending == [LOST]
    assert set(world.store.objects) == before - DEAD_FILES
    assert [key for verb, key in world.store.calls if verb == "delete"][-1] == "dead/ark-claim.json"
    assert world.reported == set()
    assert (world.metric("snapshot"), world.metric("file")) == (0, 0)


def test_while_deletions_are_frozen_they_are_only_reported(world: World) -> None:
    world.configure(frozen="audit")
    world.sweep()
    world.days(20)
    assert (world.pending, world.deleted) == ([], set())
    assert world.reported == {LOST} | DEAD_FILES
    assert "audit" in world.report.held


def test_a_freeze_that_comes_meanwhile_is_seen_before_the_next_file(world: World) -> None:
    world.sweep()

    def freeze(verb: str, key: str) -> None:
        if verb == "delete":
            world.configure(frozen="audit")
            world.configs.objects = {f"{NAMESPACE}/default": world.config()}

    world.store.before = freeze
    world.days(14)
    assert world.deleted == {"dead/dead.tar.gz"}
    assert world.reported == DEAD_FILES - {"dead/dead.tar.gz"}


def test_restore_only_asks_nobody(world: World) -> None:
    world.configure(restore_only=True)
    assert world.sweep().again_seconds == RETRY_SECONDS
    assert (world.store.calls, world.restic.commands) == ([], [])


def test_another_clusters_place_is_not_looked_at(world: World) -> None:
    world.stores.trouble = StoreFailure(Reason.FOREIGN_CLUSTER, "the bucket is cluster-2's")
    assert world.sweep().again_seconds == RETRY_SECONDS
    assert (world.report.at, world.store.calls) == (None, [])


def damaged_list(world: World) -> None:
    world.store.objects[backup_keys("good").volumes] = b"not gzip"


def damaged_metadata(world: World) -> None:
    world.store.objects[backup_keys("good").metadata] = b"not json"


def damaged_claim(world: World) -> None:
    world.store.objects["theirs/ark-claim.json"] = b"not json"


def list_not_readable(world: World) -> None:
    def refuse(verb: str, key: str) -> None:
        if key == backup_keys("good").volumes:
            raise StoreUnreachableError("no answer")

    world.store.before = refuse


def bucket_not_listed(world: World) -> None:
    def refuse(verb: str, key: str) -> None:
        if verb == "list_directories":
            raise StoreUnreachableError("no answer")

    world.store.before = refuse


def snapshots_not_listed(world: World) -> None:
    def fail(command: Command, environment: ResticEnvironment | None) -> Finished | None:
        if command.verb != "snapshots":
            return None
        told = (ExitError(code=1, message="Fatal: no answer"),)
        return Finished(verb="snapshots", repository="shop", exit_code=1, messages=told)

    world.restic.script = fail


def password_missing(world: World) -> None:
    world.api.remove(SECRETS, NAMESPACE, "ark-restic-credentials")


def other_place_held(world: World) -> None:
    data: JsonObject = {"held": "local /elsewhere bucket/old"}
    world.api.add(CONFIG_MAPS, {"metadata": {"name": "ark-location", "namespace": NAMESPACE}, "data": data})


@pytest.mark.parametrize(
    "harm",
    [
        damaged_list,
        damaged_metadata,
        damaged_claim,
        list_not_readable,
        bucket_not_listed,
        snapshots_not_listed,
        password_missing,
        other_place_held,
    ],
)
def test_what_cannot_be_read_stops_everything(world: World, harm: object) -> None:
    world.sweep()
    world.days(13)
    assert callable(harm)
    harm(world)
    world.clock.advance(DAY)
    assert world.sweep().again_seconds == RETRY_SECONDS
    assert (world.pending, world.deleted) == ([], set())
    assert world.report.problem
    assert world.reported == {LOST} | DEAD_FILES


@pytest.mark.parametrize(
    "status",
    [
        pytest.param({"phase": "NotReady"}, id="is not Ready"),
        pytest.param({"clusterID": "cluster-2"}, id="another cluster made"),
        pytest.param({"repositoryID": "r2"}, id="is another one by its id"),
    ],
)
def test_nothing_is_taken_from_a_repository_that(world: World, status: JsonObject) -> None:
    world.sweep()
    world.api.client.patch_raw(RESTIC_REPOSITORIES, NAMESPACE, "shop", {"status": status}, subresource="status")
    world.days(15)
    assert world.pending == []
    assert LOST in world.reported
    assert world.deleted == DEAD_FILES


def test_files_whose_backup_comes_back_just_before_stay(world: World) -> None:
    world.sweep()
    world.days(13)

    def come_back(verb: str, key: str) -> None:
        if (verb, key) == ("list_directories", ""):
            world.api.add(BACKUPS, {"metadata": {"name": "dead", "namespace": NAMESPACE}, "spec": {}})

    world.store.before = come_back
    world.days(1)
    assert world.pending == [LOST]
    assert world.deleted == set()


def test_a_new_server_has_more_urgent_things_to_read_first(world: World) -> None:
    world.restart()
    world.clock.advance(-1)
    assert world.sweep().again_seconds == 1
    assert world.store.calls == []


def test_a_new_server_does_not_sweep_again_on_the_same_day(world: World) -> None:
    world.sweep()
    world.restart()
    world.store.calls.clear()
    world.clock.advance(DAY / 4)
    assert world.sweep().again_seconds == PERIOD_SECONDS * 3 / 4 - FIRST_SECONDS
    assert world.store.calls == []


def test_wherever_the_server_dies_the_next_one_ends_it(tmp_path: Path) -> None:
    undisturbed = due_world(tmp_path)
    undisturbed.days(2)
    expected = end_state(undisturbed)
    assert expected[0] == [LOST]
    probe = due_world(tmp_path)
    probe.days(1)
    assert probe.calls.made > 20
    for call in range(1, probe.calls.made + 1):
        world = due_world(tmp_path)
        world.calls.die_before(call)
        with pytest.raises(KilledError):
            world.days(1)
        world.restart()
        world.days(1)
        assert end_state(world) == expected, f"died before call {call}"
        assert world.deleted <= DEAD_FILES


def due_world(path: Path) -> World:
    """The day before everything is due."""
    made = World(path)
    made.sweep()
    made.days(13)
    made.calls.die_before(0)
    return made


def end_state(world: World) -> tuple[list[str], set[str], set[str]]:
    return world.pending, set(world.store.objects), world.reported
