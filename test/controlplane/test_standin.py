"""The stand-in node does with pods, claims and directories what a kubelet does."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
import websocket

from pkg.apis.meta import Json, JsonObject
from pkg.testing.access import ClusterAccess
from pkg.testing.controlplane import ControlPlane
from pkg.testing.processes import wait_until
from pkg.testing.standin_process import StandInNode

PAUSE: JsonObject = {"name": "app", "image": "pause"}


@pytest.fixture(scope="module", params=[False, True], ids=["own mount namespace", "own user namespace as well"])
def node(
    request: pytest.FixtureRequest, control_plane: ClusterAccess, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[StandInNode]:
    if not isinstance(control_plane, ControlPlane):
        pytest.skip("a cluster of one's own has nodes of its own")
    if not request.param and os.geteuid() != 0:
        pytest.skip("only root makes a mount namespace alone")
    name = "standin-user" if request.param else "standin"
    workdir = tmp_path_factory.mktemp(name)
    with StandInNode(workdir, control_plane.kubeconfig, name, user_namespace=request.param) as started:
        yield started
    control_plane.kubectl("delete", "node", name, "--wait=false")


class Pods:
    """Makes pods of one namespace and looks at them."""

    def __init__(self, control_plane: ClusterAccess, namespace: str, node: StandInNode) -> None:
        self._control_plane = control_plane
        self._namespace = namespace
        self._node = node

    def make(self, name: str, *, annotations: JsonObject | None = None, **spec: Json) -> None:
        selector: JsonObject = {"kubernetes.io/hostname": self._node.name}
        metadata: JsonObject = {"name": name, "namespace": self._namespace, "annotations": annotations or {}}
        whole: JsonObject = {"containers": [PAUSE], "nodeSelector": selector, **spec}
        self._control_plane.apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": whole})

    def make_claim(self, name: str, storage_class: str) -> None:
        spec: JsonObject = {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
            "storageClassName": storage_class,
        }
        metadata: JsonObject = {"name": name, "namespace": self._namespace}
        self._control_plane.apply(
            {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec}
        )

    def get(self, kind: str, name: str, field: str) -> str:
        shown = ("get", kind, name, f"-o=jsonpath={{{field}}}", "--ignore-not-found")
        return self._control_plane.kubectl(*shown, "--namespace", self._namespace)

    def wait(self, name: str, field: str, value: str, kind: str = "pod") -> None:
        wait_until(
            lambda: self.get(kind, name, field) == value,
            timeout_seconds=60,
            what=f"{field} of {kind} {name} to be {value!r}",
            watched=[self._node.process],
        )

    def wait_ready(self, name: str) -> None:
        self.wait(name, '.status.conditions[?(@.type=="Ready")].status', "True")

    def delete(self, name: str) -> None:
        self._control_plane.kubectl("delete", "pod", name, "--namespace", self._namespace, "--wait=false")

    def wait_gone(self, name: str) -> None:
        self.wait(name, ".metadata.name", "")

    def volumes(self, name: str) -> Path:
        return self._node.volumes(self.get("pod", name, ".metadata.uid"))


@pytest.fixture
def pods(control_plane: ClusterAccess, namespace: str, node: StandInNode) -> Pods:
    account = ("get", "serviceaccount", "default", "--namespace", namespace, "--ignore-not-found", "-o=name")
    wait_until(lambda: control_plane.kubectl(*account), timeout_seconds=60, what="the default service account")
    return Pods(control_plane, namespace, node)


def inside(node: StandInNode, *command: str | Path) -> str:
    """What a command prints where the node's volumes are seen."""
    return subprocess.run([*node.prefix, *command], check=True, stdout=subprocess.PIPE, text=True).stdout


def test_a_pod_runs_with_the_directories_of_a_kubelet(pods: Pods, node: StandInNode) -> None:
    pods.make("plain", volumes=[{"name": "scratch", "emptyDir": {}}, {"name": "settings", "configMap": {"name": "x"}}])
    pods.wait_ready("plain")
    assert pods.get("pod", "plain", ".status.phase") == "Running"
    assert pods.get("pod", "plain", ".status.containerStatuses[0].state.running.startedAt")
    volumes = pods.volumes("plain")
    assert (volumes / "kubernetes.io~empty-dir" / "scratch").stat().st_mode & 0o7777 == 0o777
    assert (volumes / "kubernetes.io~configmap" / "settings").is_dir()
    pods.delete("plain")
    pods.wait_gone("plain")
    assert not volumes.parent.exists()


