import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from pkg.testing import csi
from pkg.testing.access import ClusterAccess
from pkg.testing.assets import REPOSITORY
from pkg.testing.cluster import Cluster
from pkg.testing.cluster_state import MARKER
from pkg.testing.images import APPLICATION, APPLICATION_IMAGE
from pkg.testing.node_cgroups import cgroup_directories
from pkg.testing.processes import HarnessError, wait_until

RUN_SECONDS = 120
PYTHON_ASKS_API = """\
import json, pathlib, ssl, urllib.request
home = pathlib.Path("/var/run/secrets/kubernetes.io/serviceaccount")
request = urllib.request.Request("https://kubernetes.default.svc/apis/authentication.k8s.io/v1/selfsubjectreviews",
    data=json.dumps({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}).encode(),
    headers={"Authorization": "Bearer " + (home / "token").read_text(), "Content-Type": "application/json"})
context = ssl.create_default_context(cafile=str(home / "ca.crt"))
print(json.load(urllib.request.urlopen(request, context=context, timeout=10))["status"]["userInfo"]["username"])
"""

SERVE = "cd /scratch; echo served > index.html; python3 -m http.server 8000 >/dev/null 2>&1 & true"
FETCH = """\
import sys, time, urllib.request
for attempt in range(150):
    try:
        print(urllib.request.urlopen(sys.argv[1], timeout=2).read().decode())
        break
    except OSError as error:
        print(error, file=sys.stderr)
        time.sleep(0.2)
"""
AGENT_SEES = """\
for i in $(seq 300); do
  cat /host_pods/{uid}/volumes/kubernetes.io~csi/*/mount/file 2>/dev/null && break
  sleep 0.1
done
"""


@pytest.fixture
def namespace(cluster: ClusterAccess) -> Iterator[str]:
    name = f"harness-{uuid.uuid4().hex[:8]}"
    cluster.kubectl("create", "namespace", name)
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")


def volume_claim(namespace: str, name: str, storage_class: str = csi.STORAGE_CLASS) -> dict[str, object]:
    spec = {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": storage_class,
        "resources": {"requests": {"storage": "1Mi"}},
    }
    metadata = {"namespace": namespace, "name": name}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec}


