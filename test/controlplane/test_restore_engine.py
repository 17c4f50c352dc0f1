"""The restore engine on a real API server: what comes back is accepted, and equal to what was backed up."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
import pytest

from pkg.apis.ark import Backup, Restore, RestoreSpec
from pkg.apis.core import Pod
from pkg.apis.meta import JsonObject, ObjectMeta
from pkg.apis.reasons import BackupPhase, Reason
from pkg.apis.volumes import PodVolumeRestoreSpec, PodVolumeRestoreStatus
from pkg.backup.engine import run_backup
from pkg.backup.job import BackupJob
from pkg.kube.client import Client
from pkg.kube.discovery import discover
from pkg.kube.errors import NotFoundError
from pkg.kube.refs import BACKUPS, NAMESPACES, PODS, RESTORES
from pkg.kube.resources import ResourceRef
from pkg.kube.stop import StopToken
from pkg.kube.transport import load_transport
from pkg.objectstore.layout import backup_keys, restore_keys
from pkg.restore.captures import Capture, PodVolume
from pkg.restore.engine import run_restore
from pkg.restore.fields import objects_at, text_at, texts_at, value_at
from pkg.restore.helper import Helper
from pkg.restore.job import RestoreJob, RestoreOutcome
from pkg.restore.podvolumes import with_restic_wait
from pkg.restore.results import decode_results
from pkg.testing.access import ClusterAccess
from pkg.testing.assets import REPOSITORY
from pkg.testing.fakebackup import FakeCapturer, FakeExec
from pkg.testing.fakestore import FakeStore
from pkg.volumes.ledger import EntryState, Ledger, LedgerEntry, to_json_gz

CRD_DIRECTORY = Path(REPOSITORY) / "config" / "crd"
SERVICES = ResourceRef(plural="services", kind="Service")
APPLICATION = Path(__file__).with_name("restore_application.yaml").read_text()
LOADING_JOB = """
apiVersion: batch/v1
kind: Job
metadata: {name: loads}
spec:
  template:
    spec:
      restartPolicy: Never
      containers: [{name: c, image: c, volumeMounts: [{name: d, mountPath: /d}]}]
      volumes: [{name: d, emptyDir: {}}]
