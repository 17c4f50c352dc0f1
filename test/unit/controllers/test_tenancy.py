"""A place is looked at, taken, adopted and remembered; a death at any line loses nothing."""

from __future__ import annotations

import msgspec
import pytest

from pkg.controllers.config import Settings
from pkg.controllers.foreign import Tenure
from pkg.controllers.location_record import (
    LocationRecord,
    RecordInCluster,
    RecordInMemory,
    decode_record,
    encode_record,
)
from pkg.controllers.tenancy import Tenancy
from pkg.kube.errors import TransportError
from pkg.kube.refs import CONFIG_MAPS
from pkg.objectstore.catalog import read_cluster, stamp_cluster
from pkg.objectstore.credentials import CloudCredentials
from pkg.objectstore.location import StorageLocation
from pkg.testing.fakeapi import FakeApi
from pkg.testing.fakestore import FakeStore

US, THEM = "cluster-1", "cluster-2"


def settings(*, adopt: str = "", prefix: str = "") -> Settings:
    return Settings(
        location=StorageLocation(provider="aws", bucket="b", prefix=prefix),
        credentials=CloudCredentials(provider="aws"),
        restore_only=False,
        pod_volume_timeout_seconds=1,
        resource_priorities=(),
        adopt=adopt,
    )


def with_backup(store: FakeStore, name: str, cluster: str = "") -> FakeStore:
    status = {"phase": "Completed", **({"clusterID": cluster} if cluster else {})}
    store.objects[f"{name}/ark-backup.json"] = msgspec.json.encode({"metadata": {"name": name}, "status": status})
    return store


def test_a_free_place_is_taken_and_remembered() -> None:
    store, records = FakeStore(), RecordInMemory()
    assert Tenancy(US, records).claim(store, settings()).tenure is Tenure.OURS
    assert read_cluster(store) == US
    assert records.record.state == "Ours"
    assert len(records.record.held) == 1


def test_a_look_writes_nothing_to_the_store() -> None:
    store = FakeStore()
    assert Tenancy(US, RecordInMemory()).look(store, settings()).tenure is Tenure.FREE
    assert {verb for verb, _ in store.calls} <= {"get", "head", "list_directories"}


def test_another_clusters_place_is_not_taken() -> None:
    store = FakeStore()
    stamp_cluster(store, THEM)
    assert Tenancy(US, RecordInMemory()).claim(store, settings()).tenure is Tenure.FOREIGN
    assert read_cluster(store) == THEM


@pytest.mark.parametrize(
    ("metadata", "owner"),
    [
        pytest.param(b'{"metadata": {"name": "b"}, "status": {"phase": "Completed"}}', "ark-0.9", id="of Ark 0.9"),
        pytest.param(b'{"metadata": {"name": "b"}, "status": {"clusterID": "cluster-2"}}', THEM, id="of a cluster"),
        pytest.param(b"{", "ark-0.9", id="damaged, so of nobody knows whom"),
    ],
)
def test_backups_without_a_stamp_are_foreign_data(metadata: bytes, owner: str) -> None:
    store = FakeStore()
    store.objects = {"a/a-logs.gz": b"", "b/ark-backup.json": metadata}
    standing = Tenancy(US, RecordInMemory()).claim(store, settings())
    assert (standing.tenure, standing.owner) == (Tenure.FOREIGN, owner)
    assert read_cluster(store) == ""


def test_own_backups_without_a_stamp_are_no_foreign_data() -> None:
    store = with_backup(FakeStore(), "b", US)
    assert Tenancy(US, RecordInMemory()).claim(store, settings()).tenure is Tenure.OURS


def test_a_place_that_another_cluster_took_over_is_contested_also_after_a_restart() -> None:
    store, api = FakeStore(), FakeApi()
    Tenancy(US, RecordInCluster(api.client, "heptio-ark")).claim(store, settings())
    store.objects["ark-cluster.json"] = b'{"clusterID": "cluster-2"}'
    restarted = Tenancy(US, RecordInCluster(api.client, "heptio-ark"))
    assert restarted.claim(store, settings()).tenure is Tenure.CONTESTED
    assert read_cluster(store) == THEM


def test_having_held_one_prefix_says_nothing_about_another() -> None:
    records = RecordInMemory()
    Tenancy(US, records).claim(FakeStore(), settings())
    other = FakeStore()
    stamp_cluster(other, THEM)
    assert Tenancy(US, records).claim(other, settings(prefix="p")).tenure is Tenure.FOREIGN


def test_an_adoption_is_carried_out_once() -> None:
    store, records = FakeStore(), RecordInMemory()
    stamp_cluster(store, THEM)
    tenancy = Tenancy(US, records)
    asked = settings(adopt=f"{THEM};2026-11-23T10:00:00Z")
    assert tenancy.look(store, asked).tenure is Tenure.ADOPTABLE
    assert tenancy.claim(store, asked).tenure is Tenure.OURS
    assert read_cluster(store) == US
    store.objects["ark-cluster.json"] = b'{"clusterID": "cluster-2"}'
    assert tenancy.claim(store, asked).tenure is Tenure.CONTESTED
    assert tenancy.claim(store, settings(adopt=f"{THEM};2026-11-24T10:00:00Z")).tenure is Tenure.OURS


def test_backups_of_0_9_are_adopted_by_their_name() -> None:
    store = with_backup(FakeStore(), "old")
    assert Tenancy(US, RecordInMemory()).claim(store, settings(adopt="ark-0.9;now")).tenure is Tenure.OURS
    assert read_cluster(store) == US


def test_an_adoption_that_a_third_cluster_outran_takes_nothing() -> None:
    store = FakeStore()
    stamp_cluster(store, THEM)

    def third(verb: str, key: str) -> None:
        if verb == "head":
            store.objects["ark-cluster.json"] = b'{"clusterID": "cluster-3"}'

    store.before = third
    standing = Tenancy(US, RecordInMemory()).claim(store, settings(adopt=f"{THEM};1"))
    assert (standing.tenure, standing.owner) == (Tenure.FOREIGN, "cluster-3")


def test_a_record_that_is_not_written_is_written_by_the_next_look() -> None:
    store, api = FakeStore(), FakeApi()
    tenancy = Tenancy(US, RecordInCluster(api.client, "heptio-ark"))
    api.fail_next(TransportError("away"), method="PATCH", ref=CONFIG_MAPS)
    assert tenancy.claim(store, settings()).tenure is Tenure.OURS
    assert api.list(CONFIG_MAPS, "heptio-ark") == []
    tenancy.claim(store, settings())
    written = len(api.requests)
    assert len(api.list(CONFIG_MAPS, "heptio-ark")) == 1
    tenancy.claim(store, settings())
    assert len(api.requests) == written, "what is remembered already is not written again"


def test_a_record_that_cannot_be_read_decides_nothing() -> None:
    api = FakeApi()
    api.fail_next(TransportError("away"), method="GET", ref=CONFIG_MAPS)
    with pytest.raises(TransportError):
        Tenancy(US, RecordInCluster(api.client, "heptio-ark")).claim(FakeStore(), settings())


def test_a_record_comes_back_as_it_was() -> None:
    record = LocationRecord(place="aws  b/", state="Ours", owner=US, held=("aws  b/", "aws  c/p"), carried_out="x;1")
    assert decode_record(encode_record(record)) == record
    assert decode_record({}) == LocationRecord()