def pod(namespace: str, name: str, script: str, *, claim: str = "", node: str = "") -> dict[str, object]:
    volumes: list[dict[str, object]] = [{"name": "scratch", "emptyDir": {}}]
    if claim:
        volumes.append({"name": "data", "persistentVolumeClaim": {"claimName": claim}})
    container = {
        "name": "main",
        "image": APPLICATION_IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "command": ["bash", "-c", f"{script}; echo started; trap exit TERM; sleep infinity & wait"],
        "volumeMounts": [{"name": volume["name"], "mountPath": f"/{volume['name']}"} for volume in volumes],
    }
    spec: dict[str, object] = {
        "containers": [container],
        "volumes": volumes,
        "terminationGracePeriodSeconds": 1,
        "securityContext": {"fsGroup": 2000},
    }
    if node:
        spec["nodeSelector"] = {"kubernetes.io/hostname": node}
    metadata = {"namespace": namespace, "name": name, "labels": {"app": name}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def service(namespace: str, name: str, port: int) -> dict[str, object]:
    spec = {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": port}]}
    metadata = {"namespace": namespace, "name": name}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}


def run_pod(cluster: ClusterAccess, *manifests: dict[str, object]) -> dict[str, str]:
    """Apply manifests, the last of which is a pod, and wait for it; returns its uid, node and address."""
    for manifest in manifests:
        cluster.apply(manifest)
    metadata = manifests[-1]["metadata"]
    assert isinstance(metadata, dict)
    target = f"pod/{metadata['name']}", f"--namespace={metadata['namespace']}"
    cluster.kubectl(
        "wait", "--for=condition=Ready", *target, f"--timeout={RUN_SECONDS}s", timeout_seconds=RUN_SECONDS + 30
    )
    shown = json.loads(cluster.kubectl("get", *target, "--output=json"))
    return {"uid": shown["metadata"]["uid"], "node": shown["spec"]["nodeName"], "ip": shown["status"]["podIP"]}


def execute(cluster: ClusterAccess, namespace: str, name: str, *command: str) -> str:
    return cluster.kubectl("exec", f"--namespace={namespace}", name, "--", *command).strip()


@pytest.mark.parametrize(
    "storage_class",
    [
        pytest.param(csi.STORAGE_CLASS, id="a claim that is bound at once"),
        pytest.param(csi.WAITING_STORAGE_CLASS, id="a claim that waits for its pod"),
    ],
)
def test_data_of_a_claim_is_a_mount_point_in_the_kubelets_directory(
    own_cluster: Cluster, namespace: str, storage_class: str
) -> None:
    claim = volume_claim(namespace, "data", storage_class)
    write = "echo claimed > /data/file; echo scratched > /scratch/file"
    got = run_pod(own_cluster, claim, pod(namespace, "app", write, claim="data"))

    shown = json.loads(own_cluster.kubectl("get", "pvc", "data", f"--namespace={namespace}", "--output=json"))
    node = own_cluster.node(got["node"])
    volumes = node.pod_directory(got["uid"]) / "volumes"
    mount = volumes / "kubernetes.io~csi" / shown["spec"]["volumeName"] / "mount"
    assert node.machine.run("cat", mount / "file") == "claimed\n"
    assert f" {mount} " in node.machine.run("cat", "/proc/self/mountinfo")
    assert node.machine.run("stat", "--format=%g %a", mount) == "2000 2775\n"
    assert node.machine.run("cat", volumes / "kubernetes.io~empty-dir" / "scratch" / "file") == "scratched\n"
    assert not (mount / "file").exists()  # the machine itself sees nothing of it


def test_a_deleted_pod_and_claim_leave_no_mount_and_no_data(own_cluster: Cluster, namespace: str) -> None:
    run_pod(own_cluster, volume_claim(namespace, "data"), pod(namespace, "app", "echo > /data/file", claim="data"))
    shown = json.loads(own_cluster.kubectl("get", "pvc", "data", f"--namespace={namespace}", "--output=json"))
    name = shown["spec"]["volumeName"]
    data = own_cluster.workdir / "volumes" / "data" / name
    assert (data / "file").exists()

    own_cluster.kubectl("delete", "pod/app", "pvc/data", f"--namespace={namespace}")

    wait_until(lambda: not data.exists(), timeout_seconds=90, what="the removal of the volume")
    assert name not in own_cluster.nodes[0].machine.run("cat", "/proc/self/mountinfo")


def test_logs_and_exec_reach_a_container(cluster: ClusterAccess, namespace: str) -> None:
    run_pod(cluster, pod(namespace, "app", "echo hello"))

    assert cluster.kubectl("logs", f"--namespace={namespace}", "app") == "hello\nstarted\n"
    assert execute(cluster, namespace, "app", "echo", "from exec") == "from exec"


def test_a_pod_reaches_a_service_by_name_also_on_its_own_node(cluster: ClusterAccess, namespace: str) -> None:
    run_pod(cluster, service(namespace, "web", 8000), pod(namespace, "web", SERVE))
    run_pod(cluster, pod(namespace, "client", "true"))

    for address in (f"http://web.{namespace}.svc", f"http://web.{namespace}.svc.cluster.local", "http://web"):
        assert execute(cluster, namespace, "client", "python3", "-c", FETCH, address) == "served"


def test_minio_as_shipped_answers_under_its_name(shipped: Cluster, namespace: str) -> None:
    run_pod(shipped, pod(namespace, "client", "true"))

    url = "http://minio.heptio-ark.svc:9000/minio/health/ready"
    shown = shipped.kubectl("exec", "-n", namespace, "client", "--", "python3", "-c", FETCH, url)

    assert shown == "\n"  # the health answer is empty; FETCH prints nothing at all where nobody answers


@pytest.mark.parametrize("user", [pytest.param(0, id="as root"), pytest.param(65534, id="as nobody")])
def test_the_product_image_has_what_it_runs(own_cluster: Cluster, namespace: str, user: int) -> None:
    """On a read-only root, as in the manifests."""
    command = "restic version && setpriv --version && python3 --version && type ark ark-restic-restore-helper"
    manifest = pod(namespace, "app", command)
    spec = manifest["spec"]
    assert isinstance(spec, dict)
    spec["containers"][0] |= {"image": "ark/ark:latest", "securityContext": {"readOnlyRootFilesystem": True}}
    spec["securityContext"] = {"runAsUser": user}
    run_pod(own_cluster, manifest)

    shown = own_cluster.kubectl("logs", f"--namespace={namespace}", "app")
    imported = execute(own_cluster, namespace, "app", "/opt/ark/bin/python", "-c", "import pkg; print(pkg.__file__)")

    for expected in ("restic 0.", "setpriv", "Python 3.11", "ark is /usr/local/bin/ark", "/ark-restic-restore-helper"):
        assert expected in shown
    assert imported.startswith("/opt/ark/lib/python3.11/site-packages/")


def test_an_agent_with_propagation_sees_a_volume_mounted_after_its_start(own_cluster: Cluster, namespace: str) -> None:
    run_pod(own_cluster, agent(namespace))
    got = run_pod(
        own_cluster, volume_claim(namespace, "data"), pod(namespace, "app", "echo seen > /data/file", claim="data")
    )

    assert execute(own_cluster, namespace, "agent", "bash", "-c", AGENT_SEES.format(uid=got["uid"])) == "seen"


def agent(namespace: str) -> dict[str, object]:
    """A pod that sees the pods' directories as the shipped DaemonSet does."""
    mount = {"name": "host-pods", "mountPath": "/host_pods", "mountPropagation": "HostToContainer"}
    container = {
        "name": "agent",
        "image": APPLICATION_IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "command": ["sleep", "infinity"],
        "volumeMounts": [mount],
    }
    spec = {
        "containers": [container],
        "volumes": [{"name": "host-pods", "hostPath": {"path": "/var/lib/kubelet/pods"}}],
        "terminationGracePeriodSeconds": 1,
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": namespace, "name": "agent"}, "spec": spec}


def test_a_service_account_token_works_in_a_pod(cluster: ClusterAccess, namespace: str) -> None:
    run_pod(cluster, pod(namespace, "app", "true"))

    answer = execute(cluster, namespace, "app", "python3", "-c", PYTHON_ASKS_API)

    assert answer == f"system:serviceaccount:{namespace}:default"


def test_a_token_for_a_process_outside_has_only_its_accounts_rights(
    own_cluster: Cluster, namespace: str, tmp_path: Path
) -> None:
    kubeconfig = own_cluster.kubeconfig_for_service_account(namespace, "default", tmp_path / "kubeconfig")
    environment = {"KUBECONFIG": str(kubeconfig)}

    mine = own_cluster.run("kubectl", "auth", "whoami", environment=environment)
    refused = own_cluster.run("kubectl", "get", "secrets", f"--namespace={namespace}", environment=environment)

    assert f"system:serviceaccount:{namespace}:default" in mine.stdout
    assert "Forbidden" in refused.stderr


def test_a_restarted_kubelet_and_driver_keep_pods_and_serve_new_claims(own_cluster: Cluster, namespace: str) -> None:
    write = "echo $RANDOM > /data/file"
    before = run_pod(own_cluster, volume_claim(namespace, "one"), pod(namespace, "one", write, claim="one"))
    content = execute(own_cluster, namespace, "one", "cat", "/data/file")

    own_cluster.restart_volume_driver()
    kubelet = own_cluster.nodes[0].kubelet
    assert kubelet is not None
    kubelet.stop()
    kubelet.start()
    run_pod(own_cluster, volume_claim(namespace, "two"), pod(namespace, "two", write, claim="two"))

    assert execute(own_cluster, namespace, "one", "cat", "/data/file") == content
    after = run_pod(own_cluster, pod(namespace, "one", write, claim="one"))
    assert after == before


def test_two_nodes_share_pods_network_services_and_volumes(cluster_workdir: Path) -> None:
    with Cluster(cluster_workdir, nodes=2, image_names=[APPLICATION]) as cluster:
        cluster.kubectl("create", "namespace", "two")
        web = run_pod(cluster, service("two", "web", 8000), pod("two", "web", SERVE, node="node2"))
        client = run_pod(cluster, volume_claim("two", "data"), pod("two", "client", "true", claim="data", node="node1"))

        assert (web["node"], client["node"]) == ("node2", "node1")
        assert execute(cluster, "two", "client", "python3", "-c", FETCH, "http://web") == "served"
        other = run_pod(cluster, volume_claim("two", "more"), pod("two", "other", "true", claim="more", node="node2"))
        assert other["ip"].startswith("10.98.2.")
        assert cluster.kubectl("logs", "--namespace=two", "other") == "started\n"


def test_a_directory_with_something_else_in_it_is_refused(cluster_workdir: Path) -> None:
    precious = cluster_workdir / "volumes" / "precious" / "file"
    precious.parent.mkdir(parents=True)
    precious.write_text("precious")

    with pytest.raises(HarnessError, match="choose another workdir"):
        Cluster(cluster_workdir)

    assert precious.read_text() == "precious"


def left_behind(marker: str) -> list[str]:
    """Processes, mounts and control groups that name the marker."""
    found = subprocess.run(["pgrep", "-f", "-a", marker], capture_output=True, text=True).stdout.splitlines()
    mounts = [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if marker in line]
    return [*found, *mounts]


def network_namespaces() -> set[str]:
    found = set()
    for link in Path("/proc").glob("[0-9]*/ns/net"):
        try:
            found.add(os.readlink(link))
        except OSError:
            continue
    return found


def test_nothing_is_left_after_a_stop(cluster_workdir: Path) -> None:
    cluster = Cluster(cluster_workdir, image_names=[APPLICATION])
    with cluster:
        claim = volume_claim("default", "data")
        run_pod(cluster, claim, pod("default", "app", "true", claim="data"))
        inside = os.readlink(f"/proc/{cluster.nodes[0].machine.pid}/ns/net")
        assert left_behind(str(cluster_workdir))
        assert cgroup_directories(cluster.nodes[0].cgroup)

    assert left_behind(str(cluster_workdir)) == []
    assert inside not in network_namespaces()
    assert cgroup_directories(cluster.nodes[0].cgroup) == []
    left = {path for path in cluster_workdir.rglob("*") if not path.is_dir() and path.suffix != ".log"}
    assert left == {cluster_workdir / MARKER}


def test_a_killed_owner_takes_the_cluster_with_it_and_the_next_start_cleans_the_rest(cluster_workdir: Path) -> None:
    hold = [sys.executable, "-m", "pkg.testing.cluster_cli", "hold", "--workdir", str(cluster_workdir)]
    owner = subprocess.Popen([*hold, "--image", APPLICATION], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
    try:
        assert owner.stdout is not None
        assert "ready" in owner.stdout.readline()
        stale = Cluster.cgroup_name(cluster_workdir, "node1")
        assert cgroup_directories(stale)
    finally:
        owner.send_signal(signal.SIGKILL)
        owner.communicate()

    wait_until(lambda: not left_behind(str(cluster_workdir)), timeout_seconds=60, what="the end of all processes")
    swept = subprocess.run(
        [sys.executable, "-m", "pkg.testing.cluster_cli", "down", "--workdir", str(cluster_workdir)], cwd=REPOSITORY
    )
    assert swept.returncode == 0
    assert cgroup_directories(stale) == []
