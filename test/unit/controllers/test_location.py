"""Whether the storage location can be used, as readiness tells it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pkg.apis.ark import Config, StorageProvider
from pkg.apis.meta import ObjectMeta
from pkg.controllers.config import ConfigReconciler
from pkg.controllers.location import RETRY_SECONDS, LocationFinding, LocationReconciler
from pkg.controllers.stores import StoreFailure, Stores
from pkg.manager.operations import Operations
from pkg.objectstore.catalog import read_cluster
from pkg.objectstore.layout import CLUSTER_KEY
from pkg.testing.fakeclock import FakeClock
from pkg.testing.fakes import FakeLister
from pkg.workqueue.key import Key

KEY = Key("heptio-ark", "default")


class World:
    """A server of one cluster whose Config names local directories."""

    def __init__(self, path: Path, cluster_id: str = "cluster-1") -> None:
        self.path = path
        self.configs: FakeLister[Config] = FakeLister()
        self.stores = Stores(ConfigReconciler(self.configs, {}, KEY.namespace), cluster_id)
        self.operations: Operations[LocationFinding] = Operations(
            "location", clock=FakeClock(), on_finished=lambda key: None
        )
        self.reconciler = LocationReconciler(self.stores, self.operations)

    def use(self, bucket: str, version: str = "1", *, restore_only: bool = False) -> None:
        metadata = ObjectMeta(name=KEY.name, namespace=KEY.namespace, uid="c", resource_version=version)
        provider = StorageProvider(name="local", bucket=bucket, config={"path": str(self.path)})
        self.configs.put(Config(metadata=metadata, backup_storage_provider=provider, restore_only_mode=restore_only))

    def look(self) -> float | None:
        """Reconcile until the look has ended and is noted; returns when it wants to look again."""
        self.reconciler.reconcile(KEY)
        self.operations.wait_all(10)
        return self.reconciler.reconcile(KEY).again_seconds


def test_a_missing_bucket_is_trouble_until_it_is_there(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.use("later")
    assert world.look() == RETRY_SECONDS
    assert "BucketMissing" in (world.reconciler.trouble() or "")


@pytest.fixture
def conditional(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pkg.controllers.location.supports_conditional_put", lambda store: True)


@pytest.mark.usefixtures("conditional")
def test_a_prefix_that_another_cluster_took_over_is_trouble_with_both_identities(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    world = World(tmp_path, "cluster-1")
    world.use("shared")
    world.look()
    assert world.reconciler.trouble() is None
    (tmp_path / "shared" / CLUSTER_KEY).write_bytes(b'{"clusterID": "cluster-2"}')
    with pytest.raises(StoreFailure):
        world.stores.owned()  # as the next backup does
    assert world.look() == RETRY_SECONDS
    trouble = world.reconciler.trouble() or ""
    assert "cluster-1" in trouble
    assert "cluster-2" in trouble
    (tmp_path / "shared" / CLUSTER_KEY).write_bytes(b'{"clusterID": "cluster-1"}')
    world.look()
    assert world.reconciler.trouble() is None


def test_a_new_installation_is_ready_to_restore_another_clusters_backups(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    first, second = World(tmp_path, "cluster-1"), World(tmp_path, "cluster-2")
    for world in (first, second):
        world.use("shared")
        world.look()
    assert read_cluster(first.stores.current().backups) == "cluster-1"
    assert second.reconciler.trouble() is None
    assert second.stores.settings().restore_only


def test_a_missing_config_is_trouble(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.look()
    assert "Config" in (world.reconciler.trouble() or "")


def test_restore_only_stamps_nothing(tmp_path: Path) -> None:
    (tmp_path / "read").mkdir()
    world = World(tmp_path)
    world.use("read", restore_only=True)
    world.look()
    assert world.reconciler.trouble() is None
    assert read_cluster(world.stores.current().backups) == ""


@pytest.mark.parametrize("supported", [True, False], ids=["conditional puts", "a store that ignores conditions"])
def test_a_store_must_honour_conditional_puts(tmp_path: Path, supported: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pkg.controllers.location.supports_conditional_put", lambda store: supported)
    (tmp_path / "bucket").mkdir()
    world = World(tmp_path)
    world.use("bucket")
    world.look()
    assert (world.reconciler.trouble() is None) is supported


def test_a_location_that_is_usable_is_not_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pkg.controllers.location.supports_conditional_put", lambda store: True)
    (tmp_path / "bucket").mkdir()
    world = World(tmp_path)
    world.use("bucket")
    world.look()
    world.reconciler.reconcile(KEY)
    assert world.operations.observe(KEY) is None
    world.use("gone", version="2")
    world.look()
    assert "BucketMissing" in (world.reconciler.trouble() or "")
