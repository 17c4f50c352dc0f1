"""The API's Backups follow what lies in the bucket."""

from __future__ import annotations

import json

import msgspec
import pytest

from pkg.apis.ark import Backup
from pkg.apis.meta import JsonObject
from pkg.apis.names import ADOPTED_ANNOTATION, IMPORTED_ANNOTATION, PINNED_ANNOTATION, SOURCE_CLUSTER_ANNOTATION
from pkg.controllers.adoption import mark_adopted
from pkg.controllers.foreign import Adoption
from pkg.controllers.ownership import is_ours
from pkg.controllers.sync import BackupSync, SyncReport, SyncTarget
from pkg.controllers.sync_plan import is_marked_missing
from pkg.kube.errors import InvalidError, ServerError, TransportError
from pkg.kube.refs import BACKUPS
from pkg.kube.stop import StopToken
from pkg.objectstore.catalog import read_metadata
from pkg.objectstore.errors import StoreUnreachableError
from pkg.testing import ark09
from pkg.testing.fakeapi import FakeApi
from pkg.testing.fakeclock import FakeClock
from pkg.testing.fakestore import FakeStore

NAMESPACE = "heptio-ark"
THEM = "cluster-2"
WRITES = {"put", "delete"}


class World:
    """An Ark whose cache is always fresh, and a bucket."""

    def __init__(self) -> None:
        self.api, self.store, self.clock = FakeApi(), FakeStore(), FakeClock()
        self.complaints: list[tuple[str, str]] = []
        self.sync = BackupSync(
            self.api.client,
            NAMESPACE,
            clock=self.clock,
            complain=lambda name, reason, message: self.complaints.append((name, reason)),
        )

    def put(self, name: str, *, cluster: str = THEM, phase: str = "Completed", **metadata: object) -> None:
        status = {"phase": phase, "clusterID": cluster, "expiration": "2026-12-01T00:00:00Z", "version": 1}
        body = {
            "apiVersion": "ark.heptio.com/v1",
            "kind": "Backup",
            "metadata": {"name": name, "uid": f"uid-of-{name}", **metadata},
            "spec": {"ttl": "720h0m0s"},
            "status": status,
        }
        self.store.objects[f"{name}/ark-backup.json"] = msgspec.json.encode(body)

    def run(self, adopt: str = "") -> SyncReport:
        self.store.calls.clear()
        return self.sync.run(
            SyncTarget(store=self.store, known=self.backups(), adoption=Adoption(text=adopt)), StopToken()
        )

    def backups(self) -> list[Backup]:
        return self.api.client.list(BACKUPS, NAMESPACE, Backup)

    def backup(self, name: str) -> Backup:
        return self.api.client.get(BACKUPS, NAMESPACE, name, Backup)

    def names(self) -> list[str]:
        return sorted(backup.metadata.name for backup in self.backups())

    def own(self, name: str, phase: str = "Completed") -> None:
        """A Backup that this cluster made."""
        metadata: JsonObject = {"name": name, "namespace": NAMESPACE, "annotations": {}}
        status: JsonObject = {"phase": phase, "clusterID": "cluster-1"}
        self.api.add(BACKUPS, {"metadata": metadata, "spec": {}, "status": status})


@pytest.fixture
def world() -> World:
    return World()


def test_a_backup_of_another_cluster_is_imported_with_its_status(world: World) -> None:
    world.put("b", labels={"ark-schedule": "daily"})
    assert world.run().imported == 1
    found = world.backup("b")
    assert (found.status.phase, found.status.cluster_id, found.spec.ttl) == ("Completed", THEM, "720h0m0s")
    assert found.metadata.annotation(IMPORTED_ANNOTATION) == "uid-of-b"
    assert found.metadata.annotation(SOURCE_CLUSTER_ANNOTATION) == THEM
    assert found.metadata.labels == {"ark-schedule": "daily"}
    assert not is_ours(found, "cluster-1")


