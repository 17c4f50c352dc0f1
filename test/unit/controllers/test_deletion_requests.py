"""Which DeleteBackupRequests are carried out: refusals, freezes, other backups' files, and too many at once."""

from __future__ import annotations

import msgspec
import pytest

from pkg.apis.meta import JsonObject
from pkg.apis.names import DELETION_CONFIRMED_ANNOTATION, IMPORTED_ANNOTATION, PINNED_ANNOTATION, SCHEDULE_LABEL
from pkg.backup.claim import ClaimDocument
from pkg.kube.refs import (
    BACKUPS,
    CONFIGS,
    DELETE_BACKUP_REQUESTS,
    POD_VOLUME_BACKUPS,
    RESTIC_REPOSITORIES,
    RESTORES,
)
from pkg.objectstore.layout import backup_keys
from pkg.testing.fakedeletion import CLUSTER, NAMESPACE, DeletionWorld, known_keys, snapshot_id

OTHERS = "stays"


@pytest.fixture
def world() -> DeletionWorld:
    """Two backups, of which `gone` is asked for."""
    made = DeletionWorld()
    made.add_backup("gone")
    made.add_backup(OTHERS)
    return made


@pytest.mark.parametrize(
    ("status", "annotations", "reason", "text"),
    [
        pytest.param({"phase": "InProgress"}, {}, "BackupInProgress", "backup is still in progress", id="in progress"),
        pytest.param({"phase": ""}, {}, "BackupInProgress", "backup is still in progress", id="not begun"),
        pytest.param({"clusterID": "other"}, {}, "ForeignCluster", "belongs to cluster other", id="another cluster's"),
        pytest.param(
            {"clusterID": "", "claim": None},
            {IMPORTED_ANNOTATION: "true"},
            "ForeignCluster",
            "belongs to cluster ark-0.9",
            id="0.9's, not adopted",
        ),
        pytest.param({}, {PINNED_ANNOTATION: "audit"}, "Pinned", "is pinned: audit", id="pinned"),
    ],
)
def test_what_must_not_go_is_refused_with_a_sentence(
    world: DeletionWorld, status: JsonObject, annotations: JsonObject, reason: str, text: str
) -> None:
    world.patch(BACKUPS, "gone", {"status": status}, subresource="status")
    world.patch(BACKUPS, "gone", {"metadata": {"annotations": annotations}})
    before, phase = dict(world.store.objects), status.get("phase", "Completed")
    request = world.ask("gone", force=True)
    world.process()
    refused = world.request(request).status
    assert (refused.phase, refused.reason) == ("Processed", reason)
    assert text in (refused.errors or ("",))[0]
    assert world.store.objects == before
    assert world.backup("gone").status.phase == phase
    assert world.pending() == set()


@pytest.mark.parametrize("field", [{"deletionsFrozen": "incident 7"}, {"restoreOnlyMode": True}])
def test_while_nothing_may_be_deleted_a_new_request_is_refused(world: DeletionWorld, field: JsonObject) -> None:
    world.patch(CONFIGS, "default", field)
    before = dict(world.store.objects)
    request = world.ask("gone")
    world.process()
    status = world.request(request).status
    assert (status.phase, status.reason) == (
        "Processed",
        "DeletionsFrozen" if "deletionsFrozen" in field else "RestoreOnly",
    )
    assert world.store.objects == before
    assert world.backup("gone").status.phase == "Completed"


def test_a_freeze_stops_a_deletion_between_two_keys_and_its_end_lets_it_go_on(world: DeletionWorld) -> None:
    def freeze(verb: str, key: str) -> None:
        if verb == "delete" and len(world.deleted_keys()) == 2:
            world.patch(CONFIGS, "default", {"deletionsFrozen": "incident 7"})
            world.sync()

    world.store.before = freeze
    request = world.ask("gone")
    world.process()
    status = world.request(request).status
    assert (status.phase, status.reason) == ("InProgress", "DeletionsFrozen")
    assert "incident 7" in status.message
    assert len(world.deleted_keys()) == 2
    world.store.before = lambda verb, key: None
    world.patch(CONFIGS, "default", {"deletionsFrozen": ""})
    world.process()
    assert world.request(request).status.phase == "Processed"
    assert world.names(BACKUPS) == [OTHERS]


def test_a_running_restore_keeps_its_backup(world: DeletionWorld) -> None:
    world.add_restore("running", "gone", phase="InProgress")
    request = world.ask("gone")
    world.process()
    status = world.request(request).status
    assert (status.phase, status.reason) == ("Processed", "BackupInUse")
    assert known_keys("gone") <= set(world.store.objects)


