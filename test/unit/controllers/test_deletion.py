"""A backup is deleted with all that belongs to it and nothing else, wherever the server dies meanwhile."""

from __future__ import annotations

import pytest

from pkg.apis.ark import DeleteBackupRequest
from pkg.apis.meta import Json, JsonObject
from pkg.apis.reasons import Reason
from pkg.controllers.stores import StoreFailure
from pkg.kube.refs import (
    BACKUPS,
    DELETE_BACKUP_REQUESTS,
    POD_VOLUME_BACKUPS,
    RESTIC_REPOSITORIES,
    RESTORES,
)
from pkg.objectstore.errors import CredentialsRefusedError, StoreUnreachableError
from pkg.objectstore.layout import backup_keys, restore_keys
from pkg.testing import ark09
from pkg.testing.fakedeletion import NAMESPACE, DeletionWorld, KilledError, known_keys, snapshot_id
from pkg.volumes.ledger import Ledger, LedgerEntry, to_json_gz

OTHERS = "stays"


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


@pytest.mark.parametrize("force", [pytest.param(False, id="it stays"), pytest.param(True, id="force deletes the rest")])
def test_snapshots_of_cloud_disks_are_named_and_never_silently_left(world: DeletionWorld, force: bool) -> None:
    disks: JsonObject = {"pv-1": {"snapshotID": "snap-12345", "type": "gp2"}}
    world.patch(BACKUPS, "gone", {"status": {"volumeBackups": disks}}, subresource="status")
    request = world.ask("gone", force=force)
    world.process()
    status = world.request(request).status
    assert "snap-12345 of pv-1" in (status.errors or ("",))[0]
    assert ("gone" in world.names(BACKUPS)) is not force


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


def test_snapshots_of_a_repository_that_was_given_up_keep_no_backup(world: DeletionWorld) -> None:
    status: JsonObject = {"repositoryID": "r2", "replaced": [{"id": "r1"}]}
    world.patch(RESTIC_REPOSITORIES, "shop", {"status": status}, subresource="status")
    request = world.ask("gone")
    world.process()
    assert world.request(request).status.errors in (None, ())
    assert world.names(BACKUPS) == [OTHERS]
    assert world.pending() == set(), "they are in no repository any more"


def test_snapshots_of_a_repository_that_was_given_up_and_came_back_are_queued(world: DeletionWorld) -> None:
    status: JsonObject = {"repositoryID": "r1", "replaced": [{"id": "r2"}, {"id": "r1"}]}
    world.patch(RESTIC_REPOSITORIES, "shop", {"status": status}, subresource="status")
    world.ask("gone")
    world.process()
    assert world.pending() == {snapshot_id("gone")}


def test_ids_that_wait_already_stay_queued(world: DeletionWorld) -> None:
    world.patch(RESTIC_REPOSITORIES, "shop", {"status": {"pendingForget": ["a" * 64]}}, subresource="status")
    world.ask("gone")
    world.process()
    assert world.pending() == {"a" * 64, snapshot_id("gone")}


def test_a_snapshot_of_0_9_is_queued_from_its_capture(world: DeletionWorld) -> None:
    keys = backup_keys("gone")
    for key in (keys.volumes, keys.claim):
        del world.store.objects[key]
    world.store.objects[keys.tarball] = ark09.tarball({})
    del world.restic.objects["shop/config"]  # its tags are another test's
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