def test_a_backup_of_0_9_is_imported_with_all_its_nulls(world: World) -> None:
    ark09.write_backups(world.store)
    assert world.run().imported == 2
    found = world.backup(ark09.BACKUP)
    assert (found.status.phase, found.metadata.label("ark-schedule")) == ("Completed", "shop")
    assert found.metadata.annotation(SOURCE_CLUSTER_ANNOTATION) == ""
    assert found.metadata.annotation("ark.heptio.com/pod-volume-timeout") == "2h"
    stored = world.api.get(BACKUPS, NAMESPACE, ark09.BACKUP)
    assert stored is not None
    assert "finalizers" not in json.dumps(stored)
    disks = world.backup(ark09.FAILED_BACKUP)
    assert disks.status.phase == "Failed"
    assert [info.snapshot_id for info in (disks.status.volume_backups or {}).values()] == ["snap-0a1b2c3d"]


def test_what_belonged_to_the_live_object_stays_behind(world: World) -> None:
    world.put(
        "b",
        namespace="elsewhere",
        finalizers=["gc.ark.heptio.com", "somebody.else/waits"],
        ownerReferences=[{"apiVersion": "v1", "kind": "X", "name": "x", "uid": "x"}],
        annotations={ADOPTED_ANNOTATION: "2026-01-01T00:00:00Z", "kept": "yes"},
        labels={"long": "x" * 80},
    )
    raw = json.loads(world.store.objects["b/ark-backup.json"])
    raw["status"] |= {"claim": {"holder": "h", "epoch": 3}, "openHooks": [{"pod": "p"}]}
    world.store.objects["b/ark-backup.json"] = json.dumps(raw).encode()
    world.run()
    found = world.backup("b")
    stored = json.dumps(world.api.get(BACKUPS, NAMESPACE, "b"))
    for left in ("finalizers", "ownerReferences", "elsewhere", "openHooks", "claim"):
        assert left not in stored.replace("clusterID", "")
    assert found.metadata.annotation(ADOPTED_ANNOTATION) == ""
    assert found.metadata.annotation("kept") == "yes"
    assert len(found.metadata.label("long")) <= 63


def test_known_backups_cost_one_listing_and_nothing_more(world: World) -> None:
    for number in range(1000):
        world.put(f"b{number}")
    assert world.run().imported == 1000
    known, asked = world.backups(), len(world.api.requests)
    world.store.calls.clear()
    report = world.sync.run(SyncTarget(store=world.store, known=known), StopToken())
    assert world.store.calls == [("list_directories", "")]
    assert len(world.api.requests) == asked
    assert (report.listed, report.imported) == (1000, 0)


def test_metadata_is_read_for_new_names_only(world: World) -> None:
    world.put("old")
    world.run()
    world.put("new")
    world.run()
    assert world.store.calls == [("list_directories", ""), ("get", "new/ark-backup.json")]


def test_a_sync_writes_nothing_to_the_store(world: World) -> None:
    ark09.write_backups(world.store)
    world.own("lost")
    world.run()
    world.run()
    assert not [call for call in world.store.calls if call[0] in WRITES]