@pytest.mark.parametrize("storage_class", ["standin", "standin-wait"])
def test_a_claim_is_a_bind_mount_seen_only_by_who_joins(pods: Pods, node: StandInNode, storage_class: str) -> None:
    pods.make_claim("data", storage_class)
    pods.make("app", volumes=[{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}])
    pods.wait_ready("app")
    pv = pods.get("pvc", "data", ".spec.volumeName")
    mount = pods.volumes("app") / "kubernetes.io~csi" / pv / "mount"
    (node.backing / pv / "file").write_text("precious")
    assert inside(node, "cat", mount / "file") == "precious"
    assert f" {mount} " in inside(node, "cat", "/proc/self/mountinfo")
    assert list(mount.iterdir()) == []
    assert mount.stat().st_mode & 0o7777 == 0o750
    assert json.loads((mount.parent / "vol_data.json").read_text())["specVolID"] == pv


def test_an_open_volume_holds_the_pod_until_it_is_let_go(pods: Pods, node: StandInNode) -> None:
    pods.make_claim("data", "standin")
    pods.make("held", volumes=[{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}])
    pods.wait_ready("held")
    mount = pods.volumes("held") / "kubernetes.io~csi" / pods.get("pvc", "data", ".spec.volumeName") / "mount"
    with subprocess.Popen([*node.prefix, "sh", "-c", f"cd '{mount}' && exec sleep 100"]) as holder:
        wait_until(
            lambda: os.readlink(f"/proc/{holder.pid}/cwd").endswith("/mount"), timeout_seconds=60, what="the holder"
        )
        pods.delete("held")
        pods.wait("held", ".status.phase", "Failed")
        assert pods.get("pod", "held", ".metadata.deletionTimestamp")
        holder.kill()
    pods.wait_gone("held")


def test_the_data_of_a_deleted_claim_go_with_it(
    control_plane: ClusterAccess, namespace: str, pods: Pods, node: StandInNode
) -> None:
    pods.make_claim("data", "standin")
    pods.wait("data", ".status.phase", "Bound", kind="pvc")
    pv = pods.get("pvc", "data", ".spec.volumeName")
    (node.backing / pv).mkdir(exist_ok=True)
    control_plane.kubectl("delete", "pvc", "data", "--namespace", namespace, "--wait=false")
    pods.wait(pv, ".metadata.name", "", kind="pv")
    wait_until(lambda: not (node.backing / pv).exists(), timeout_seconds=60, what="the data to be gone")


def execute(control_plane: ControlPlane, path: str, *command: str) -> dict[int, bytes]:
    """What a command in a container writes, by channel, in the way of the kubernetes package's client."""
    credentials = control_plane.issue("exec", common_name="exec", organizations=["system:masters"])
    query = urlencode([*(("command", word) for word in command), ("stdout", "1"), ("stderr", "1")])
    connection = websocket.create_connection(
        f"{control_plane.server_url.replace('https', 'wss')}{path}/exec?{query}",
        header=["sec-websocket-protocol: v5.channel.k8s.io,v4.channel.k8s.io"],
        sslopt={
            "ca_certs": str(control_plane.ca_file),
            "certfile": str(credentials.certificate_file),
            "keyfile": str(credentials.key_file),
        },
        timeout=60,
    )
    channels: dict[int, bytes] = {}
    while (message := connection.recv()) and isinstance(message, bytes):
        channels[message[0]] = channels.get(message[0], b"") + message[1:]
    connection.shutdown()  # type: ignore[no-untyped-call]  # that package types only some methods
    return channels


