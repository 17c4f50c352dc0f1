"""Each fault of Ark 0.9's restores, by its number in the list of its limitations, and the test that it stays away.

Those that a test elsewhere holds already are named here; the others are tested here.
"""

from __future__ import annotations

import ast
import pathlib

import pytest

from pkg.apis.ark import RestoreSpec
from pkg.apis.meta import Json, JsonObject
from pkg.apis.reasons import Reason
from pkg.apis.volumes import PodVolumeRestoreStatus
from pkg.kube import refs
from pkg.kube.errors import InvalidError
from pkg.restore.fields import objects_at, text_at, value_at
from pkg.restore.refusals import refusal_of_resource
from pkg.testing.fakerestore import RestoreWorld, captured

UNIT = pathlib.Path(__file__).resolve().parents[1]

HELD_ELSEWHERE = {
    "13 the helper's image was fixed": "restore/test_helper.py::test_every_key_counts",
    "14 the init container failed under quotas": "restore/test_helper.py::test_resources_stay_within_what_the_pod_has",
    "15 the helper against pod security": "restore/test_podvolumes.py::test_it_satisfies_pod_security_restricted",
    "16 the entry point was lost with an image": "restore/test_podvolumes.py::test_it_runs_the_helper_for_all_volumes",
    "17 the init container had to be the first": (
        "controllers/test_volume_plan.py::test_restic_wait_is_found_at_any_position"
    ),
    "23 a retained volume with a capture came back on its old disk": (
        "restore/test_engine_volumes.py::test_a_captured_claim_is_provisioned_anew_and_its_old_volume_left_out"
    ),
    "35 no agent on the node was waited for": (
        "restore/test_engine_volumes.py::test_a_node_without_an_agent_is_said_at_once"
    ),
    "36 a restarted server lost its restores": (
        "restore/test_engine_volumes.py::test_a_process_that_ends_while_volumes_are_filled_leaves_them_to_the_next_one"
    ),
    "38 volumes were restored though their claims were left out": (
        "restore/test_engine_volumes.py::test_a_restore_without_claims_or_volumes_fills_none_and_says_so"
    ),
    "49 names that mean nothing widened the filter": (
        "restore/test_engine.py::test_an_unknown_resource_never_widens_the_restore"
    ),
    "56 priority fields stayed on restored pods": "restore/test_actions.py::test_a_spec_comes_back",
    "900 a mapped namespace used the wrong repository": (
        "restore/test_engine_volumes.py::test_volumes_follow_a_mapped_namespace_but_come_from_the_old_ones_repository"
    ),
}


def obj(kind: str, name: str, namespace: str = "shop", **fields: Json) -> JsonObject:
    metadata: JsonObject = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata, **fields}


def pod(name: str = "web", claim: str = "data") -> JsonObject:
    container: JsonObject = {"name": "app", "volumeMounts": [{"name": "data", "mountPath": "/data"}]}
    volume: JsonObject = {"name": "data", "persistentVolumeClaim": {"claimName": claim}}
    return obj("Pod", name, spec={"volumes": [volume], "containers": [container]}, status={"phase": "Running"})


def claim(name: str = "data", **spec: Json) -> JsonObject:
    return obj("PersistentVolumeClaim", name, spec={**spec})


@pytest.fixture
def world() -> RestoreWorld:
    made = RestoreWorld()
    made.add_repository("shop")
    return made


@pytest.mark.parametrize("place", HELD_ELSEWHERE.values(), ids=HELD_ELSEWHERE.keys())
def test_a_fault_is_kept_away_elsewhere(place: str) -> None:
    file, _, name = place.partition("::")
    tree = ast.parse((UNIT / file).read_text())
    assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize(
    "kind", ["podvolumebackups", "podvolumerestores", "resticrepositories", "deletebackuprequests"]
)
def test_bug_12_arks_own_work_was_restored_and_done_again(kind: str) -> None:
    assert refusal_of_resource(f"{kind}.ark.heptio.com")


def test_bug_27_the_last_error_of_a_volume_was_lost(world: RestoreWorld) -> None:
    names = ("a", "b", "c")
    pods, claims = [pod(name, name) for name in names], [claim(name) for name in names]
    world.store_backup(*pods, *claims, volumes=[captured("shop", name, "data", claim=name) for name in names])

    def fail_all() -> None:
        world.schedule()
        for name in world.agents.statuses:
            world.agents.statuses[name] = PodVolumeRestoreStatus(phase="Failed", reason="NoProgress")

    world.agents.on_wait = fail_all
    outcome = world.restore()
    assert (outcome.volumes.failed, outcome.errors, outcome.phase) == (3, 3, "PartiallyFailed")