def test_a_restore_that_begins_as_its_backup_is_marked_is_waited_for(world: DeletionWorld) -> None:
    def restore(verb: str, key: str) -> None:
        if (verb, key) == ("list", "gone"):
            world.add_restore("quick", "gone", phase="New")

    world.store.before = restore
    request = world.ask("gone")
    world.process()
    status = world.request(request).status
    assert (status.phase, status.reason) == ("InProgress", "BackupInUse")
    assert known_keys("gone") <= set(world.store.objects)
    world.store.before = lambda verb, key: None
    world.patch(RESTORES, "quick", {"status": {"phase": "Completed"}}, subresource="status")
    world.process()
    assert world.request(request).status.phase == "Processed"
    assert world.names(BACKUPS) == [OTHERS]


def test_files_under_the_name_that_are_another_backups_stay(world: DeletionWorld) -> None:
    """An object that was refused because its name was taken does not take the other one's files with it."""
    before = dict(world.store.objects)
    world.api.remove(BACKUPS, NAMESPACE, "gone")
    world.add_backup("gone", phase="FailedValidation", files=False)
    request = world.ask("gone")
    world.process()
    assert world.store.objects == before
    assert world.names(BACKUPS) == [OTHERS]
    status = world.request(request).status
    assert not status.errors
    assert "they were not touched" in status.message


def test_a_backup_whose_metadata_is_of_another_uid_keeps_its_files(world: DeletionWorld) -> None:
    del world.store.objects[backup_keys("gone").claim]  # as 0.9 left it
    stored = msgspec.json.decode(world.store.objects[backup_keys("gone").metadata])
    stored["metadata"]["uid"] = "another"
    world.store.objects[backup_keys("gone").metadata] = msgspec.json.encode(stored)
    before = dict(world.store.objects)
    world.ask("gone")
    world.process()
    assert world.store.objects == before


def test_an_adopted_backup_that_was_found_in_the_bucket_can_be_deleted(world: DeletionWorld) -> None:
    metadata: JsonObject = {
        "annotations": {IMPORTED_ANNOTATION: "true", "ark.heptio.com/adopted": "2025-12-01T00:00:00Z"}
    }
    world.patch(BACKUPS, "gone", {"metadata": metadata})
    world.patch(BACKUPS, "gone", {"status": {"clusterID": "old", "claim": None}}, subresource="status")
    keys = backup_keys("gone")
    world.store.objects[keys.claim] = msgspec.json.encode(
        ClaimDocument(backup_uid="in-the-old-cluster", cluster_uid="old", epoch=1)
    )
    world.api.remove(POD_VOLUME_BACKUPS, NAMESPACE, "gone-data")
    world.api.remove(RESTIC_REPOSITORIES, NAMESPACE, "shop")
    request = world.ask("gone")
    world.process()
    assert not world.request(request).status.errors
    assert not known_keys("gone") & set(world.store.objects)
    assert world.pending() == {snapshot_id("gone")}, "the repository lies in the store, so its object is made"


def test_a_failed_backup_goes_with_its_claim_so_that_its_name_is_free(world: DeletionWorld) -> None:
    failed = world.add_backup("failed", phase="Failed", files=False)
    keys = backup_keys("failed")
    claim = ClaimDocument(backup_uid=failed.metadata.uid, cluster_uid=CLUSTER, epoch=1)
    world.store.objects |= {keys.log: b"log", keys.claim: msgspec.json.encode(claim)}
    labels: JsonObject = {"ark.heptio.com/backup-name": "failed", "ark.heptio.com/backup-uid": failed.metadata.uid}
    capture: JsonObject = {
        "metadata": {"name": "failed-data", "namespace": NAMESPACE, "labels": labels},
        "spec": {"pod": {"namespace": "shop", "name": "web"}, "volume": "data"},
        "status": {"phase": "Completed", "snapshotID": "f" * 64, "repositoryID": "r1"},
    }
    world.api.add(POD_VOLUME_BACKUPS, capture)
    world.ask("failed")
    world.process()
    assert not {keys.log, keys.claim} & set(world.store.objects)
    assert world.pending() == {"f" * 64}, "its PodVolumeBackup is the only record of that snapshot"
    assert "failed" not in world.names(BACKUPS)


@pytest.mark.parametrize(
    ("spec", "reason", "text"),
    [
        pytest.param({"backupName": ""}, "InvalidSpec", "spec.backupName is required", id="no name"),
        pytest.param({"backupName": "never"}, "BackupNotFound", "backup not found", id="not found"),
        pytest.param({"backupName": "gone", "backupUID": "x"}, "BackupNotFound", "is another one now", id="other uid"),
    ],
)
def test_a_request_for_no_backup(world: DeletionWorld, spec: JsonObject, reason: str, text: str) -> None:
    world.ask("gone", name="odd", **spec)
    world.patch(DELETE_BACKUP_REQUESTS, "odd", {"spec": spec})
    world.process()
    status = world.request("odd").status
    assert (status.phase, status.reason) == ("Processed", reason)
    assert text in (status.errors or ("",))[0]
    assert world.names(BACKUPS) == ["gone", OTHERS]