@pytest.mark.parametrize("method", ["POST", "PATCH"], ids=["before it was created", "before its status was written"])
def test_an_import_that_died_halfway_is_completed_by_the_next_sync(world: World, method: str) -> None:
    world.put("b")
    world.api.fail_next(TransportError("killed"), method=method, ref=BACKUPS)
    with pytest.raises(TransportError):
        world.run()
    assert world.names() == ([] if method == "POST" else ["b"])
    assert world.run().imported == 1
    assert world.backup("b").status.phase == "Completed"


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="an empty file"),
        pytest.param(b'{"spec": 1}', id="not a Backup"),
        pytest.param(b'{"metadata": {"name": "other"}, "status": {"phase": "Completed"}}', id="another backup's"),
        pytest.param(b'{"metadata": {"name": "bad"}, "status": {"phase": "InProgress"}}', id="one that has not ended"),
        pytest.param(b'{"metadata": {"name": "bad"}}', id="one without a status"),
        pytest.param(
            b'{"apiVersion": "velero.io/v1", "kind": "Backup", "metadata": {"name": "bad"}}', id="another API's version"
        ),
        pytest.param(
            b'{"metadata": {"name": "bad"}, "status": {"phase": "Completed", "version": 2}}', id="a later format"
        ),
    ],
)
def test_damaged_metadata_is_told_once_and_stops_no_other(world: World, content: bytes) -> None:
    world.store.objects["bad/ark-backup.json"] = content
    world.put("good")
    report = world.run()
    assert (report.imported, report.damaged, world.names()) == (1, 1, ["good"])
    world.clock.advance(7 * 24 * 3600)
    assert world.run().damaged == 1
    assert world.complaints == [("bad", "BackupDamaged")]


def test_damaged_metadata_that_was_mended_is_imported(world: World) -> None:
    world.store.objects["b/ark-backup.json"] = b"{"
    world.run()
    world.put("b")
    world.clock.advance(60)
    assert (world.run().imported, world.run().damaged) == (1, 0)


def test_a_directory_without_metadata_is_asked_for_ever_more_rarely(world: World) -> None:
    world.store.objects["running/ark-claim.json"] = b"{}"
    world.store.objects["photos/cat.jpg"] = b""
    asked = 0
    for _ in range(24 * 60):
        assert world.run().imported == 0
        asked += sum(1 for verb, key in world.store.calls if verb == "get" and key.startswith("photos"))
        world.clock.advance(60)
    assert 5 < asked < 15
    assert world.complaints == []


def test_a_backup_in_progress_elsewhere_is_imported_when_it_ends(world: World) -> None:
    world.store.objects["b/ark-claim.json"] = b"{}"
    world.run()
    assert world.names() == []
    world.put("b")
    world.clock.advance(60)
    assert world.run().imported == 1


def test_what_the_api_refuses_is_told_and_leaves_nothing_half_made(world: World) -> None:
    world.put("b")
    world.api.fail_next(InvalidError("status.phase: no"), method="PATCH", ref=BACKUPS)
    assert world.run().damaged == 1
    assert world.names() == []
    assert world.complaints == [("b", "BackupDamaged")]


def test_an_api_that_fails_is_no_damage(world: World) -> None:
    world.put("b")
    world.api.fail_next(ServerError("later", code=500), method="POST", ref=BACKUPS)
    with pytest.raises(ServerError):
        world.run()
    assert world.complaints == []


def test_an_imported_backup_whose_files_are_gone_is_removed(world: World) -> None:
    world.put("b")
    world.put("stays")
    world.run()
    del world.store.objects["b/ark-backup.json"]
    assert world.run().removed == 1
    assert world.names() == ["stays"]


