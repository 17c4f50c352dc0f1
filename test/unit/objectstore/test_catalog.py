import msgspec
import pytest

from pkg.objectstore.catalog import adopt_cluster, list_backups, read_cluster, read_metadata, stamp_cluster
from pkg.objectstore.errors import ObjectInvalidError, ObjectNotFoundError
from pkg.objectstore.layout import CLUSTER_KEY, backup_keys, restore_keys
from pkg.testing.fakestore import FakeStore


def test_the_keys_are_those_of_0_9() -> None:
    keys = backup_keys("nightly")
    assert (keys.metadata, keys.tarball, keys.log) == (
        "nightly/ark-backup.json",
        "nightly/nightly.tar.gz",
        "nightly/nightly-logs.gz",
    )
    assert restore_keys("nightly", "r1").log == "nightly/restore-r1-logs.gz"
    assert restore_keys("nightly", "r1").results == "nightly/restore-r1-results.gz"


def test_a_deletion_begins_with_what_makes_the_backup_exist_and_ends_with_its_claim() -> None:
    keys = backup_keys("nightly")
    assert keys.in_deletion_order[0] == keys.metadata
    assert keys.in_deletion_order[-1] == keys.claim
    assert len(set(keys.in_deletion_order)) == 5


@pytest.mark.parametrize("name", ["", ".", "..", "a/b"])
def test_a_name_that_is_no_directory_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="directory"):
        backup_keys(name)


def test_backups_are_listed_with_one_request() -> None:
    store = FakeStore()
    store.objects = {"b/ark-backup.json": b"", "a/a.tar.gz": b"", "restic/ns/config": b"", CLUSTER_KEY: b""}
    assert list_backups(store) == ["a", "b"]
    assert store.calls == [("list_directories", "")]


def test_metadata_keeps_what_ark_does_not_read() -> None:
    store = FakeStore()
    raw = {"kind": "Backup", "metadata": {"name": "b", "uid": "u"}, "spec": {"ttl": "1h"}, "new": {"x": [1]}}
    store.objects["b/ark-backup.json"] = msgspec.json.encode(raw)
    found = read_metadata(store, "b")
    assert found.raw == raw
    assert (found.backup.metadata.uid, found.backup.spec.ttl) == ("u", "1h")


def test_missing_and_damaged_metadata_are_told_apart() -> None:
    store = FakeStore()
    with pytest.raises(ObjectNotFoundError):
        read_metadata(store, "b")
    for damaged in (b"", b"{", b"[]", b'{"spec": 1}', b"\xff\xfe"):
        store.objects["b/ark-backup.json"] = damaged
        with pytest.raises(ObjectInvalidError, match=r"b/ark-backup\.json"):
            read_metadata(store, "b")


def test_the_first_cluster_owns_the_prefix() -> None:
    store = FakeStore()
    assert read_cluster(store) == ""
    assert stamp_cluster(store, "one") == "one"
    assert stamp_cluster(store, "two") == "one"
    assert stamp_cluster(store, "one") == "one"


def test_of_two_clusters_that_stamp_at_once_one_wins() -> None:
    store = FakeStore()

    def another_is_faster(verb: str, key: str) -> None:
        if verb == "put":
            store.before = lambda verb, key: None
            stamp_cluster(store, "faster")

    store.before = another_is_faster
    assert stamp_cluster(store, "slower") == "faster"


def test_a_prefix_is_adopted() -> None:
    store = FakeStore()
    stamp_cluster(store, "old")
    adopt_cluster(store, "new")
    assert read_cluster(store) == "new"
