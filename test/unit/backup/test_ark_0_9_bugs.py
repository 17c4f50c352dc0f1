"""What was wrong with backups in Ark 0.9 and is right here, by the number in the list of its bugs.

The first half are tests of their own; the table at the end names the tests elsewhere that hold the rest.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from pkg.apis.meta import JsonObject
from pkg.apis.reasons import BackupPhase, Reason
from pkg.backup.engine import run_backup
from pkg.kube import refs
from pkg.kube.errors import ForbiddenError
from pkg.testing.fakebackup import BackupWorld
from pkg.volumes.ledger import EntryState

ROOT = Path(__file__).resolve().parents[3]
ANNOTATIONS = "annotations"


@pytest.fixture
def world(tmp_path: Path) -> BackupWorld:
    made = BackupWorld(tmp_path)
    made.namespace("shop")
    made.claim("shop", "data")
    return made


def volume(world: BackupWorld, claim: str, source: JsonObject) -> None:
    """Gives a claim's persistent volume another source."""
    world.api.remove(refs.PVS, "", f"pv-{claim}")
    world.api.add(refs.PVS, {"metadata": {"name": f"pv-{claim}"}, "spec": source})


def reasons(world: BackupWorld) -> dict[str, str]:
    return {entry.key: entry.reason for entry in world.ledger.entries}


def test_bug_11_a_host_path_behind_a_claim_is_detected(world: BackupWorld) -> None:
    volume(world, "data", {"hostPath": {"path": "/srv"}})
    world.pod("shop", "db-0", claim="data")
    assert run_backup(world.job(), world.stop).phase is BackupPhase.PARTIALLY_FAILED
    assert reasons(world) == {"shop/db-0/data": Reason.HOST_PATH}


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(ref, id=ref.plural)
        for ref in (refs.RESTIC_REPOSITORIES, refs.POD_VOLUME_BACKUPS, refs.POD_VOLUME_RESTORES, refs.BACKUPS)
    ],
)
def test_bug_12_arks_own_records_are_never_stored(world: BackupWorld, kind: object) -> None:
    assert isinstance(kind, type(refs.BACKUPS))
    world.api.add(kind, {"metadata": {"name": "one", "namespace": "shop"}})
    run_backup(world.job(), world.stop)
    assert [path for path in world.stored if kind.plural in path] == []


def test_bug_19_a_csi_volume_lies_in_its_mount_directory(world: BackupWorld) -> None:
    world.pod("shop", "db-0", claim="data")
    run_backup(world.job(), world.stop)
    (spec,) = world.capturer.started.values()
    assert (spec.source.directory, spec.source.must_be_mount) == ("kubernetes.io~csi/pv-data/mount", True)


def test_bug_22_snapshots_of_an_earlier_backup_do_not_leak_into_a_later_one(world: BackupWorld) -> None:
    world.pod("shop", "db-0", claim="data", annotations={"snapshot.ark.heptio.com/old": "of another backup"})
    run_backup(world.job(), world.stop)
    metadata = world.stored["resources/pods/namespaces/shop/db-0.json"]["metadata"]
    assert isinstance(metadata, dict)
    assert metadata[ANNOTATIONS] == {
        "backup.ark.heptio.com/backup-volumes": "data",
        "snapshot.ark.heptio.com/data": "db-0/data",
    }


def test_bug_32_pods_of_one_name_in_two_namespaces_keep_their_own_snapshots(world: BackupWorld) -> None:
    world.namespace("blog")
    world.pod("shop", "db-0", uid="shop-uid")
    world.pod("blog", "db-0", uid="blog-uid")
    run_backup(world.job(), world.stop)
    assert len(world.capturer.started) == 2
    places = {(spec.pod.namespace, spec.pod.uid) for spec in world.capturer.started.values()}
    assert places == {("shop", "shop-uid"), ("blog", "blog-uid")}


def test_bug_45_the_stored_metadata_says_when_it_was_complete(world: BackupWorld) -> None:
    run_backup(world.job(), world.stop)
    status = world.metadata["status"]
    assert isinstance(status, dict)
    assert status["completionTimestamp"]


def test_bug_46_one_item_that_fails_leaves_the_others_stored(world: BackupWorld) -> None:
    world.config_map("shop", "kept")
    world.api.fail_next(ForbiddenError("no"), method="GET", ref=refs.SECRETS)
    outcome = run_backup(world.job(), world.stop)
    assert (outcome.phase, outcome.status.errors) == (BackupPhase.PARTIALLY_FAILED, 1)
    assert "resources/configmaps/namespaces/shop/kept.json" in world.stored


def test_bug_49_a_name_that_does_not_resolve_does_not_widen_the_filter(world: BackupWorld) -> None:
    world.config_map("shop", "private")
    world.spec({"includedResources": ["nosuchthings"]})
    outcome = run_backup(world.job(), world.stop)
    assert (outcome.phase, outcome.reason) == (BackupPhase.FAILED, Reason.INVALID_SPEC)
    assert not [key for key in world.store.objects if key.endswith(".tar.gz")]


@pytest.mark.parametrize("phase", ["", "Pending", "Lost"])
def test_bug_920_a_claim_that_is_not_bound_brings_no_volume(world: BackupWorld, phase: str) -> None:
    claim = world.api.get(refs.PVCS, "shop", "data") or {}
    world.api.remove(refs.PVCS, "shop", "data")
    world.api.add(refs.PVCS, claim | {"status": {"phase": phase}})
    world.spec({"includedNamespaces": ["shop"]})
    run_backup(world.job(), world.stop)
    assert "resources/persistentvolumeclaims/namespaces/shop/data.json" in world.stored
    assert "resources/persistentvolumes/cluster/pv-data.json" not in world.stored


