"""A backup from claim to commit, and again after a death at any line."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import msgspec
import pytest

from pkg.apis.ark import Backup, VolumeCounts
from pkg.apis.reasons import BackupPhase, Reason
from pkg.backup.engine import run_backup
from pkg.backup.errors import BackupGoneError, BackupInterruptedError, ClaimLostError
from pkg.kube import refs
from pkg.kube.discovery import Discovery
from pkg.kube.errors import ForbiddenError, TransportError
from pkg.kube.wire import Response
from pkg.objectstore.errors import BucketMissingError, StoreUnreachableError
from pkg.objectstore.layout import backup_keys
from pkg.testing.fakebackup import ARK, CLUSTER, BackupWorld, captured

KEYS = backup_keys("nightly")
SHOP_POD = "resources/pods/namespaces/shop/db-0.json"


@pytest.fixture
def world(tmp_path: Path) -> BackupWorld:
    made = BackupWorld(tmp_path)
    made.namespace("shop")
    made.config_map("shop", "settings", labels={"app": "shop"})
    made.pod("shop", "db-0", claim="data-db-0")
    made.claim("shop", "data-db-0")
    return made


def committed(world: BackupWorld) -> Backup:
    return msgspec.json.decode(world.store.objects[KEYS.metadata], type=Backup)


def test_a_backup_is_made_of_its_five_files(world: BackupWorld) -> None:
    outcome = run_backup(world.job(), world.stop)
    assert (outcome.phase, outcome.reason, outcome.found) == (BackupPhase.COMPLETED, "", False)
    assert set(world.store.objects) == {KEYS.claim, KEYS.tarball, KEYS.log, KEYS.volumes, KEYS.metadata}
    assert list(world.stored) == [
        "resources/persistentvolumeclaims/namespaces/shop/data-db-0.json",
        "resources/persistentvolumes/cluster/pv-data-db-0.json",
        "resources/configmaps/namespaces/shop/settings.json",
        "resources/namespaces/cluster/shop.json",
        SHOP_POD,  # after its volumes
    ]
    assert world.stored["resources/configmaps/namespaces/shop/settings.json"]["kind"] == "ConfigMap"


def test_the_metadata_comes_last_and_holds_the_final_status(world: BackupWorld) -> None:
    outcome = run_backup(world.job(), world.stop)
    puts = [key for verb, key in world.store.calls if verb == "put"]
    assert puts == [KEYS.claim, KEYS.tarball, KEYS.log, KEYS.volumes, KEYS.metadata]
    assert committed(world).status == outcome.status
    assert committed(world).metadata.uid == "backup-uid"
    assert outcome.status.cluster_id == CLUSTER
    assert outcome.status.tarball_sha256 == hashlib.sha256(world.store.objects[KEYS.tarball]).hexdigest()
    assert outcome.status.start_timestamp
    assert outcome.status.completion_timestamp
    assert outcome.status.progress
    assert (outcome.status.progress.items_done, outcome.status.progress.total_items) == (5, 5)


def test_the_claim_is_read_again_before_each_put(world: BackupWorld) -> None:
    run_backup(world.job(), world.stop)
    calls = [call for call in world.store.calls if call[0] == "put" or call == ("get", KEYS.claim)]
    verbs = [verb for verb, _ in calls]
    assert verbs == ["put", *["get", "put"] * 4]


def test_a_captured_volume_is_in_the_pod_and_in_the_ledger(world: BackupWorld) -> None:
    world.capturer.results["db-0/data"] = captured("snap", bytes_added=7, used_bytes=4096)
    outcome = run_backup(world.job(), world.stop)
    annotations = world.stored[SHOP_POD]["metadata"]["annotations"]  # type: ignore[index,call-overload]  # as above
    assert annotations["snapshot.ark.heptio.com/data"] == "snap"  # type: ignore[index,call-overload]  # as above
    (entry,) = world.ledger.entries
    assert (entry.snapshot_id, entry.repository_id, entry.bytes, entry.bytes_added) == ("snap", "repo-id", 10, 7)
    assert entry.used_bytes == 4096
    assert (entry.repository, entry.claim_uid, entry.source.directory) == (
        "shop",
        "data-db-0-uid",
        "kubernetes.io~csi/pv-data-db-0/mount",
    )
    assert outcome.status.volumes
    assert (outcome.status.volumes.expected, outcome.status.volumes.captured) == (1, 1)


def test_the_agent_is_told_everything(world: BackupWorld) -> None:
    run_backup(world.job(), world.stop)
    ((name, spec),) = world.capturer.started.items()
    assert name.startswith("nightly-")
    assert name.endswith("-0")
    assert (spec.node, spec.volume, spec.repository, spec.repo_identifier) == (
        "node1",
        "data",
        "shop",
        "s3:restic/shop",
    )
    assert spec.tags == {
        "backup": "nightly",
        "backup-uid": "backup-uid",
        "pod": "db-0",
        "pod-uid": "db-0-uid",
        "ns": "shop",
        "volume": "data",
        "cluster": CLUSTER,
    }


def test_annotations_of_another_backup_are_stripped_from_every_pod(world: BackupWorld) -> None:
    world.pod("shop", "web", named="", annotations={"snapshot.ark.heptio.com/data": "foreign", "keep": "me"})
    run_backup(world.job(), world.stop)
    metadata = world.stored["resources/pods/namespaces/shop/web.json"]["metadata"]
    assert metadata["annotations"] == {"keep": "me"}  # type: ignore[index,call-overload]  # as above


def test_pods_that_share_a_claim_share_one_capture(world: BackupWorld) -> None:
    world.pod("shop", "db-1", claim="data-db-0")
    outcome = run_backup(world.job(), world.stop)
    assert len(world.capturer.started) == 1
    assert len({entry.snapshot_id for entry in world.ledger.entries}) == 1
    assert len(world.ledger.entries) == 2
    assert outcome.status.volumes
    assert outcome.status.volumes.expected == 1


def test_a_second_run_finds_the_backup_and_changes_nothing(world: BackupWorld) -> None:
    first = run_backup(world.job(), world.stop)
    before = dict(world.store.objects)
    second = run_backup(world.job(), world.stop)
    assert (second.status, second.found) == (first.status, True)
    assert world.store.objects == before


class Death(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("line", range(1, 14))
def test_a_death_at_any_call_to_the_store_is_healed_by_the_next_epoch(world: BackupWorld, line: int) -> None:
    calls = 0

    def die(verb: str, key: str) -> None:
        nonlocal calls
        calls += 1
        if calls == line:
            raise Death

    world.store.before = die
    with pytest.raises(Death):
        run_backup(world.job(), world.stop)
    world.store.before = lambda verb, key: None
    world.spec(epoch=2)
    outcome = run_backup(world.job(), world.stop)
    assert outcome.phase is BackupPhase.COMPLETED
    assert set(world.store.objects) == {KEYS.claim, KEYS.tarball, KEYS.log, KEYS.volumes, KEYS.metadata}
    assert committed(world).status == outcome.status


@pytest.mark.parametrize("line", range(1, 22, 2))
def test_a_death_at_any_call_to_the_cluster_is_healed_by_the_next_epoch(world: BackupWorld, line: int) -> None:
    answer, calls = world.api.request, 0

    def die(method: str, path: str, **options: object) -> Response:
        nonlocal calls
        calls += 1
        if calls == line:
            raise Death
        return answer(method, path, **options)  # type: ignore[arg-type]  # passed on as they came

    world.api.request = die  # type: ignore[method-assign]  # the process ends in the middle of a request
    with pytest.raises(Death):
        run_backup(world.job(), world.stop)
    world.api.request = answer  # type: ignore[method-assign]  # the next process is whole
    assert KEYS.metadata not in world.store.objects
    world.spec(epoch=2)
    assert run_backup(world.job(), world.stop).phase is BackupPhase.COMPLETED
    assert committed(world).metadata.uid == "backup-uid"


def test_a_name_of_another_backup_is_left_alone(world: BackupWorld) -> None:
    run_backup(world.job(), world.stop)
    before = dict(world.store.objects)
    world.spec(uid="another")
    outcome = run_backup(world.job(), world.stop)
    assert (outcome.phase, outcome.reason) == (BackupPhase.FAILED_VALIDATION, Reason.NAME_TAKEN)
    assert world.store.objects == before


@pytest.mark.parametrize("content", [b'{"metadata":{"name":"nightly","uid":"old"}}', b"damaged"])
def test_a_backup_without_a_claim_is_left_alone_too(world: BackupWorld, content: bytes) -> None:
    world.store.objects[KEYS.metadata] = content
    outcome = run_backup(world.job(), world.stop)
    assert (outcome.phase, outcome.reason) == (BackupPhase.FAILED_VALIDATION, Reason.NAME_TAKEN)
    assert world.store.objects == {KEYS.metadata: content}


def test_a_newer_epoch_stops_the_older_at_its_next_put(world: BackupWorld) -> None:
    def taken_over() -> None:
        world.store.objects[KEYS.claim] = world.store.objects[KEYS.claim].replace(b'"epoch":1', b'"epoch":2')

    world.capturer.on_wait = taken_over
    with pytest.raises(ClaimLostError):
        run_backup(world.job(), world.stop)
    assert set(world.store.objects) == {KEYS.claim}


def test_the_backup_is_confirmed_before_it_exists(world: BackupWorld) -> None:
    def refuse() -> None:
        raise PermissionError("changed hands")

    world.confirm = refuse
    with pytest.raises(Exception, match="changed hands"):
        run_backup(world.job(), world.stop)
    assert KEYS.metadata not in world.store.objects


def test_a_store_that_is_of_no_use_fails_the_backup_with_its_reason(world: BackupWorld) -> None:
    def refuse(verb: str, key: str) -> None:
        raise BucketMissingError("there is no bucket")

    world.store.before = refuse
    outcome = run_backup(world.job(), world.stop)
    assert (outcome.phase, outcome.reason, outcome.message) == (
        BackupPhase.FAILED,
        Reason.BUCKET_MISSING,
        "there is no bucket",
    )
    assert world.store.objects == {}


def test_a_store_that_is_away_for_a_moment_costs_nothing(world: BackupWorld) -> None:
    away = iter([True, True, False])

    def refuse(verb: str, key: str) -> None:
        if (verb, key) == ("put", KEYS.tarball) and next(away, False):
            raise StoreUnreachableError("no answer")

    world.store.before = refuse
    assert run_backup(world.job(), world.stop).phase is BackupPhase.COMPLETED
    assert SHOP_POD in world.stored


def test_a_store_that_stays_away_fails_the_backup(world: BackupWorld) -> None:
    def refuse(verb: str, key: str) -> None:
        if (verb, key) == ("put", KEYS.tarball):
            raise StoreUnreachableError("no answer")

    world.store.before = refuse
    outcome = run_backup(world.job(), world.stop)
    assert (outcome.phase, outcome.reason) == (BackupPhase.FAILED, Reason.BACKEND_UNREACHABLE)
    assert set(world.store.objects) == {KEYS.claim, KEYS.log}
    assert 'msg="Backup failed" backup=heptio-ark/nightly reason=BackendUnreachable' in world.log


def test_a_cluster_that_does_not_answer_leaves_everything_to_the_next_run(world: BackupWorld) -> None:
    def refuse() -> Discovery:
        raise TransportError("connection refused")

    with pytest.raises(BackupInterruptedError, match="connection refused"):
        run_backup(dataclasses.replace(world.job(), discover=refuse), world.stop)
    assert set(world.store.objects) == {KEYS.claim}


def test_a_cluster_that_refuses_fails_the_backup_with_a_log(world: BackupWorld) -> None:
    def refuse() -> Discovery:
        raise ForbiddenError("discovery is forbidden")

    outcome = run_backup(dataclasses.replace(world.job(), discover=refuse), world.stop)
    assert (outcome.phase, outcome.message) == (BackupPhase.FAILED, "discovery is forbidden")
    assert set(world.store.objects) == {KEYS.claim, KEYS.log}


def test_recording_an_outcome_removes_what_an_earlier_state_said(world: BackupWorld) -> None:
    outcome = run_backup(world.job(), world.stop)
    assert outcome.patch["phase"] == "Completed"
    assert outcome.patch["message"] is None
    assert outcome.patch["claim"] == {"holder": "server", "epoch": 1}


def test_a_confirmation_that_gets_no_answer_is_asked_for_again(world: BackupWorld) -> None:
    answers = iter([TransportError("reset"), None])

    def confirm() -> None:
        if error := next(answers):
            raise error

    world.confirm = confirm
    assert run_backup(world.job(), world.stop).phase is BackupPhase.COMPLETED


@pytest.mark.parametrize(
    "successor", [pytest.param(False, id="it is gone"), pytest.param(True, id="another has its name")]
)
def test_a_backup_that_is_deleted_in_progress_leaves_nothing_in_the_bucket(world: BackupWorld, successor: bool) -> None:
    job = world.job()

    def delete() -> None:
        world.api.remove(refs.BACKUPS, ARK, "nightly")
        if successor:
            world.spec(uid="another")

    world.capturer.on_wait = delete
    with pytest.raises(BackupGoneError):
        run_backup(job, world.stop)
    assert world.store.objects == {}


def test_a_backup_that_is_deleted_at_its_commit_leaves_nothing_in_the_bucket(world: BackupWorld) -> None:
    def confirm() -> None:
        raise BackupGoneError("the Backup was deleted")

    world.confirm = confirm
    with pytest.raises(BackupGoneError):
        run_backup(world.job(), world.stop)
    assert world.store.objects == {}


def test_a_backup_that_is_deleted_and_canceled_leaves_no_log(world: BackupWorld) -> None:
    job = world.job()
    world.api.remove(refs.BACKUPS, ARK, "nightly")
    world.stop.cancel(Reason.CANCELED)
    with pytest.raises(BackupGoneError):
        run_backup(job, world.stop)
    assert world.store.objects == {}


def test_what_was_committed_is_never_taken_back(world: BackupWorld) -> None:
    run_backup(world.job(), world.stop)
    committed = dict(world.store.objects)
    world.api.remove(refs.BACKUPS, ARK, "nightly")
    assert run_backup(world.job(), world.stop).found
    assert world.store.objects == committed


def test_excluded_paths_are_told_to_the_agent_and_recorded(world: BackupWorld) -> None:
    paths = {"backup.ark.heptio.com/exclude-paths.data": "tmp, *.log"}
    world.pod("shop", "db-0", claim="data-db-0", annotations=paths)
    outcome = run_backup(world.job(), world.stop)
    (spec,) = world.capturer.started.values()
    (stored,) = world.ledger.entries
    (shown,) = (outcome.status.volumes or VolumeCounts()).entries or ()
    assert spec.excludes == stored.excludes == shown.excludes == ("tmp", "*.log")
