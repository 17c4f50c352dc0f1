"""Pods with volumes: they wait, get their data once, and nothing is lost silently."""

from __future__ import annotations

import gzip
from typing import Any

import pytest

from pkg.apis.ark import RestoreSpec
from pkg.apis.meta import Json, JsonObject, LabelSelector
from pkg.apis.reasons import BackupPhase, Reason
from pkg.apis.volumes import PodVolumeRestoreStatus
from pkg.kube import refs
from pkg.kube.errors import TransportError, status_error
from pkg.kube.stop import StopToken
from pkg.kube.wire import Response
from pkg.restore.errors import ApiUnavailableError, RestoreInterruptedError
from pkg.restore.fields import object_at, objects_at, text_at
from pkg.testing.fakerestore import RESTORE_UID, RestoreWorld, captured


@pytest.fixture
def world() -> RestoreWorld:
    made = RestoreWorld()
    made.add_repository("shop")
    return made


def pod(name: str = "web", *, claim: str = "data", volume: str = "data", **spec: Json) -> JsonObject:
    made: JsonObject = {
        "nodeName": "old-node",
        "volumes": [{"name": volume, "persistentVolumeClaim": {"claimName": claim}}],
        "containers": [{"name": "app", "volumeMounts": [{"name": volume, "mountPath": "/data"}]}],
        **spec,
    }
    metadata: JsonObject = {"name": name, "namespace": "shop", "uid": f"old-{name}"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": made, "status": {"phase": "Running"}}


def claim(name: str = "data", volume: str = "pv-1") -> JsonObject:
    annotations: JsonObject = {
        "pv.kubernetes.io/bind-completed": "yes",
        "volume.kubernetes.io/selected-node": "old-node",
        "kept": "yes",
    }
    metadata: JsonObject = {"name": name, "namespace": "shop", "annotations": annotations}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": {"volumeName": volume}}


def volume(name: str = "pv-1", *, policy: str = "Retain", bound: str = "data") -> JsonObject:
    spec: JsonObject = {
        "persistentVolumeReclaimPolicy": policy,
        "claimRef": {"namespace": "shop", "name": bound, "uid": "old-claim", "resourceVersion": "5"},
    }
    return {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": spec}


DATA = captured("shop", "web", "data", claim="data")


def spec_of(found: JsonObject | None) -> JsonObject:
    assert found is not None
    spec = found["spec"]
    assert isinstance(spec, dict)
    return spec


def test_a_volume_is_filled_from_its_snapshot(world: RestoreWorld) -> None:
    world.store_backup(pod(), claim(), volume(policy="Delete"), volumes=[DATA])
    outcome = world.restore()
    assert (outcome.phase, outcome.warnings, outcome.errors) == (BackupPhase.COMPLETED, 0, 0)
    assert (outcome.volumes.expected, outcome.volumes.captured, outcome.volumes.failed) == (1, 1, 0)
    [(name, spec)] = world.agents.specs.items()
    assert (spec.snapshot_id, spec.repository_id, spec.node) == ("5" * 64, "id-of-shop", "node-1")
    assert spec.source.directory.startswith("kubernetes.io~csi/pvc-")
    assert spec.source.must_be_mount
    live = world.api.get(refs.PODS, "shop", "web")
    assert live is not None
    assert spec.pod.uid == text_at(live, "metadata", "uid")
    assert world.agents.labels[name]["ark.heptio.com/restore-uid"] == RESTORE_UID


def test_the_pod_waits_before_everything_else_in_it(world: RestoreWorld) -> None:
    world.store_backup(pod(initContainers=[{"name": "migrate"}]), claim(), volumes=[DATA])
    world.restore()
    spec = spec_of(world.api.get(refs.PODS, "shop", "web"))
    first, second = objects_at(spec, "initContainers")
    assert second == {"name": "migrate"}
    assert (first["args"], first["image"]) == ([RESTORE_UID, "data"], "ark:test")
    assert first["volumeMounts"] == [
        {"name": "ark-restore", "mountPath": "/ark-restore", "readOnly": True},
        {"name": "ark-restore-given-up", "mountPath": "/ark-restore-given-up", "readOnly": True},
    ]


def test_a_captured_claim_is_provisioned_anew_and_its_old_volume_left_out(world: RestoreWorld) -> None:
    world.store_backup(pod(), claim(), volume(), volumes=[DATA])
    world.agents.on_wait = world.behave
    world.restore()
    assert world.api.get(refs.PVS, "", "pv-1") is None
    live = world.api.get(refs.PVCS, "shop", "data")
    assert live is not None
    assert spec_of(live)["volumeName"] != "pv-1"
    assert object_at(live, "metadata", "annotations") == {"kept": "yes"}


def test_a_retained_disk_without_capture_comes_back_bound_by_name(world: RestoreWorld) -> None:
    world.store_backup(pod(), claim(), volume())
    assert world.restore().warnings == 0
    assert spec_of(world.api.get(refs.PVS, "", "pv-1"))["claimRef"] == {"namespace": "shop", "name": "data"}
    assert spec_of(world.api.get(refs.PVCS, "shop", "data"))["volumeName"] == "pv-1"


def test_a_claim_whose_contents_nobody_has_is_warned_about(world: RestoreWorld) -> None:
    world.store_backup(pod(), claim(), volume(policy="Delete"))
    outcome = world.restore()
    assert (outcome.phase, outcome.warnings) == (BackupPhase.COMPLETED, 1)
    [[text]] = [list(texts) for texts in (world.results().warnings.namespaces or {}).values()]
    assert "made anew and empty" in text


def test_a_claim_with_contents_that_no_pod_mounts_is_an_error(world: RestoreWorld) -> None:
    world.store_backup(claim(), volumes=[DATA])
    outcome = world.restore()
    assert (outcome.phase, outcome.reason) == (BackupPhase.PARTIALLY_FAILED, Reason.VOLUMES_MISSING)


def test_a_pod_that_exists_prevents_its_volumes_restore(world: RestoreWorld) -> None:
    world.api.add(refs.PODS, pod())
    world.store_backup(pod(), claim(), volumes=[DATA])
    world.api.add(refs.PVCS, claim())
    outcome = world.restore()
    assert (outcome.phase, outcome.reason) == (BackupPhase.PARTIALLY_FAILED, Reason.POD_EXISTS)
    assert outcome.message.startswith("1 pod existed already, so the volumes were not restored: pods shop/web: ")
    assert world.agents.specs == {}


def test_a_claim_that_existed_is_filled_with_a_warning_that_names_it(world: RestoreWorld) -> None:
    world.api.add(refs.PVCS, claim())
    world.api.add(refs.PVS, volume())
    world.store_backup(pod(), claim(), volumes=[DATA])
    assert world.restore().phase is BackupPhase.COMPLETED
    text = "PersistentVolumeClaim shop/data existed before this restore and is filled"
    assert text in (world.results().warnings.namespaces or {})["shop"]


@pytest.mark.parametrize("resource", ["persistentvolumeclaims", "persistentvolumes"])
def test_a_restore_without_claims_or_volumes_fills_none_and_says_so(world: RestoreWorld, resource: str) -> None:
    world.api.add(refs.PVCS, claim())
    world.api.add(refs.PVS, volume())
    world.store_backup(pod(), claim(), volumes=[DATA])
    world.restore(RestoreSpec(backup_name="b1", excluded_resources=(resource,)))
    text = "pods shop/web: volume data is not restored: the Restore leaves out claims or volumes"
    assert text in (world.results().warnings.namespaces or {})["shop"]
    assert world.agents.specs == {}
    assert "initContainers" not in spec_of(world.api.get(refs.PODS, "shop", "web"))


def test_a_claim_that_a_running_pod_uses_is_not_filled_under_it(world: RestoreWorld) -> None:
    world.api.add(refs.PVCS, claim())
    world.api.add(refs.PVS, volume())
    world.api.add(refs.PODS, pod("successor"))
    world.store_backup(pod(), claim(), volumes=[DATA])
    outcome = world.restore()
    assert (outcome.phase, outcome.reason) == (BackupPhase.PARTIALLY_FAILED, Reason.VOLUMES_MISSING)
    assert "PersistentVolumeClaim shop/data is in use by pod successor" in outcome.message
    assert world.agents.specs == {}
    assert world.api.get(refs.PODS, "shop", "web") is None


def test_a_pod_that_has_ended_uses_nothing(world: RestoreWorld) -> None:
    world.api.add(refs.PVCS, claim())
    world.api.add(refs.PVS, volume())
    world.api.add(refs.PODS, {**pod("predecessor"), "status": {"phase": "Succeeded"}})
    world.store_backup(pod(), claim(), volumes=[DATA])
    assert world.restore().phase is BackupPhase.COMPLETED


def test_a_pod_brings_its_claim_whatever_the_restores_labels(world: RestoreWorld) -> None:
    labelled = pod()
    labelled["metadata"] = {**object_at(labelled, "metadata"), "labels": {"app": "web"}}
    world.store_backup(labelled, claim(), claim("unrelated"), volumes=[DATA])
    spec = RestoreSpec(backup_name="b1", label_selector=LabelSelector(match_labels={"app": "web"}))
    outcome = world.restore(spec)
    assert (outcome.phase, outcome.volumes.captured) == (BackupPhase.COMPLETED, 1)
    assert world.api.get(refs.PVCS, "shop", "data") is not None
    assert world.api.get(refs.PVCS, "shop", "unrelated") is None


def test_one_data_restore_per_claim_and_markers_after_it(world: RestoreWorld) -> None:
    world.store_backup(pod("a"), pod("b"), claim(), volumes=[captured("shop", "a", "data", claim="data")])
    seen: list[list[bool]] = []

    def act() -> None:
        seen.append([spec.marker_only for spec in world.agents.specs.values()])
        world.behave()

    world.agents.on_wait = act
    assert world.restore().volumes.captured == 2
    assert [False] in seen
    assert [spec.marker_only for spec in world.agents.specs.values()] == [False, True]


def test_an_old_backup_is_read_by_its_pods_annotations(world: RestoreWorld) -> None:
    old = pod()
    old["metadata"] = {"name": "web", "namespace": "shop", "annotations": {"snapshot.ark.heptio.com/data": "1a2b3c4d"}}
    world.store_backup(old, claim(), volumes=None, digest=False)
    assert world.restore().phase is BackupPhase.COMPLETED
    [spec] = world.agents.specs.values()
    assert (spec.snapshot_id, spec.root) == ("1a2b3c4d", None)


def test_annotations_do_not_count_beside_a_volume_list(world: RestoreWorld) -> None:
    old = pod()
    old["metadata"] = {"name": "web", "namespace": "shop", "annotations": {"snapshot.ark.heptio.com/data": "1a2b3c4d"}}
    world.store_backup(old, claim(), volumes=[])
    world.restore()
    assert world.agents.specs == {}


def test_a_failed_volume_is_in_the_results(world: RestoreWorld) -> None:
    world.store_backup(pod(), claim(), volumes=[DATA])

    def act() -> None:
        world.schedule()
        for name in world.agents.specs:
            world.agents.statuses[name] = PodVolumeRestoreStatus(
                phase="Failed", reason="WrongPassword", message="the repository has another password"
            )

    world.agents.on_wait = act
    outcome = world.restore()
    assert (outcome.phase, outcome.reason) == (BackupPhase.PARTIALLY_FAILED, Reason.VOLUMES_MISSING)
    assert outcome.volumes.entries is not None
    assert outcome.volumes.entries[0].reason == "WrongPassword"
    text = "Pod shop/web, volume data: not restored: WrongPassword: the repository has another password"
    assert world.results().errors.namespaces == {"shop": (text,)}


def test_a_pod_that_is_never_scheduled_is_given_up_with_its_own_words(world: RestoreWorld) -> None:
    world.store_backup(pod(), claim(), volumes=[DATA])

    def act() -> None:
        found = world.api.get(refs.PODS, "shop", "web")
        assert found is not None
        condition: JsonObject = {"type": "PodScheduled", "status": "False", "message": "0/3 nodes are available"}
        world.api.add(refs.PODS, {**found, "status": {"conditions": [condition]}})

    world.agents.on_wait = act
    outcome = world.restore()
    assert outcome.reason is Reason.VOLUMES_MISSING
    assert world.clock.monotonic() >= 1200
    assert "waited for the pod to be scheduled; it is not scheduled: 0/3 nodes" in str(world.results().errors)


def test_a_node_without_an_agent_is_said_at_once(world: RestoreWorld) -> None:
    world.store_backup(pod(), claim(), volumes=[DATA])
    why = "no agent runs on node-1: the DaemonSet does not tolerate its taint gpu"
    world.agents.verdicts["node-1"] = (Reason.NO_AGENT, why)
    world.agents.on_wait = world.schedule
    world.restore()
    assert "taint gpu" in str(world.results().errors)
    assert world.clock.monotonic() < 60


@pytest.mark.parametrize("replaced", [False, True])
def test_a_pod_lost_during_the_restore_is_an_error(world: RestoreWorld, *, replaced: bool) -> None:
    world.store_backup(pod(), claim(), volumes=[DATA])

    def act() -> None:
        if world.api.get(refs.PODS, "shop", "web"):
            world.api.remove(refs.PODS, "shop", "web")
        if replaced:
            world.api.add(refs.PODS, pod())

    world.agents.on_wait = act
    assert world.restore().reason is Reason.VOLUMES_MISSING
    assert ("replaced" if replaced else "deleted") in str(world.results().errors)


def test_a_repository_that_is_not_ready_is_said(world: RestoreWorld) -> None:
    found = world.api.get(refs.RESTIC_REPOSITORIES, "heptio-ark", "shop")
    assert found is not None
    world.api.add(refs.RESTIC_REPOSITORIES, {**found, "status": {"phase": "NotReady", "message": "wrong password"}})
    world.store_backup(pod(), claim(), volumes=[DATA])
    world.restore()
    assert "RepositoryNotReady: the repository of shop is not ready: wrong password" in str(world.results().errors)


def test_a_missing_repository_object_is_made_without_the_right_to_initialise() -> None:
    world = RestoreWorld()
    world.store_backup(pod(), claim(), volumes=[DATA])

    def act() -> None:
        world.behave()
        found = world.api.get(refs.RESTIC_REPOSITORIES, "heptio-ark", "shop")
        if found and "status" not in found:
            status: JsonObject = {"phase": "Ready", "repositoryID": "id-of-shop"}
            world.api.add(refs.RESTIC_REPOSITORIES, {**found, "status": status})

    world.agents.on_wait = act
    assert world.restore().phase is BackupPhase.COMPLETED
    found = spec_of(world.api.get(refs.RESTIC_REPOSITORIES, "heptio-ark", "shop"))
    assert found == {"volumeNamespace": "shop", "resticIdentifier": "s3:http://minio/restic/shop"}


def test_volumes_are_not_restored_when_that_is_refused(world: RestoreWorld) -> None:
    world.store_backup(pod(), claim(), volume(policy="Delete"), volumes=[DATA])
    outcome = world.restore(RestoreSpec(backup_name="b1", restore_pvs=False))
    assert (outcome.volumes.expected, world.agents.specs) == (0, {})
    assert "initContainers" not in spec_of(world.api.get(refs.PODS, "shop", "web"))


def test_volumes_follow_a_mapped_namespace_but_come_from_the_old_ones_repository(world: RestoreWorld) -> None:
    world.store_backup(pod(), claim(), volumes=[DATA])
    world.restore(RestoreSpec(backup_name="b1", namespace_mapping={"shop": "shop-2"}))
    [spec] = world.agents.specs.values()
    assert (spec.pod.namespace, spec.repository) == ("shop-2", "shop")


@pytest.mark.parametrize("crash_at", range(1, 45))
def test_a_crash_at_any_request_is_healed_by_the_next_run(
    world: RestoreWorld, crash_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.store_backup(pod("a"), pod("b"), claim(), volumes=[captured("shop", "a", "data", claim="data")])
    real, calls = world.api.request, [0]

    def crashing(method: str, path: str, **options: Any) -> Response:
        calls[0] += 1
        if calls[0] >= crash_at:
            raise TransportError("gone")
        return real(method, path, **options)

    monkeypatch.setattr(world.api, "request", crashing)
    try:
        world.restore()
    except (ApiUnavailableError, TransportError):
        monkeypatch.setattr(world.api, "request", real)
        outcome = world.restore(stop=StopToken())
        assert (outcome.phase, outcome.warnings, outcome.errors) == (BackupPhase.COMPLETED, 0, 0)
    assert sorted(spec.marker_only for spec in world.agents.specs.values()) == [False, True]
    assert gzip.decompress(world.store.files["b1/restore-r1-logs.gz"]).startswith(b"time=")


def test_an_order_that_the_api_server_refuses_is_an_error(world: RestoreWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    world.store_backup(pod(), claim(), volumes=[DATA])
    errors = [TransportError("gone"), status_error("spec.node: required", code=422, reason="Invalid")]

    def start(*arguments: object) -> None:
        raise errors.pop(0)

    monkeypatch.setattr(world.agents, "start", start)
    world.restore()
    assert "its PodVolumeRestore is refused: spec.node: required" in str(world.results().errors)
    assert errors == []


def test_a_cancelled_restore_gives_up_its_volumes(world: RestoreWorld) -> None:
    world.store_backup(pod(), claim(), volumes=[DATA])
    stop = StopToken()
    world.agents.on_wait = lambda: stop.cancel("Canceled")
    outcome = world.restore(stop=stop)
    assert (outcome.phase, outcome.reason, outcome.volumes.failed) == ("PartiallyFailed", Reason.CANCELED, 1)


def test_a_process_that_ends_while_volumes_are_filled_leaves_them_to_the_next_one(world: RestoreWorld) -> None:
    world.store_backup(pod(), claim(), volumes=[DATA])
    stop = StopToken()
    world.agents.on_wait = lambda: stop.cancel("shutting down")
    with pytest.raises(RestoreInterruptedError):
        world.restore(stop=stop)
    world.agents.on_wait = world.behave
    assert world.restore().phase is BackupPhase.COMPLETED
    assert len(world.agents.specs) == 1
