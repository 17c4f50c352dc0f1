"""The stores of the settings: opened once, checked rarely, and only ever one cluster's."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pkg.apis.ark import Config, StorageProvider
from pkg.apis.meta import ObjectMeta
from pkg.apis.reasons import Reason
from pkg.controllers.config import ConfigReconciler, SettingsError
from pkg.controllers.foreign import Tenure
from pkg.controllers.stores import StoreFailure, Stores, store_reason
from pkg.objectstore.errors import (
    BucketMissingError,
    CredentialsRefusedError,
    StoreError,
    StoreReadOnlyError,
    StoreUnreachableError,
)
from pkg.testing.fakes import FakeLister

NAMESPACE = "heptio-ark"


class World:
    """Settings over local directories, one bucket each."""

    def __init__(self, tmp_path: Path, cluster_id: str = "cluster-1") -> None:
        self.path = tmp_path
        self.lister: FakeLister[Config] = FakeLister()
        self.stores = Stores(ConfigReconciler(self.lister, {}, NAMESPACE), cluster_id)
        self.versions = 0

    def use(self, bucket: str, *, exists: bool = True, restore_only: bool = False) -> None:
        if exists:
            (self.path / bucket).mkdir(exist_ok=True)
        self.versions += 1
        metadata = ObjectMeta(name="default", namespace=NAMESPACE, uid="c", resource_version=str(self.versions))
        provider = StorageProvider(name="local", bucket=bucket, config={"path": str(self.path)})
        self.lister.put(Config(metadata=metadata, backup_storage_provider=provider, restore_only_mode=restore_only))


def test_stores_are_opened_once_until_the_settings_change(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.use("one")
    first = world.stores.current()
    assert world.stores.current() is first
    world.use("two")
    assert world.stores.current().settings.location.bucket == "two"


def test_the_restic_location_is_a_store_of_its_own(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.use("one")
    world.stores.current().restic.put("shop/config", b"x")
    assert (tmp_path / "one" / "restic" / "shop" / "config").read_bytes() == b"x"


def test_no_settings_are_the_settings_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError):
        World(tmp_path).stores.checked()


def test_a_bucket_that_is_missing_is_said_each_time_until_it_is_there(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.use("late", exists=False)
    for _ in range(2):
        with pytest.raises(StoreFailure) as raised:
            world.stores.checked()
        assert raised.value.reason is Reason.BUCKET_MISSING
    (tmp_path / "late").mkdir()
    assert world.stores.checked().settings.location.bucket == "late"


def test_a_good_preflight_is_remembered_for_its_store(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.use("one")
    world.stores.checked()
    shutil.rmtree(tmp_path / "one")
    world.stores.checked()


def test_a_good_preflight_says_nothing_about_the_next_store(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.use("good")
    world.stores.checked()
    world.use("bad")
    world.stores.current()
    shutil.rmtree(tmp_path / "bad")
    with pytest.raises(StoreFailure):
        world.stores.checked()


def test_a_store_that_cannot_be_opened_is_a_store_failure_too(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.use("missing", exists=False)
    with pytest.raises(StoreFailure):
        world.stores.current()
    assert world.stores.settings().location.bucket == "missing"


def test_an_empty_bucket_becomes_this_clusters(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.use("one")
    world.stores.owned()
    assert b"cluster-1" in (tmp_path / "one" / "ark-cluster.json").read_bytes()
    world.stores.owned()


def test_looking_at_a_bucket_does_not_claim_it(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.use("one")
    world.stores.checked()
    assert not (tmp_path / "one" / "ark-cluster.json").exists()


def test_a_bucket_that_was_another_clusters_from_the_start_is_only_restored_from(tmp_path: Path) -> None:
    first, second = World(tmp_path, "cluster-1"), World(tmp_path, "cluster-2")
    for world in (first, second):
        world.use("one")
    first.stores.owned()
    with pytest.raises(StoreFailure, match=r"cluster-1.*cluster-2.*ark adopt") as raised:
        second.stores.owned()
    assert raised.value.reason is Reason.RESTORE_ONLY
    assert second.stores.checked().restore_only
    assert second.stores.settings().restore_only
    assert "cluster-1" in (second.stores.why_not_written() or "")
    assert not first.stores.settings().restore_only
    assert first.stores.why_not_written() is None


def test_a_bucket_that_another_cluster_took_over_is_refused_with_both_names(tmp_path: Path) -> None:
    world = World(tmp_path, "cluster-1")
    world.use("one")
    world.stores.owned()
    overtake(tmp_path, "cluster-2")
    with pytest.raises(StoreFailure, match=r"cluster-2.*cluster-1") as raised:
        world.stores.owned()
    assert raised.value.reason is Reason.FOREIGN_CLUSTER
    assert world.stores.why_not_written() is None, "each writer asks anew, and one that asks later may be let in"
    assert world.stores.checked().restore_only


def test_the_listener_is_told_when_a_place_changes_hands(tmp_path: Path) -> None:
    world, told = World(tmp_path, "cluster-1"), []
    world.stores.standing_changed = lambda: told.append(world.stores.standing())
    world.use("one")
    world.stores.owned()
    world.stores.owned()
    assert told == []
    overtake(tmp_path, "cluster-2")
    with pytest.raises(StoreFailure):
        world.stores.owned()
    assert [standing.tenure for standing in told if standing] == [Tenure.CONTESTED]


def overtake(path: Path, cluster_id: str) -> None:
    (path / "one" / "ark-cluster.json").write_bytes(b'{"clusterID": "%b"}' % cluster_id.encode())


@pytest.mark.parametrize("configured", [True, False], ids=["restoreOnlyMode", "another cluster's bucket"])
def test_nothing_leaves_the_process_where_nothing_may_be_written(tmp_path: Path, configured: bool) -> None:
    world = World(tmp_path)
    world.use("one", restore_only=configured)
    if not configured:
        overtake(tmp_path, "cluster-2")
    stores = world.stores.checked()
    for store in (stores.backups, stores.restic):
        with pytest.raises(StoreReadOnlyError):
            store.put("b/file", b"x")
        with pytest.raises(StoreReadOnlyError):
            store.delete(["b/file"])
    with pytest.raises(StoreFailure) as raised:
        world.stores.owned()
    assert raised.value.reason is Reason.RESTORE_ONLY
    files = {path.name for path in (tmp_path / "one").rglob("*") if path.is_file()}
    assert files == (set() if configured else {"ark-cluster.json"})


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        pytest.param(BucketMissingError("x"), Reason.BUCKET_MISSING, id="a bucket that is missing"),
        pytest.param(CredentialsRefusedError("x"), Reason.CREDENTIALS_REFUSED, id="credentials that are refused"),
        pytest.param(StoreReadOnlyError("x"), Reason.RESTORE_ONLY, id="a store that is not to be written"),
        pytest.param(StoreUnreachableError("x"), Reason.BACKEND_UNREACHABLE, id="no answer"),
    ],
)
def test_each_error_has_its_reason(error: StoreError, reason: Reason) -> None:
    assert store_reason(error) is reason
