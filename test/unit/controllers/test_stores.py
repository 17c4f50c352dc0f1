"""The stores of the settings: opened once, checked rarely, and only ever one cluster's."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pkg.apis.ark import Config, StorageProvider
from pkg.apis.meta import ObjectMeta
from pkg.apis.reasons import Reason
from pkg.controllers.config import ConfigReconciler, SettingsError
from pkg.controllers.stores import StoreFailure, Stores, store_reason
from pkg.objectstore.errors import BucketMissingError, CredentialsRefusedError, StoreError, StoreUnreachableError
from pkg.testing.fakes import FakeLister

NAMESPACE = "heptio-ark"


class World:
    """Settings over local directories, one bucket each."""

    def __init__(self, tmp_path: Path, cluster_id: str = "cluster-1") -> None:
        self.path = tmp_path
        self.lister: FakeLister[Config] = FakeLister()
        self.stores = Stores(ConfigReconciler(self.lister, {}, NAMESPACE), cluster_id)
        self.versions = 0

    def use(self, bucket: str, *, exists: bool = True) -> None:
        if exists:
            (self.path / bucket).mkdir(exist_ok=True)
        self.versions += 1
        metadata = ObjectMeta(name="default", namespace=NAMESPACE, uid="c", resource_version=str(self.versions))
        provider = StorageProvider(name="local", bucket=bucket, config={"path": str(self.path)})
        self.lister.put(Config(metadata=metadata, backup_storage_provider=provider))


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


def test_a_bucket_of_another_cluster_is_refused_with_both_names(tmp_path: Path) -> None:
    first, second = World(tmp_path, "cluster-1"), World(tmp_path, "cluster-2")
    for world in (first, second):
        world.use("one")
    first.stores.owned()
    with pytest.raises(StoreFailure, match=r"cluster-1.*cluster-2") as raised:
        second.stores.owned()
    assert raised.value.reason is Reason.FOREIGN_CLUSTER
    assert second.stores.checked().settings.location.bucket == "one"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        pytest.param(BucketMissingError("x"), Reason.BUCKET_MISSING, id="a bucket that is missing"),
        pytest.param(CredentialsRefusedError("x"), Reason.CREDENTIALS_REFUSED, id="credentials that are refused"),
        pytest.param(StoreUnreachableError("x"), Reason.BACKEND_UNREACHABLE, id="no answer"),
    ],
)
def test_each_error_has_its_reason(error: StoreError, reason: Reason) -> None:
    assert store_reason(error) is reason