def test_exec_runs_a_command_beside_the_volumes(
    control_plane: ControlPlane, namespace: str, pods: Pods, node: StandInNode
) -> None:
    pods.make_claim("claim", "standin")
    pods.make("app", volumes=[{"name": "my-data", "persistentVolumeClaim": {"claimName": "claim"}}])
    pods.wait_ready("app")
    path = f"/api/v1/namespaces/{namespace}/pods/app"
    channels = execute(control_plane, path, "sh", "-c", "echo frozen > $VOLUME_my_data/state; echo done; exit 3")
    assert channels[1] == b"done\n"
    assert json.loads(channels[3])["details"]["causes"] == [{"reason": "ExitCode", "message": "3"}]
    assert (node.backing / pods.get("pvc", "claim", ".spec.volumeName") / "state").read_text() == "frozen\n"


RESTIC_WAIT: JsonObject = {
    "name": "restic-wait",
    "image": "ark",
    "args": ["restore-uid", "data"],
    "volumeMounts": [{"name": "ark-restore", "mountPath": "/ark-restore"}],
}
RESTORED_VOLUMES: list[Json] = [{"name": "data", "emptyDir": {}}, {"name": "ark-restore", "emptyDir": {}}]


def test_a_restored_pod_waits_for_its_marker(pods: Pods) -> None:
    pods.make("restored", initContainers=[RESTIC_WAIT], volumes=RESTORED_VOLUMES)
    pods.wait("restored", ".status.phase", "Pending")
    wait_until(
        lambda: pods.get("pod", "restored", ".status.initContainerStatuses[0].state.running"),
        timeout_seconds=60,
        what="the init container to run",
    )
    markers = pods.volumes("restored") / "kubernetes.io~empty-dir" / "ark-restore"
    (markers / "restore-uid.data.done").touch()
    pods.wait_ready("restored")
    assert pods.get("pod", "restored", ".status.initContainerStatuses[0].state.terminated.exitCode") == "0"


def test_a_restore_that_failed_keeps_the_pod_from_running(pods: Pods) -> None:
    pods.make("broken", initContainers=[RESTIC_WAIT], volumes=RESTORED_VOLUMES)
    waiting = ".status.initContainerStatuses[0].state"
    wait_until(lambda: pods.get("pod", "broken", f"{waiting}.running"), timeout_seconds=60, what="the init container")
    markers = pods.volumes("broken") / "kubernetes.io~empty-dir" / "ark-restore"
    (markers / "restore-uid.data.failed").write_text("wrong password")
    pods.wait("broken", f"{waiting}.waiting.reason", "CrashLoopBackOff")
    assert pods.get("pod", "broken", ".status.phase") == "Pending"


@pytest.mark.parametrize(
    ("annotation", "value", "phase"),
    [
        pytest.param("standin.test/hold", "true", "Pending", id="held back it stays pending"),
        pytest.param("standin.test/exit-code", "0", "Succeeded", id="told to end well it has succeeded"),
        pytest.param("standin.test/exit-code", "3", "Failed", id="told to end badly it has failed"),
    ],
)
def test_a_pod_does_as_it_is_told(pods: Pods, annotation: str, value: str, phase: str) -> None:
    pods.make("told", annotations={annotation: value}, restartPolicy="Never")
    pods.wait("told", ".status.phase", phase)
    assert pods.get("pod", "told", '.status.conditions[?(@.type=="Ready")].status') in ("False", "")


def test_a_killed_node_goes_on_where_it_was(pods: Pods, node: StandInNode) -> None:
    pods.make_claim("data", "standin")
    pods.make("survivor", volumes=[{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}])
    pods.wait_ready("survivor")
    pv = pods.get("pvc", "data", ".spec.volumeName")
    (node.backing / pv / "file").write_text("precious")
    node.process.kill()
    node.start()
    mounted = pods.volumes("survivor") / "kubernetes.io~csi" / pv / "mount" / "file"
    wait_until(lambda: reads(node, mounted) == "precious", timeout_seconds=60, what="the volume to be mounted again")
    pods.delete("survivor")
    pods.wait_gone("survivor")


def reads(node: StandInNode, file: Path) -> str:
    """The file's text where the node's volumes are seen; empty when it is not there."""
    return subprocess.run(
        [*node.prefix, "cat", file], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ).stdout