def test_bug_32_pods_of_one_name_in_two_namespaces_were_confused(world: RestoreWorld) -> None:
    world.add_repository("other")
    twin = pod()
    twin["metadata"] = {"name": "web", "namespace": "other"}
    other_claim = obj("PersistentVolumeClaim", "data", "other", spec={})
    volumes = [
        captured("shop", "web", "data", claim="data", snapshot="1" * 64),
        captured("other", "web", "data", claim="data", snapshot="2" * 64),
    ]
    world.store_backup(pod(), twin, claim(), other_claim, volumes=volumes)
    assert world.restore().phase == "Completed"
    found = {spec.pod.namespace: spec.snapshot_id for spec in world.agents.specs.values()}
    assert found == {"shop": "1" * 64, "other": "2" * 64}


def test_bug_34_a_volume_that_no_container_mounts_has_no_directory(world: RestoreWorld) -> None:
    unmounted = pod()
    unmounted["spec"] = {"volumes": [{"name": "data", "emptyDir": {}}], "containers": [{"name": "app"}]}
    world.store_backup(unmounted, volumes=[captured("shop", "web", "data")])
    assert world.restore().phase == "Completed"
    assert world.agents.specs == {}


def test_bug_39_the_markers_lay_in_the_users_data(world: RestoreWorld) -> None:
    world.store_backup(pod(), claim(), volumes=[captured("shop", "web", "data", claim="data")])
    world.restore()
    live = world.api.get(refs.PODS, "shop", "web")
    assert live is not None
    [wait, *_] = objects_at(live, "spec", "initContainers")
    assert {text_at(mount, "name") for mount in objects_at(wait, "volumeMounts")} == {
        "ark-restore",
        "ark-restore-given-up",
    }


def test_bug_43_pods_waited_though_nothing_was_to_be_restored(world: RestoreWorld) -> None:
    annotated = pod()
    metadata: JsonObject = {"annotations": {"snapshot.ark.heptio.com/data": "1a2b3c4d"}}
    annotated["metadata"] = {"name": "web", "namespace": "shop", **metadata}
    world.store_backup(annotated, claim(), volumes=[])
    world.restore()
    live = world.api.get(refs.PODS, "shop", "web")
    assert live is not None
    assert value_at(live, "spec", "initContainers") is None


def test_bug_46_one_objects_error_ended_the_rest(world: RestoreWorld) -> None:
    world.store_backup(obj("ConfigMap", "a"), obj("ConfigMap", "b"))
    world.api.fail_next(InvalidError("no", code=422), method="POST", ref=refs.CONFIG_MAPS)
    assert world.restore().phase == "PartiallyFailed"
    assert len(world.api.list(refs.CONFIG_MAPS)) == 1


def test_bug_50_a_volume_lost_its_storage_class(world: RestoreWorld) -> None:
    spec: JsonObject = {
        "storageClassName": "slow",
        "persistentVolumeReclaimPolicy": "Retain",
        "claimRef": {"namespace": "shop", "name": "data"},
    }
    world.store_backup(obj("PersistentVolume", "pv", "", spec=spec), claim(volumeName="pv", storageClassName="slow"))
    world.restore()
    for ref, namespace, name in ((refs.PVS, "", "pv"), (refs.PVCS, "shop", "data")):
        live = world.api.get(ref, namespace, name)
        assert live is not None
        assert text_at(live, "spec", "storageClassName") == "slow"


def test_bug_609_a_volume_that_exists_got_an_orphan_beside_it(world: RestoreWorld) -> None:
    spec: JsonObject = {"persistentVolumeReclaimPolicy": "Retain", "claimRef": {"namespace": "shop", "name": "data"}}
    world.store_backup(obj("PersistentVolume", "pv", "", spec=spec), claim(volumeName="pv"))
    world.api.add(refs.PVS, obj("PersistentVolume", "pv", "", spec=spec))
    world.restore()
    assert [text_at(found, "metadata", "name") for found in world.api.list(refs.PVS)] == ["pv"]


def test_a_failed_volume_left_its_pod_waiting_for_ever(world: RestoreWorld) -> None:
    world.store_backup(pod(), claim(), volumes=[captured("shop", "web", "data", claim="data")])
    world.agents.verdicts["node-1"] = (Reason.NO_AGENT, "there is no agent")
    world.agents.on_wait = world.schedule
    world.restore()
    live = world.api.get(refs.PODS, "shop", "web")
    assert live is not None
    assert "there is no agent" in str(value_at(live, "metadata", "annotations"))


def test_an_annotated_pod_hung_where_volumes_are_not_restored(world: RestoreWorld) -> None:
    world.store_backup(pod(), claim(), volumes=[captured("shop", "web", "data", claim="data")])
    world.restore(RestoreSpec(backup_name="b1", restore_pvs=False))
    live = world.api.get(refs.PODS, "shop", "web")
    assert live is not None
    assert value_at(live, "spec", "initContainers") is None