def test_0_9s_request_names_the_uid_in_a_label(world: DeletionWorld) -> None:
    world.ask("gone")
    labels: JsonObject = {"ark.heptio.com/backup-uid": "of-a-former-one"}
    world.patch(DELETE_BACKUP_REQUESTS, "gone-1", {"metadata": {"labels": labels}})
    world.process()
    assert world.request("gone-1").status.reason == "BackupNotFound"
    assert world.names(BACKUPS) == ["gone", OTHERS]


def test_of_several_requests_for_a_backup_one_works_and_the_older_ones_go(world: DeletionWorld) -> None:
    world.ask("gone", name="first")
    world.clock.advance(5)
    world.ask("gone", name="second")
    world.ask(OTHERS, name="unrelated")
    world.process()
    assert world.names(DELETE_BACKUP_REQUESTS) == ["second", "unrelated"]


def test_processed_requests_are_removed_after_a_day(world: DeletionWorld) -> None:
    world.ask("gone")
    world.process()
    world.clock.advance(23 * 3600)
    world.process()
    assert world.names(DELETE_BACKUP_REQUESTS) == ["gone-1"]
    world.clock.advance(3601)
    world.process()
    assert world.names(DELETE_BACKUP_REQUESTS) == []


def test_the_request_carries_0_9s_labels_hashed_where_they_are_long() -> None:
    world, name = DeletionWorld(), "b" * 80
    backup = world.add_backup(name)
    world.ask(name, name="request")
    world.process()
    labels = world.request("request").metadata.labels or {}
    assert labels["ark.heptio.com/backup-uid"] == backup.metadata.uid
    assert len(labels["ark.heptio.com/backup-name"]) == 63
    assert not world.request("request").status.errors
    assert world.names(BACKUPS) == []


def ask_for_all(world: DeletionWorld, count: int) -> None:
    for number in range(count):
        world.ask(f"daily-{number:02}", name=f"r{number:02}")


def test_many_deletions_within_an_hour_are_held_until_confirmed() -> None:
    world = DeletionWorld()
    for number in range(20):
        world.add_backup(f"daily-{number:02}", age_days=20 - number, schedule="daily")
    ask_for_all(world, 20)
    world.process()
    left = world.names(BACKUPS)
    assert len(left) == 10
    held = [name for name in world.names(DELETE_BACKUP_REQUESTS) if world.request(name).status.phase != "Processed"]
    assert len(held) == 10
    status = world.request(held[0]).status
    assert status.reason == "MassDeletionHeld"
    assert "ark backup confirm-deletions daily" in status.message
    world.clock.advance(2 * 3600)
    world.restart()
    world.process()
    assert world.names(BACKUPS) == left, "an hour and a restart confirm nothing"
    for name in left:
        world.patch(BACKUPS, name, {"metadata": {"annotations": {DELETION_CONFIRMED_ANNOTATION: "now"}}})
    world.process()
    assert world.names(BACKUPS) == []


def test_a_restart_does_not_forget_what_went_within_the_hour() -> None:
    world = DeletionWorld()
    for number in range(12):
        world.add_backup(f"daily-{number:02}", age_days=20 - number, schedule="daily")
    ask_for_all(world, 10)
    world.process()
    world.restart()
    world.ask("daily-10", name="one-more")
    world.process()
    assert world.request("one-more").status.reason == "MassDeletionHeld"
    assert world.names(BACKUPS) == ["daily-10", "daily-11"]


def test_a_quarter_of_a_long_history_may_go() -> None:
    world = DeletionWorld()
    for number in range(60):
        world.add_backup(f"daily-{number:02}", age_days=1, schedule="daily", files=False)
    ask_for_all(world, 30)
    world.process()
    assert len(world.names(BACKUPS)) == 45
    counted = [name for name in world.names(DELETE_BACKUP_REQUESTS) if world.request(name).status.phase == "Processed"]
    assert all(world.request(name).metadata.label(SCHEDULE_LABEL) == "daily" for name in counted)


def test_backups_without_a_schedule_are_not_counted() -> None:
    world = DeletionWorld()
    for number in range(15):
        world.add_backup(f"daily-{number:02}", files=False)
    ask_for_all(world, 15)
    world.process()
    assert world.names(BACKUPS) == []