"""
WIDGET_DEFINITION: JsonObject = {
    "metadata": {"name": "widgets.restore.example.com"},
    "spec": {
        "group": "restore.example.com",
        "scope": "Namespaced",
        "names": {"plural": "widgets", "singular": "widget", "kind": "Widget"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                },
            }
        ],
    },
}
NARROW = """
apiVersion: v1
kind: ResourceQuota
metadata: {name: narrow}
spec: {hard: {requests.cpu: 20m, requests.memory: 32Mi, limits.cpu: 40m, limits.memory: 64Mi}}
---
apiVersion: v1
kind: LimitRange
metadata: {name: narrow}
spec: {limits: [{type: Container, max: {cpu: 50m, memory: 64Mi}, min: {cpu: 20m, memory: 32Mi}}]}
"""
OTHER_JOB = """
apiVersion: batch/v1
kind: Job
metadata: {name: once}
spec: {template: {spec: {restartPolicy: Never, containers: [{name: once, image: other}]}}}
"""
WIDGET = "apiVersion: restore.example.com/v1\nkind: Widget\nmetadata: {name: w}\nspec: {size: 3}\n"


class NoVolumes:
    """A VolumeRestorer for pods without volumes to fill."""

    def pods(self, restore_uid: str) -> list[Pod]:
        return []

    def start(self, name: str, spec: PodVolumeRestoreSpec, labels: Mapping[str, str]) -> str:
        raise AssertionError(name)

    def status(self) -> dict[str, PodVolumeRestoreStatus]:
        return {}

    def wait_changed(self, stop: StopToken, seconds: float) -> bool:
        return stop.wait(seconds)

    def agent_verdict(self, node: str) -> tuple[Reason, str] | None:
        return None


class Application:
    """An application in a namespace of its own, its backup, and its restores."""

    def __init__(self, access: ClusterAccess, client: Client, namespace: str, scratch_dir: Path) -> None:
        self.access = access
        self.client = client
        self.namespace = namespace
        self.store = FakeStore()
        self._scratch_dir = scratch_dir

    def apply(self, manifest: str) -> None:
        path = self._scratch_dir / "manifest.yaml"
        path.write_text(manifest)
        self.access.kubectl("-n", self.namespace, "apply", "--server-side", "-f", str(path))

    def back_up(self) -> None:
        spec: JsonObject = {"includedNamespaces": [self.namespace], "includeClusterResources": True}
        # Volumes may be there that other tests left, and go in the middle of ours.
        spec["excludedResources"] = ["apiservices", "persistentvolumes"]
        metadata: JsonObject = {"name": f"b-{self.namespace}"}
        made = self.client.create(BACKUPS, "default", {"metadata": metadata, "spec": spec}, Backup)
        status: JsonObject = {"phase": "InProgress", "claim": {"holder": "test", "epoch": 1}}
        name = made.metadata.name
        claimed = self.client.patch(BACKUPS, "default", name, {"status": status}, Backup, subresource="status")
        job = BackupJob(
            backup=claimed,
            client=self.client,
            discover=lambda: discover(self.client),
            store=self.store,
            volumes=FakeCapturer(),
            cluster_id="cluster",
            confirm=lambda: None,
            execute=FakeExec(),
            on_progress=lambda total, done, volumes: None,
            scratch_dir=self._scratch_dir,
        )
        outcome = run_backup(job, StopToken())
        assert outcome.phase is BackupPhase.COMPLETED, outcome

    def restore(self, name: str, **spec: object) -> RestoreOutcome:
        body = msgspec.structs.replace(RestoreSpec(backup_name=f"b-{self.namespace}"), **spec)
        metadata = ObjectMeta(name=name, namespace="default", uid=secrets.token_hex(8))
        job = RestoreJob(
            restore=Restore(metadata=metadata, spec=body),
            client=self.client,
            discover=lambda: discover(self.client),
            store=self.store,
            volumes=NoVolumes(),
            restic_identifier=lambda namespace: f"s3:{namespace}",
            exec_hook=FakeExec(),
            helper_image="ark",
            pod_timeout_seconds=1.0,
            scratch_dir=str(self._scratch_dir),
        )
        return run_restore(job, StopToken())

    def results(self, name: str) -> object:
        return decode_results(self.store.objects[restore_keys(f"b-{self.namespace}", name).results])

    def delete_namespace(self, namespace: str = "") -> None:
        self.access.kubectl("delete", "namespace", namespace or self.namespace, "--wait=true", "--timeout=60s")

    def listed(self, kinds: str, namespace: str = "") -> list[str]:
        shown = self.access.kubectl("-n", namespace or self.namespace, "get", kinds, "-o", "name")
        return sorted(str(shown).split())

    def shown(self, name: str, *path: str) -> str:
        found = self.access.kubectl("-n", self.namespace, "get", name, "-o", "json")
        return str(value_at(json.loads(str(found)), *path))

    def patch(self, name: str, patch: str) -> None:
        self.access.kubectl("-n", self.namespace, "patch", name, "--type=merge", "-p", patch)


@pytest.fixture(scope="module")
def client(control_plane: ClusterAccess) -> Client:
    control_plane.kubectl("apply", "--server-side", "--filename", str(CRD_DIRECTORY))
    control_plane.kubectl("wait", "--for=condition=Established", "--timeout=30s", "--filename", str(CRD_DIRECTORY))
    return Client(load_transport(str(control_plane.kubeconfig)))


@pytest.fixture
def application(control_plane: ClusterAccess, client: Client, namespace: str, tmp_path: Path) -> Application:
    return Application(control_plane, client, namespace, tmp_path)


def settled(application: Application) -> None:
    """The controllers have made their pods and endpoints."""
    wait_for(lambda: len(application.listed("pods")) == 4)


def wait_for(condition: Callable[[], bool]) -> None:
    stop = StopToken()
    for _ in range(600):
        if condition():
            return
        stop.wait(0.1)
    raise AssertionError("nothing happened in 60 s")


KINDS = (
    "configmaps,secrets,serviceaccounts,rolebindings,services,deployments,statefulsets,jobs,cronjobs,"
    "networkpolicies,ingresses,horizontalpodautoscalers,poddisruptionbudgets,persistentvolumeclaims"
)


def test_a_lost_namespace_comes_back_whole_and_a_second_restore_finds_nothing_to_do(application: Application) -> None:
    application.apply(APPLICATION)
    settled(application)
    before = application.listed(KINDS)
    application.back_up()
    application.delete_namespace()
    outcome = application.restore("r1")
    assert (outcome.phase, outcome.errors, outcome.warnings) == ("Completed", 0, 0), application.results("r1")
    assert application.listed(KINDS) == before
    settled(application)
    again = application.restore("r2", excluded_resources=("pods", "replicasets.apps"))
    assert (again.phase, again.errors, again.warnings) == ("Completed", 0, 0), application.results("r2")


def test_pods_are_adopted_and_not_doubled(application: Application) -> None:
    application.apply(APPLICATION)
    settled(application)
    names = application.listed("pods,replicasets")
    application.back_up()
    application.delete_namespace()
    assert application.restore("r1").errors == 0

    def owned() -> bool:
        shown = application.access.kubectl("-n", application.namespace, "get", "pods", "-o", "json")
        pods = objects_at(json.loads(str(shown)), "items")
        web = [pod for pod in pods if texts_at(pod, "metadata", "labels").get("app") == "web"]
        return len(web) == 2 and all(objects_at(pod, "metadata", "ownerReferences") for pod in web)

    wait_for(owned)
    left = [name for name in application.listed("pods,replicasets") if "once" not in name]
    assert left == [name for name in names if "once" not in name]


def test_a_namespace_is_restored_under_another_name(application: Application) -> None:
    application.apply(APPLICATION)
    settled(application)
    application.back_up()
    target = f"{application.namespace}-2"
    try:
        outcome = application.restore("r1", namespace_mapping={application.namespace: target})
        assert (outcome.phase, outcome.errors) == ("Completed", 0), application.results("r1")
        assert application.listed(KINDS, target) == application.listed(KINDS)
        old = application.client.get_raw(SERVICES, application.namespace, "web")
        new = application.client.get_raw(SERVICES, target, "web")
        assert text_at(old, "spec", "clusterIP") != text_at(new, "spec", "clusterIP")
    finally:
        application.access.kubectl("delete", "namespace", target, "--wait=false")


def test_a_definition_comes_back_before_its_objects(application: Application) -> None:
    manifest = json.dumps(
        {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition"} | WIDGET_DEFINITION
    )
    application.apply(manifest)
    name = "customresourcedefinition/widgets.restore.example.com"
    application.access.kubectl("wait", "--for=condition=Established", name)
    application.apply(WIDGET)
    application.back_up()
    application.delete_namespace()
    application.access.kubectl("delete", name, "--wait=true")
    outcome = application.restore("r1")
    assert (outcome.phase, outcome.errors) == ("Completed", 0), application.results("r1")
    assert application.listed("widgets.restore.example.com") == ["widget.restore.example.com/w"]


def test_the_pod_that_waits_passes_the_restricted_admission(application: Application) -> None:
    application.access.kubectl(
        "label", "namespace", application.namespace, "pod-security.kubernetes.io/enforce=restricted"
    )
    secure: JsonObject = {
        "runAsNonRoot": True,
        "runAsUser": 1000,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    container: JsonObject = {"name": "app", "image": "app", "securityContext": secure}
    pod: JsonObject = {"metadata": {"name": "web"}, "spec": {"containers": [container]}}
    volume = PodVolume(volume="data", claim="", capture=Capture(namespace="x", snapshot_id="1"))
    waiting = with_restic_wait(pod, [volume], restore_uid="uid", helper=Helper(image="ark"))
    made = application.client.create_raw(PODS, application.namespace, waiting)
    assert text_at(made, "status", "qosClass") == "BestEffort"


def test_a_job_adopts_its_pod_that_carries_data(application: Application) -> None:
    application.apply(LOADING_JOB)
    wait_for(lambda: len(application.listed("pods")) == 1)
    [pod] = application.listed("pods")
    application.back_up()
    entry = LedgerEntry(namespace=application.namespace, pod=pod.removeprefix("pod/"), volume="d", snapshot_id="1")
    captured = msgspec.structs.replace(entry, state=EntryState.CAPTURED)
    key = backup_keys(f"b-{application.namespace}").volumes
    application.store.put(key, to_json_gz(Ledger(entries=(captured,))))
    application.delete_namespace()
    outcome = application.restore("r1")
    assert outcome.message.startswith("1 volume not restored: ")  # no agent runs here

    def adopted() -> bool:
        live = application.client.get_raw(PODS, application.namespace, pod.removeprefix("pod/"))
        return bool(objects_at(live, "metadata", "ownerReferences"))

    wait_for(adopted)
    assert application.listed("pods") == [pod]


def test_the_status_of_an_outcome_is_accepted(application: Application) -> None:
    application.apply(APPLICATION)
    application.back_up()
    outcome = application.restore("r1")
    made = application.client.create(RESTORES, application.namespace, {"metadata": {"name": "r1"}, "spec": {}}, Restore)
    status: JsonObject = {
        "phase": outcome.phase,
        "progress": msgspec.to_builtins(outcome.items),
        "volumes": msgspec.to_builtins(outcome.volumes),
    }
    name = made.metadata.name
    patched = application.client.patch(
        RESTORES, application.namespace, name, {"status": status}, Restore, subresource="status"
    )
    assert patched.status.progress == outcome.items
    with pytest.raises(NotFoundError):
        application.client.get_raw(NAMESPACES, "", "not-there")


def test_the_pod_that_waits_fits_its_quota_and_limit_range(application: Application) -> None:
    application.apply(NARROW)
    resources: JsonObject = {"requests": {"cpu": "20m", "memory": "32Mi"}, "limits": {"cpu": "40m", "memory": "64Mi"}}
    container: JsonObject = {"name": "app", "image": "app", "resources": resources}
    pod: JsonObject = {"metadata": {"name": "web"}, "spec": {"containers": [container]}}
    volume = PodVolume(volume="data", claim="", capture=Capture(namespace="x", snapshot_id="1"))
    waiting = with_restic_wait(pod, [volume], restore_uid="uid", helper=Helper(image="ark"))
    wait_for(lambda: "hard" in application.shown("resourcequota/narrow", "status"))
    made = application.client.create_raw(PODS, application.namespace, waiting)
    assert text_at(made, "status", "qosClass") == "Burstable"


def test_what_exists_is_updated_by_policy_and_what_cannot_be_is_said(application: Application) -> None:
    application.apply(APPLICATION)
    settled(application)
    application.back_up()
    address = application.shown("service/web", "spec", "clusterIP")
    application.patch("configmap/settings", '{"data":{"colour":"red","extra":"1"}}')
    application.patch("service/web", '{"spec":{"ports":[{"name":"http","port":81}]}}')
    application.access.kubectl("-n", application.namespace, "delete", "job/once", "--wait=true")
    application.apply(OTHER_JOB)
    only = ("configmaps", "services", "jobs")
    assert application.restore("r1", included_resources=only).warnings == 3
    outcome = application.restore("r2", included_resources=only, existing_resource_policy="update")
    assert (outcome.phase, outcome.errors, outcome.warnings) == ("Completed", 0, 1), application.results("r2")
    assert "immutable" in str(application.results("r2"))
    assert application.shown("configmap/settings", "data") == "{'colour': 'blue'}"
    assert "'port': 80," in application.shown("service/web", "spec")
    assert application.shown("service/web", "spec", "clusterIP") == address


def test_a_namespace_that_is_going_is_waited_for(application: Application) -> None:
    application.apply(APPLICATION)
    settled(application)
    application.back_up()
    application.access.kubectl("delete", "namespace", application.namespace, "--wait=false")
    outcome = application.restore("r1")
    assert (outcome.phase, outcome.errors) == ("Completed", 0), application.results("r1")
    assert application.listed("deployments") == ["deployment.apps/web"]
