"""A backup is deleted with all that belongs to it and nothing else, wherever the server dies meanwhile."""

from __future__ import annotations

import msgspec
import pytest

from pkg.apis.ark import DeleteBackupRequest
from pkg.apis.meta import Json, JsonObject
from pkg.apis.names import DELETION_CONFIRMED_ANNOTATION, IMPORTED_ANNOTATION, PINNED_ANNOTATION, SCHEDULE_LABEL
from pkg.apis.reasons import Reason
from pkg.backup.claim import ClaimDocument
from pkg.controllers.stores import StoreFailure
from pkg.kube.refs import (
    BACKUPS,
    CONFIGS,
    DELETE_BACKUP_REQUESTS,
    POD_VOLUME_BACKUPS,
    RESTIC_REPOSITORIES,
    RESTORES,
)
from pkg.objectstore.errors import CredentialsRefusedError, StoreUnreachableError
from pkg.objectstore.layout import backup_keys, restore_keys
from pkg.testing.fakedeletion import CLUSTER, NAMESPACE, DeletionWorld, KilledError, snapshot_id
from pkg.volumes.ledger import Ledger, LedgerEntry, to_json_gz

OTHERS = "stays"


def known_keys(name: str) -> set[str]:
    return {*backup_keys(name).in_deletion_order, *restore_keys(name, f"{name}-r").in_deletion_order}


@pytest.fixture
def world() -> DeletionWorld:
    """Two backups, of which `gone` is going to be deleted."""
    made = DeletionWorld()
    made.add_backup("gone")
    made.add_backup(OTHERS)
    made.store.objects["gone/notes.txt"] = b"somebody's"
    made.store.objects["ark-cluster.json"] = b"{}"
    return made


def remains(world: DeletionWorld) -> dict[str, object]:
    """Everything that is left, without times and versions."""
    return {
        "objects": {ref.kind: world.names(ref) for ref in (BACKUPS, RESTORES, POD_VOLUME_BACKUPS)},
        "requests": [(one.metadata.name, one.status.phase, one.status.errors) for one in _requests(world)],
        "pending": world.pending(),
        "keys": set(world.store.objects),
    }


def _requests(world: DeletionWorld) -> list[DeleteBackupRequest]:
    return [world.request(name) for name in world.names(DELETE_BACKUP_REQUESTS)]


def test_everything_of_a_backup_goes_and_nothing_else(world: DeletionWorld) -> None:
    others = known_keys(OTHERS)
    request = world.ask("gone")
    world.process()
    assert set(world.store.objects) == others | {"gone/notes.txt", "ark-cluster.json"}
    assert world.names(BACKUPS) == [OTHERS]
    assert world.names(RESTORES) == [f"{OTHERS}-r"]
    assert world.names(POD_VOLUME_BACKUPS) == [f"{OTHERS}-data"]
    assert world.pending() == {snapshot_id("gone")}
    status = world.request(request).status
    assert (status.phase, status.errors or ()) == ("Processed", ())
    assert status.completion_timestamp == world.clock.now()


def test_only_named_keys_are_deleted_what_makes_it_exist_first_and_its_claim_last(world: DeletionWorld) -> None:
    world.ask("gone")
    world.process()
    restores = restore_keys("gone", "gone-r")
    assert world.deleted_keys() == [restores.log, restores.results, *backup_keys("gone").in_deletion_order]


def test_snapshots_are_queued_before_the_first_file_goes(world: DeletionWorld) -> None:
    def check(verb: str, key: str) -> None:
        if verb == "delete":
            assert world.pending() == {snapshot_id("gone")}
            assert world.backup("gone").status.phase == "Deleting"

    world.store.before = check
    world.ask("gone")
    world.process()
    assert world.deleted_keys()


def test_wherever_the_server_dies_the_next_one_ends_it() -> None:
    undisturbed = scene()
    undisturbed.process()
    expected = remains(undisturbed)
    for call in range(1, undisturbed.calls.made + 1):
        world = scene()
        world.calls.die_before(call)
        with pytest.raises(KilledError):
            world.process()
        world.restart()
        world.process()
        assert remains(world) == expected, f"died before call {call}"
        assert set(world.deleted_keys()) <= known_keys("gone")


def scene() -> DeletionWorld:
    made = DeletionWorld()
    made.add_backup("gone", schedule="daily")
    made.add_backup(OTHERS, schedule="daily")
    made.ask("gone", name="request")
    made.calls.die_before(0)
    return made


def test_after_a_death_the_backup_is_whole_or_marked() -> None:
    """A phase that promises a restore goes before anything that a restore needs."""
    total = scene()
    total.process()
    for call in range(1, total.calls.made + 1):
        world = scene()
        world.calls.die_before(call)
        with pytest.raises(KilledError):
            world.process()
        if "gone" in world.names(BACKUPS) and world.backup("gone").status.phase == "Completed":
            assert known_keys("gone") <= set(world.store.objects)
            assert world.pending() == set()


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


def repository_gone(world: DeletionWorld) -> None:
    world.api.remove(RESTIC_REPOSITORIES, NAMESPACE, "shop")
    del world.restic.objects["shop/config"]