def test_names_in_annotations_are_trimmed_and_count_once(world: BackupWorld) -> None:
    world.pod("shop", "db-0", claim="data", named=" data , data,")
    assert run_backup(world.job(), world.stop).phase is BackupPhase.COMPLETED
    assert len(world.capturer.started) == 1


def test_a_claim_is_captured_whatever_pod_without_annotation_was_seen_first(world: BackupWorld) -> None:
    world.pod("shop", "aaa", claim="data", named="")
    world.pod("shop", "db-0", claim="data")
    run_backup(world.job(), world.stop)
    states = {entry.pod: entry.state for entry in world.ledger.entries}
    assert states == {"aaa": EntryState.SKIPPED, "db-0": EntryState.CAPTURED}


ELSEWHERE = {
    "1 asking whether a repository exists takes no lock": "unit/restic/test_command.py::test_the_small_calls",
    "2 only a missing repository is made": (
        "unit/controllers/test_restic_repository.py::test_only_restics_own_word_lets_a_repository_be_made"
    ),
    "3 two volumes want one repository at once": (
        "unit/controllers/test_repositories.py::test_the_first_backup_of_a_namespace_makes_the_object_and_waits_until_it_is_ready"
    ),
    "4 a repository that is not ready fails at once with its reason": (
        "unit/controllers/test_repositories.py::test_a_new_failure_is_the_failure_of_the_volumes"
    ),
    "5 a repository that is not ready is looked at again": (
        "unit/controllers/test_restic_repository.py::test_a_repository_that_is_not_ready_is_looked_at_again_when_it_is_time"
    ),
    "9 repositories need no bucket of their own": (
        "unit/objectstore/test_location.py::test_identifiers_are_those_of_0_9"
    ),
    "18 an empty volume is captured": (
        "controlplane/restic/test_contract.py::test_an_empty_volume_is_captured_and_restored_empty"
    ),
    "20 a wrong kubelet root is detected": (
        "unit/volumes/test_hostpath.py::test_an_unpropagated_mount_is_refused_though_the_directory_is_there"
    ),
    "21 captures have times": (
        "unit/controllers/test_volume_reconciler.py::test_a_new_volume_is_claimed_with_its_slot_in_one_patch_and_then_run"
    ),
    "24 a new pod's volume is compared with its last capture": (
        "unit/backup/test_capture_run.py::test_the_last_snapshot_of_the_claim_is_the_parent"
    ),
    "25 a shared claim is captured once": (
        "unit/backup/test_engine.py::test_pods_that_share_a_claim_share_one_capture"
    ),
    "26 progress is shown": (
        "unit/controllers/test_pod_volume_backup.py::test_progress_is_written_and_its_failure_fails_nothing"
    ),
    "29 time is limited by progress and not by a deadline": (
        "unit/restic/test_runner.py::test_a_status_that_repeats_itself_is_no_progress"
    ),
    "30 all volumes without naming them": (
        "unit/volumes/test_selection.py::test_by_default_each_volume_is_captured_or_has_its_reason"
    ),
    "31 the exit status counts": (
        "unit/restic/test_classify.py::test_the_exit_code_decides_and_words_only_name_a_reason"
    ),
    "33 a pod that does not run is not waited for": "unit/volumes/test_selection.py::test_a_pod_that_does_not_run",
    "34 a volume that nothing mounts has no directory": (
        "unit/volumes/test_selection.py::test_by_default_each_volume_is_captured_or_has_its_reason"
    ),
    "35 a node without an agent is told": "unit/controllers/test_agents.py::test_no_agent_is_said_with_the_cause",
    "36 a restarted agent goes on": "controlplane/test_kill.py::test_a_killed_agent_backs_the_volume_up_again",
    "37 a capture counts once": "unit/volumes/test_ledger.py::test_a_capture_of_two_pods_counts_once",
    "40 long names become labels": "unit/volumes/test_naming.py::test_every_text_becomes_a_label_value",
    "42 a restic that was killed is told from one that failed": (
        "controlplane/restic/test_process.py::test_a_child_that_is_killed_is_said_to_be"
    ),
    "46 a hook that fails does not cost the pod": (
        "unit/backup/test_freezes.py::test_a_pre_hook_that_fails_costs_the_volumes_and_not_the_pod"
    ),
    "47 a name in the bucket is not overwritten": (
        "unit/backup/test_engine.py::test_a_name_of_another_backup_is_left_alone"
    ),
    "54 pods are worked on side by side": "unit/backup/test_freezes.py::test_pods_stand_still_side_by_side",
    "704 what the backup adds to an object is stored": (
        "unit/backup/test_engine.py::test_a_captured_volume_is_in_the_pod_and_in_the_ledger"
    ),
    "834 snapshots are written on the object that is stored": (
        "unit/backup/test_capture_run.py::test_a_pod_is_stored_as_it_is_after_its_capture"
    ),
}


@pytest.mark.parametrize("place", [pytest.param(place, id=bug) for bug, place in ELSEWHERE.items()])
def test_bugs_that_other_tests_hold(place: str) -> None:
    path, _, name = place.partition("::")
    tree = ast.parse((ROOT / "test" / path).read_text())
    assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
