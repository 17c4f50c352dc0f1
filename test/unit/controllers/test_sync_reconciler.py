"""When the bucket is looked through, and what an adoption sets off."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from pkg.apis.ark import Backup, Config, StorageProvider
from pkg.apis.meta import ObjectMeta
from pkg.apis.names import ADOPT_ANNOTATION
from pkg.controllers.config import ConfigReconciler
from pkg.controllers.ownership import is_ours
from pkg.controllers.stores import Stores
from pkg.controllers.sync import BackupSync, SyncReport
from pkg.controllers.sync_metrics import SyncMetrics
from pkg.controllers.sync_reconciler import RETRY_SECONDS, SyncReconciler
from pkg.kube.errors import TransportError
from pkg.kube.refs import BACKUPS
from pkg.manager.operations import Operations
from pkg.manager.reconciler import Result, done
from pkg.objectstore.catalog import read_cluster, stamp_cluster
from pkg.objectstore.errors import StoreUnreachableError
from pkg.testing import ark09
from pkg.testing.fakeapi import FakeApi
from pkg.testing.fakeclock import FakeClock
from pkg.testing.fakes import FakeLister
from pkg.testing.fakestore import FakeStore
from pkg.workqueue.key import Key

NAMESPACE = "heptio-ark"
KEY = Key(NAMESPACE, "default")
US, THEM = "cluster-1", "cluster-2"
HOUR = 3600.0


class World:
    """A server beside one bucket."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.api, self.store, self.clock = FakeApi(), FakeStore(), FakeClock()
        for opener in ("open_store", "open_restic_store"):
            monkeypatch.setattr(f"pkg.controllers.stores.{opener}", lambda location, credentials: self.store)
        self.registry = CollectorRegistry()
        self.configs: FakeLister[Config] = FakeLister()
        self.stores = Stores(ConfigReconciler(self.configs, {}, NAMESPACE), US)
        self.lister: FakeLister[Backup] = FakeLister()
        self.operations: Operations[SyncReport | str] = Operations(
            "sync", clock=self.clock, on_finished=lambda key: None
        )
        self.reconciler = SyncReconciler(
            self.api.client,
            NAMESPACE,
            self.lister,
            stores=self.stores,
            sync=BackupSync(self.api.client, NAMESPACE, clock=self.clock, complain=lambda *said: None),
            operations=self.operations,
            metrics=SyncMetrics(self.registry),
            clock=self.clock,
        )
        self.versions = 0

    def configure(self, *, period: str = "", restore_only: bool = False, adopt: str = "") -> None:
        self.versions += 1
        metadata = ObjectMeta(
            name="default",
            namespace=NAMESPACE,
            uid="c",
            resource_version=str(self.versions),
            annotations={ADOPT_ANNOTATION: adopt} if adopt else None,
        )
        provider = StorageProvider(name="local", bucket="bucket", config={"path": "/"})
        self.configs.put(
            Config(
                metadata=metadata,
                backup_storage_provider=provider,
                backup_sync_period=period,
                restore_only_mode=restore_only,
            )
        )

    def reconcile(self) -> Result:
        found = self.api.client.list(BACKUPS, NAMESPACE, Backup)
        self.lister.objects = {backup.metadata.key: backup for backup in found}
        return self.reconciler.reconcile(KEY)

    def sync(self) -> float | None:
        """One pass; in how many seconds the next is due."""
        assert self.reconcile() == done()
        self.operations.wait_all(10)
        return self.reconcile().again_seconds

    def backup(self, name: str) -> Backup:
        return self.api.client.get(BACKUPS, NAMESPACE, name, Backup)

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


@pytest.mark.parametrize(
    ("period", "restore_only", "seconds"),
    [
        pytest.param("", False, HOUR, id="an hour by default"),
        pytest.param("0s", False, HOUR, id="an hour where 0.9 wrote nothing"),
        pytest.param("30m0s", False, HOUR / 2, id="what the Config says"),
        pytest.param("1s", False, 60.0, id="a minute at least"),
        pytest.param("24h", True, 60.0, id="a minute while only restoring"),
    ],
)
def test_the_period(world: World, period: str, restore_only: bool, seconds: float) -> None:
    world.configure(period=period, restore_only=restore_only)
    assert world.sync() == seconds


def test_another_clusters_bucket_is_looked_through_each_minute(world: World) -> None:
    stamp_cluster(world.store, THEM)
    world.configure()
    assert world.sync() == 60.0


def test_nothing_is_asked_before_the_next_is_due(world: World) -> None:
    world.configure()
    world.sync()
    world.store.calls.clear()
    world.clock.advance(HOUR / 2)
    assert world.reconcile().again_seconds == HOUR / 2
    assert world.store.calls == []
    world.clock.advance(HOUR / 2)
    world.sync()
    assert ("list_directories", "") in world.store.calls


def test_a_changed_config_is_synced_at_once(world: World) -> None:
    world.configure()
    world.sync()
    ark09.write_backups(world.store)
    world.configure()
    world.sync()
    assert world.backup(ark09.BACKUP).status.phase == "Completed"


def test_without_a_config_nothing_happens_until_there_is_one(world: World) -> None:
    assert world.reconcile() == done()
    assert world.store.calls == []


def test_a_store_that_does_not_answer_is_asked_again_in_a_minute(world: World) -> None:
    world.configure()

    def away(verb: str, key: str) -> None:
        raise StoreUnreachableError("no answer")

    world.store.before = away
    assert world.sync() == RETRY_SECONDS
    assert world.value("ark_backup_sync_total", outcome="failure") == 1
    world.store.before = lambda verb, key: None
    world.clock.advance(RETRY_SECONDS)
    assert world.sync() == HOUR
    assert world.value("ark_backup_sync_total", outcome="success") == 1


def test_an_api_that_does_not_answer_is_asked_again_in_a_minute(world: World) -> None:
    ark09.write_backups(world.store)
    world.configure()
    world.api.fail_next(TransportError("away"), method="POST", ref=BACKUPS)
    assert world.sync() == RETRY_SECONDS
    world.clock.advance(RETRY_SECONDS)
    world.sync()
    assert world.backup(ark09.BACKUP).status.phase == "Completed"


def test_what_is_damaged_is_counted(world: World) -> None:
    world.store.objects["bad/ark-backup.json"] = b"{"
    world.configure()
    world.sync()
    assert world.value("ark_backup_damaged") == 1


def test_an_adoption_takes_the_place_and_marks_its_backups(world: World) -> None:
    ark09.write_backups(world.store)
    world.configure()
    world.sync()
    assert not is_ours(world.backup(ark09.BACKUP), US)
    assert read_cluster(world.store) == ""
    world.configure(adopt="ark-0.9;now")
    assert world.sync() == HOUR
    assert read_cluster(world.store) == US
    assert is_ours(world.backup(ark09.BACKUP), US)


def test_an_adoption_that_names_others_marks_nothing(world: World) -> None:
    ark09.write_backups(world.store)
    stamp_cluster(world.store, THEM)
    world.configure(adopt="ark-0.9;now")
    world.sync()
    assert read_cluster(world.store) == THEM
    assert not is_ours(world.backup(ark09.BACKUP), US), "the place is still another cluster's"


def test_restore_only_mode_adopts_nothing(world: World) -> None:
    stamp_cluster(world.store, THEM)
    world.configure(adopt=f"{THEM};now", restore_only=True)
    world.sync()
    assert read_cluster(world.store) == THEM