def another_repository(world: DeletionWorld) -> None:
    world.patch(RESTIC_REPOSITORIES, "shop", {"status": {"repositoryID": "r2"}}, subresource="status")


def bucket_gone(world: DeletionWorld) -> None:
    world.stores.trouble = StoreFailure(Reason.BUCKET_MISSING, "there is no bucket b")


def damaged_list(world: DeletionWorld) -> None:
    world.store.objects[backup_keys("gone").volumes] = b"not gzip"


@pytest.mark.parametrize(
    ("harm", "reason", "text"),
    [
        pytest.param(repository_gone, "RepositoryMissing", "the restic repository is missing", id="repository"),
        pytest.param(another_repository, "RepositoryMissing", "is another repository now", id="another repository"),
        pytest.param(bucket_gone, "BucketMissing", "there is no bucket b", id="bucket"),
        pytest.param(damaged_list, "BackupDamaged", "the volume list is damaged", id="volume list"),
    ],
)
def test_what_is_missing_is_a_reason_and_force_goes_on(
    world: DeletionWorld, harm: object, reason: str, text: str
) -> None:
    assert callable(harm)
    harm(world)
    before = dict(world.store.objects)
    world.ask("gone")
    world.process()
    status = world.request("gone-1").status
    assert (status.phase, status.reason) == ("Processed", reason)
    assert text in " ".join(status.errors or ())
    assert world.store.objects == before
    assert world.backup("gone").status.phase == "Completed", "it was only looked at"
    world.ask("gone", name="gone-2", force=True)
    world.process()
    forced = world.request("gone-2").status
    assert forced.phase == "Processed"
    assert text in " ".join(forced.errors or ())
    assert world.names(BACKUPS) == [OTHERS]
    assert known_keys(OTHERS) <= set(world.store.objects)


def test_deletes_that_the_store_refuses_are_reported_and_not_repeated(world: DeletionWorld) -> None:
    def refuse(verb: str, key: str) -> None:
        if verb == "delete" and key == backup_keys("gone").tarball:
            raise CredentialsRefusedError("the bucket's retention forbids it")

    world.store.before = refuse
    request = world.ask("gone")
    world.process()
    status = world.request(request).status
    assert (status.phase, status.reason) == ("Processed", "CredentialsRefused")
    assert "error deleting gone/gone.tar.gz from object storage" in (status.errors or ("",))[0]
    assert world.backup("gone").status.phase == "Deleting"
    asked = len(world.deleted_keys())
    world.process()
    assert len(world.deleted_keys()) == asked
    world.store.before = lambda verb, key: None
    world.ask("gone", name="again")
    world.process()
    assert world.names(BACKUPS) == [OTHERS]
    assert not known_keys("gone") & set(world.store.objects)


def test_a_store_that_does_not_answer_is_asked_again(world: DeletionWorld) -> None:
    silent = iter(range(2))

    def fail(verb: str, key: str) -> None:
        if verb == "delete" and next(silent, None) is not None:
            raise StoreUnreachableError("no answer")

    world.store.before = fail
    request = world.ask("gone")
    world.process()
    assert not world.request(request).status.errors
    assert world.clock.waits


def test_a_queue_that_is_full_is_waited_for(world: DeletionWorld) -> None:
    full: list[Json] = [f"{number:064x}" for number in range(5000)]
    world.patch(RESTIC_REPOSITORIES, "shop", {"status": {"pendingForget": full}}, subresource="status")
    request = world.ask("gone")
    world.process()
    status = world.request(request).status
    assert status.phase == "InProgress"
    assert "wait for its maintenance" in status.message
    assert known_keys("gone") <= set(world.store.objects)
    world.patch(RESTIC_REPOSITORIES, "shop", {"status": {"pendingForget": None}}, subresource="status")
    world.process()
    assert world.pending() == {snapshot_id("gone")}
    assert world.names(BACKUPS) == [OTHERS]


def test_ids_that_wait_already_stay_queued(world: DeletionWorld) -> None:
    world.patch(RESTIC_REPOSITORIES, "shop", {"status": {"pendingForget": ["a" * 64]}}, subresource="status")
    world.ask("gone")
    world.process()
    assert world.pending() == {"a" * 64, snapshot_id("gone")}


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


def test_a_snapshot_of_0_9_is_queued_from_its_capture(world: DeletionWorld) -> None:
    keys = backup_keys("gone")
    for key in (keys.volumes, keys.claim):
        del world.store.objects[key]
    world.patch(POD_VOLUME_BACKUPS, "gone-data", {"status": {"snapshotID": "deadbeef"}}, subresource="status")
    world.ask("gone")
    world.process()
    assert world.pending() == {"deadbeef"}


def test_a_capture_that_the_list_names_is_queued_once(world: DeletionWorld) -> None:
    uid = world.backup("gone").metadata.uid
    entries = tuple(
        LedgerEntry(namespace="shop", pod=pod, snapshot_id="c" * 64, repository="shop", repository_id="r1")
        for pod in ("one", "two")
    )
    world.store.objects[backup_keys("gone").volumes] = to_json_gz(Ledger(backup_uid=uid, entries=entries))
    world.ask("gone")
    world.process()
    assert world.pending() == {"c" * 64, snapshot_id("gone")}