def test_an_imported_backup_is_not_removed_on_the_word_of_a_listing_alone(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.put("b")
    world.run()
    monkeypatch.setattr(world.store, "list_directories", lambda prefix="": [])  # a listing that lags behind
    assert world.run().removed == 0
    assert world.names() == ["b"]


def test_a_store_that_does_not_answer_removes_nothing(world: World) -> None:
    world.put("b")
    world.run()

    def away(verb: str, key: str) -> None:
        raise StoreUnreachableError("no answer")

    world.store.before = away
    with pytest.raises(StoreUnreachableError):
        world.run()
    assert world.names() == ["b"]


def test_an_own_backup_whose_files_are_gone_stays_and_says_so(world: World) -> None:
    world.own("mine")
    assert world.run().missing == 1
    assert is_marked_missing(world.backup("mine"))
    assert world.complaints == [("mine", "BackupNotFound")]
    world.run()
    assert world.store.calls == [("list_directories", "")], "what was said once costs nothing any more"
    world.put("mine", cluster="cluster-1")
    world.run()
    assert not is_marked_missing(world.backup("mine"))
    assert world.complaints == [("mine", "BackupNotFound")]


@pytest.mark.parametrize("phase", ["", "New", "InProgress", "Failed", "FailedValidation", "Deleting"])
def test_an_own_backup_that_never_had_files_or_loses_them_rightly_is_left_alone(world: World, phase: str) -> None:
    world.own("mine", phase)
    report = world.run()
    assert (report.missing, report.removed, world.complaints) == (0, 0, [])
    assert world.names() == ["mine"]


def test_a_pinned_import_is_kept_because_a_later_import_would_not_be_pinned(world: World) -> None:
    world.put("b")
    world.run()
    patch: JsonObject = {"metadata": {"annotations": {PINNED_ANNOTATION: "audit"}}}
    world.api.client.patch(BACKUPS, NAMESPACE, "b", patch, Backup)
    files = dict(world.store.objects)
    world.store.objects.clear()
    world.run()
    assert is_marked_missing(world.backup("b"))
    world.store.objects.update(files)
    world.run()
    assert not is_marked_missing(world.backup("b"))


@pytest.mark.parametrize("phase", ["Failed", "FailedValidation"])
def test_another_backup_under_the_name_of_one_that_came_to_nothing_is_told_once(world: World, phase: str) -> None:
    world.own("b", phase)
    world.put("b")
    world.run()
    world.run()
    assert world.complaints == [("b", "NameTaken")]
    assert world.store.calls == [("list_directories", "")]
    assert not world.backup("b").metadata.annotation(IMPORTED_ANNOTATION)


def test_a_backup_that_is_being_deleted_is_not_brought_back(world: World) -> None:
    world.put("b")
    world.own("b", "Deleting")
    world.run()
    assert world.store.calls == [("list_directories", "")]


def test_metadata_that_vanishes_between_listing_and_reading_is_no_backup(world: World) -> None:
    world.put("b")

    def deleted(verb: str, key: str) -> None:
        if verb == "get":
            world.store.objects.clear()

    world.store.before = deleted
    assert world.run().imported == 0
    assert world.names() == []
    assert world.complaints == []


def test_a_sync_that_is_stopped_says_that_it_is_not_through(world: World) -> None:
    world.put("b")
    stop = StopToken()
    stop.cancel("shutdown")
    assert world.sync.run(SyncTarget(store=world.store, known=[]), stop).interrupted
    assert world.names() == []


def test_a_backup_of_an_adopted_cluster_is_ours_from_its_import(world: World) -> None:
    world.put("b")
    world.put("c", cluster="cluster-3")
    world.run(adopt=f"{THEM};now")
    assert is_ours(world.backup("b"), "cluster-1")
    assert not is_ours(world.backup("c"), "cluster-1")


def test_an_adoption_marks_what_was_imported_before_and_nothing_else(world: World) -> None:
    world.put("b")
    world.put("c", cluster="cluster-3")
    ark09.write_backups(world.store)
    world.run()
    world.own("mine")
    before = world.backup("mine")
    adoption = Adoption(text=f"{THEM},ark-0.9;now")
    for expected in (3, 0):
        marked = mark_adopted(
            world.api.client, world.backups(), adoption, cluster_id="cluster-1", now=world.clock.now()
        )
        assert marked == expected
    assert world.backup("mine") == before
    ours = [backup.metadata.name for backup in world.backups() if is_ours(backup, "cluster-1")]
    assert sorted(ours) == ["b", "disks", "mine", ark09.BACKUP]


def test_the_metadata_of_0_9_decodes() -> None:
    store = FakeStore()
    ark09.write_backups(store)
    found = read_metadata(store, ark09.FAILED_BACKUP).backup
    assert found.spec.hooks is not None
    assert found.spec.ttl == "0s"
