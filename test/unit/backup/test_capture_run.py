"""What becomes of the volumes: captured, failed, found again, or captured in another pod."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from pkg.apis.reasons import BackupPhase, Reason
from pkg.apis.volumes import PodVolumeBackup
from pkg.backup.engine import run_backup
from pkg.backup.errors import BackupInterruptedError
from pkg.backup.podvolumes import RepositoryFailed
from pkg.kube import refs
from pkg.testing.fakebackup import ARK, BackupWorld, captured, failed
from pkg.volumes.ledger import EntryState, Ledger, LedgerEntry, to_json_gz
from pkg.volumes.naming import capture_name, capture_stem

STEM = capture_stem("nightly", "backup-uid", claim_uid="data-uid")


@pytest.fixture
def world(tmp_path: Path) -> BackupWorld:
    made = BackupWorld(tmp_path)
    made.namespace("shop")
    made.pod("shop", "db-0", claim="data")
    made.claim("shop", "data")
    return made


def existing(world: BackupWorld, ordinal: int = 0, *, pod: str = "db-0", uid: str = "", **status: object) -> None:
    capture = PodVolumeBackup(status=msgspec.structs.replace(captured("earlier"), **status))
    raw = msgspec.to_builtins(capture)
    raw["metadata"] = {
        "name": capture_name(STEM, ordinal),
        "namespace": ARK,
        "labels": {"ark.heptio.com/backup-uid": "backup-uid"},
    }
    raw["spec"] = {
        "pod": {"namespace": "shop", "name": pod, "uid": uid or f"{pod}-uid"},
        "volume": "data",
        "repository": "shop",
        "repoIdentifier": "s3:restic/shop",
        "source": {"claimUID": "data-uid", "claimName": "data"},
    }
    world.api.add(refs.POD_VOLUME_BACKUPS, raw)


def entry_of(world: BackupWorld) -> LedgerEntry:
    (entry,) = [one for one in world.ledger.entries if one.claim_name == "data"]
    return entry


def test_a_volume_that_failed_makes_the_backup_partial(world: BackupWorld) -> None:
    world.capturer.results["db-0/data"] = failed("NoProgress")
    outcome = run_backup(world.job(), world.stop)
    assert (outcome.phase, outcome.reason) == (BackupPhase.PARTIALLY_FAILED, Reason.VOLUMES_MISSING)
    assert "shop/db-0/data (NoProgress: why)" in outcome.message
    annotations = world.stored["resources/pods/namespaces/shop/db-0.json"]["metadata"]
    assert "snapshot.ark.heptio.com/data" not in str(annotations)


def test_a_repository_that_is_not_ready_fails_the_volumes_of_its_namespace_only(world: BackupWorld) -> None:
    world.namespace("blog")
    world.pod("blog", "web")
    world.capturer.repositories["shop"] = RepositoryFailed(reason=Reason.WRONG_PASSWORD, message="wrong password")
    outcome = run_backup(world.job(), world.stop)
    assert outcome.phase is BackupPhase.PARTIALLY_FAILED
    states = {entry.pod: (entry.state, entry.reason) for entry in world.ledger.entries}
    assert states == {
        "db-0": (EntryState.FAILED, Reason.WRONG_PASSWORD),
        "web": (EntryState.CAPTURED, ""),
    }


def test_a_capture_of_a_run_before_is_not_made_again(world: BackupWorld) -> None:
    existing(world)
    outcome = run_backup(world.job(), world.stop)
    assert outcome.phase is BackupPhase.COMPLETED
    assert world.capturer.started == {}
    assert (entry_of(world).snapshot_id, entry_of(world).repository) == ("earlier", "shop")


def test_a_capture_of_a_run_before_that_is_not_over_is_asked_for_again(world: BackupWorld) -> None:
    existing(world, phase="InProgress", snapshot_id="")
    run_backup(world.job(), world.stop)
    assert list(world.capturer.started) == [capture_name(STEM, 0)]


def test_another_pod_gets_a_new_ordinal(world: BackupWorld) -> None:
    existing(world, 0, uid="old")
    existing(world, 1, uid="older")
    run_backup(world.job(), world.stop)
    assert list(world.capturer.started) == [capture_name(STEM, 2)]


def test_a_capture_stays_with_the_pod_it_goes_through(world: BackupWorld) -> None:
    world.pod("shop", "aaa", claim="data")
    existing(world, phase="InProgress", snapshot_id="")
    run_backup(world.job(), world.stop)
    assert world.capturer.started[capture_name(STEM, 0)].pod.name == "db-0"


def test_a_capture_whose_pod_is_gone_since_still_counts(world: BackupWorld) -> None:
    existing(world)
    world.api.remove(refs.PODS, "shop", "db-0")
    world.pod("shop", "other")
    assert run_backup(world.job(), world.stop).phase is BackupPhase.COMPLETED
    assert (entry_of(world).snapshot_id, entry_of(world).pod) == ("earlier", "db-0")


def test_a_claim_without_a_pod_warns_where_everything_is_wanted(world: BackupWorld) -> None:
    world.api.remove(refs.PODS, "shop", "db-0")
    world.pod("shop", "other")
    world.spec({"defaultVolumesToRestic": True})
    outcome = run_backup(world.job(), world.stop)
    assert (outcome.phase, outcome.status.warnings) == (BackupPhase.COMPLETED, 1)
    assert entry_of(world).reason == Reason.NO_POD


def test_a_claim_without_a_pod_is_only_recorded_where_names_are_wanted(world: BackupWorld) -> None:
    world.api.remove(refs.PODS, "shop", "db-0")
    world.pod("shop", "other")
    outcome = run_backup(world.job(), world.stop)
    assert (outcome.phase, outcome.status.warnings) == (BackupPhase.COMPLETED, 0)
    assert entry_of(world).reason == Reason.NO_POD


def test_a_replaced_pod_is_captured_in_its_replacement(world: BackupWorld) -> None:
    world.capturer.results["db-0/data"] = failed("PodDeleted")

    def replace() -> None:
        if world.api.get(refs.PODS, "shop", "db-0"):
            world.api.remove(refs.PODS, "shop", "db-0")
            world.pod("shop", "db-1", claim="data")

    world.capturer.on_wait = replace
    outcome = run_backup(world.job(), world.stop)
    assert outcome.phase is BackupPhase.COMPLETED
    assert (entry_of(world).pod, entry_of(world).capture) == ("db-1", capture_name(STEM, 1))
    assert world.capturer.started[capture_name(STEM, 1)].pod.uid == "db-1-uid"


def test_a_pod_of_the_same_name_that_comes_later_is_waited_for(world: BackupWorld) -> None:
    world.capturer.results["db-0/data"] = failed("PodDeleted")
    world.capturer.on_wait = lambda: world.api.remove(refs.PODS, "shop", "db-0")
    list_pods = world.api.client.list
    looks = iter(range(10))

    def come_back(*arguments: object, **options: object) -> object:
        if next(looks) == 3:
            world.pod("shop", "db-0", claim="data", uid="new")
            world.capturer.results["db-0/data"] = captured("after")
            world.capturer.on_wait = lambda: None
        return list_pods(*arguments, **options)  # type: ignore[arg-type]  # passed on as they came

    world.api.client.list = come_back  # type: ignore[method-assign,assignment]  # it is how time passes here
    assert run_backup(world.job(), world.stop).phase is BackupPhase.COMPLETED
    assert entry_of(world).pod_uid == "new"


@pytest.mark.parametrize(
    ("claim_stays", "phase"),
    [
        pytest.param(True, BackupPhase.PARTIALLY_FAILED, id="its claim is still there"),
        pytest.param(False, BackupPhase.COMPLETED, id="its claim is gone too"),
    ],
)
def test_a_pod_that_goes_away_for_good(world: BackupWorld, claim_stays: bool, phase: BackupPhase) -> None:
    world.capturer.results["db-0/data"] = failed("PodDeleted")

    def leave() -> None:
        world.api.remove(refs.PODS, "shop", "db-0")
        if not claim_stays:
            world.api.remove(refs.PVCS, "shop", "data")

    world.capturer.on_wait = leave
    outcome = run_backup(world.job(), world.stop)
    assert outcome.phase is phase
    assert (entry_of(world).reason, entry_of(world).claim_exists) == (Reason.POD_GONE, claim_stays)


def test_a_pod_that_goes_away_after_its_capture_is_stored_as_it_was(world: BackupWorld) -> None:
    world.capturer.on_wait = lambda: world.api.remove(refs.PODS, "shop", "db-0")
    assert run_backup(world.job(), world.stop).phase is BackupPhase.COMPLETED
    pod = world.stored["resources/pods/namespaces/shop/db-0.json"]
    assert "snapshot.ark.heptio.com/data" in str(pod)


def test_a_pod_is_stored_as_it_is_after_its_capture(world: BackupWorld) -> None:
    def change() -> None:
        world.api.client.patch_raw(refs.PODS, "shop", "db-0", {"metadata": {"labels": {"changed": "yes"}}})

    world.capturer.on_wait = change
    run_backup(world.job(), world.stop)
    assert "changed" in str(world.stored["resources/pods/namespaces/shop/db-0.json"])


def test_the_last_snapshot_of_the_claim_is_the_parent(world: BackupWorld) -> None:
    for number, when in enumerate(["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"]):
        raw = msgspec.to_builtins(PodVolumeBackup(status=captured(f"snap{number}")))
        raw["metadata"] = {"name": f"old-{number}", "namespace": ARK}
        raw["spec"] = {"source": {"claimUID": "data-uid"}}
        raw["status"]["completionTimestamp"] = when
        world.api.add(refs.POD_VOLUME_BACKUPS, raw)
    run_backup(world.job(), world.stop)
    assert world.capturer.started[capture_name(STEM, 0)].parent_snapshot_id == "snap1"


@pytest.mark.parametrize(
    ("namespace", "committed", "may"),
    [
        pytest.param("shop", True, False, id="a committed backup has captures of it"),
        pytest.param("blog", True, True, id="a committed backup has captures of another"),
        pytest.param("shop", False, True, id="the backup was never committed"),
    ],
)
def test_a_repository_may_be_made_where_the_bucket_knows_of_no_capture(
    world: BackupWorld, namespace: str, committed: bool, may: bool
) -> None:
    entry = LedgerEntry(namespace=namespace, state=EntryState.CAPTURED)
    world.store.objects["old/old-volumes.json.gz"] = to_json_gz(Ledger(entries=(entry,)))
    if committed:
        world.store.objects["old/ark-backup.json"] = b"{}"
    run_backup(world.job(), world.stop)
    assert world.capturer.asked == {"shop": may}


def test_a_damaged_volume_list_forbids_new_repositories_and_is_named(world: BackupWorld) -> None:
    world.store.objects["old/old-volumes.json.gz"] = b"damaged"
    world.store.objects["old/ark-backup.json"] = b"{}"
    world.capturer.repositories["shop"] = RepositoryFailed(reason=Reason.REPOSITORY_MISSING, message="there is none")
    outcome = run_backup(world.job(), world.stop)
    assert world.capturer.asked == {"shop": False}
    assert "no repository is made" in world.log
    assert "there is none; none is made, for the volume lists of earlier backups cannot be read" in outcome.message


def test_what_a_backup_that_does_not_exist_left_behind_forbids_nothing(world: BackupWorld) -> None:
    world.store.objects["old/old-volumes.json.gz"] = b"damaged"
    run_backup(world.job(), world.stop)
    assert world.capturer.asked == {"shop": True}


def test_a_canceled_backup_keeps_what_it_has(world: BackupWorld) -> None:
    world.capturer.results["db-0/data"] = failed("Canceled")
    world.capturer.on_wait = lambda: world.stop.cancel(Reason.CANCELED)
    outcome = run_backup(world.job(), world.stop)
    assert (outcome.phase, outcome.reason) == (BackupPhase.PARTIALLY_FAILED, Reason.CANCELED)
    assert "resources/pods/namespaces/shop/db-0.json" in world.stored
    assert world.metadata["status"]["phase"] == "PartiallyFailed"  # type: ignore[index,call-overload]  # a test walks JSON


def test_a_backup_that_is_canceled_at_once_has_failed(world: BackupWorld) -> None:
    world.stop.cancel(Reason.CANCELED)
    outcome = run_backup(world.job(), world.stop)
    assert (outcome.phase, outcome.reason) == (BackupPhase.FAILED, Reason.CANCELED)
    assert set(world.store.objects) == {"nightly/ark-claim.json", "nightly/nightly-logs.gz"}


@pytest.mark.parametrize("early", [True, False], ids=["before the lists", "while volumes are captured"])
def test_a_shutdown_leaves_everything_to_the_next_run(world: BackupWorld, early: bool) -> None:
    if early:
        world.stop.cancel("the server stops")
    world.capturer.on_wait = lambda: world.stop.cancel("the server stops")
    with pytest.raises(BackupInterruptedError, match="the server stops"):
        run_backup(world.job(), world.stop)
    assert set(world.store.objects) == {"nightly/ark-claim.json"}


def test_a_pod_that_waits_for_a_restore_is_not_captured_and_the_backup_says_so(world: BackupWorld) -> None:
    pod = world.api.get(refs.PODS, "shop", "db-0") or {}
    world.api.remove(refs.PODS, "shop", "db-0")
    pod["spec"] = pod["spec"] | {"initContainers": [{"name": "restic-wait"}]}  # type: ignore[operator]  # JSON
    world.api.add(refs.PODS, pod | {"status": {"phase": "Pending"}})
    outcome = run_backup(world.job(), world.stop)
    assert outcome.phase is BackupPhase.PARTIALLY_FAILED
    assert entry_of(world).reason == Reason.RESTORE_IN_PROGRESS
    assert world.capturer.started == {}


def test_progress_tells_of_the_volumes(world: BackupWorld) -> None:
    run_backup(world.job(), world.stop)
    told = [volumes for _, _, volumes in world.progress if volumes is not None]
    assert [(one.expected, one.captured, one.bytes_done) for one in told] == [(1, 1, 10)]
