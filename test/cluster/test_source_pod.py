"""A pod that goes away during its backup: real volumes of a CSI driver, and a real kubelet that must unmount them.

A process of the agent inside the volume makes the unmount fail with EBUSY and keeps pod and namespace Terminating. To
make it hard the object store stops answering in mid-transfer: restic can neither go on, nor give its lock back and end.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pkg.testing.cluster import Cluster
from pkg.testing.command_line import ark
from pkg.testing.images import APPLICATION_IMAGE
from pkg.testing.processes import wait_until

LET_GO_SECONDS = 30 + 15  # restic has 20 s to end; and what the machine of the test may add
UNMOUNTED_SECONDS = 120  # the kubelet tries again after 0.5, 1, 2, 4 … s
ENDED_SECONDS = 120
FILL = ("sh", "-c", "head -c 200000000 /dev/urandom > /data/blob")
SERVER = ("minio", "server", ":9000", "/storage")


def processes(cluster: Cluster, *words: str) -> list[int]:
    """The processes in the cluster's containers whose command line has all of these words."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            is_inside = cluster.nodes[0].cgroup in (entry / "cgroup").read_text()
        except OSError:
            continue
        if is_inside and all(word in line for word in words):
            found.append(int(entry.name))
    return found


@contextmanager
def silent_store(cluster: Cluster) -> Iterator[None]:
    """The store takes connections and says nothing."""
    servers = processes(cluster, *SERVER)
    assert servers
    for pid in servers:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in servers:
            os.kill(pid, signal.SIGCONT)


def deploy(cluster: Cluster, namespace: str) -> None:
    """A Deployment with a claim; its pod is replaced when it goes away."""
    pod = {
        "containers": [
            {
                "name": "shop",
                "image": APPLICATION_IMAGE,
                "command": ["bash", "-c", "echo kept > /data/file; trap exit TERM; sleep infinity & wait"],
                "volumeMounts": [{"name": "data", "mountPath": "/data"}],
            }
        ],
        "terminationGracePeriodSeconds": 1,
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}],
    }
    labels = {"app": "shop"}
    template = {
        "metadata": {"labels": labels, "annotations": {"backup.ark.heptio.com/backup-volumes": "data"}},
        "spec": pod,
    }
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    metadata = {"namespace": namespace}
    cluster.kubectl("create", "namespace", namespace)
    cluster.apply(
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {**metadata, "name": "data"},
            "spec": claim,
        }
    )
    cluster.apply(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {**metadata, "name": "shop"},
            "spec": {"selector": {"matchLabels": labels}, "template": template},
        }
    )


@pytest.fixture
def applications(shipped: Cluster) -> Iterator[tuple[str, str]]:
    """Two namespaces, each with a running pod and its volume."""
    names = (f"stays-{secrets.token_hex(3)}", f"goes-{secrets.token_hex(3)}")
    for name in names:
        deploy(shipped, name)
    for name in names:
        shipped.kubectl("rollout", "status", "deployment/shop", "-n", name, "--timeout=60s", timeout_seconds=70)
    yield names
    for name in names:
        shipped.kubectl("delete", "namespace", name, "--wait=false", "--ignore-not-found")


def captures(cluster: Cluster, backup: str) -> list[dict[str, dict[str, object]]]:
    """The PodVolumeBackups of a backup, in the order of their names."""
    selector = f"--selector=ark.heptio.com/backup-name={backup}"
    shown = cluster.kubectl("get", "podvolumebackups", "-n", "heptio-ark", selector, "-o", "json")
    items: list[dict[str, dict[str, object]]] = json.loads(shown)["items"]
    return sorted(items, key=lambda item: str(item["metadata"]["name"]))


def endings(cluster: Cluster, backup: str, namespace: str) -> list[tuple[object, object]]:
    """Phase and reason of a namespace's captures."""
    found = []
    for item in captures(cluster, backup):
        pod, status = item["spec"]["pod"], item["status"]
        if isinstance(pod, dict) and pod["namespace"] == namespace:
            found.append((status.get("phase"), status.get("reason", "")))
    return found


def pod_names(cluster: Cluster, namespace: str) -> set[str]:
    return set(cluster.kubectl("get", "pods", "-n", namespace, "-o", "name").split())


def exists(cluster: Cluster, namespace: str) -> bool:
    return bool(cluster.kubectl("get", "namespace", namespace, "--ignore-not-found", "-o", "name"))


def phase(cluster: Cluster, backup: str) -> str:
    return cluster.kubectl("get", "backup", backup, "-n", "heptio-ark", "-o", "jsonpath={.status.phase}")


def restics(cluster: Cluster, backup: str) -> list[int]:
    """The processes that capture volumes for a backup."""
    uids = [str(item["metadata"]["uid"]) for item in captures(cluster, backup)]
    return [pid for uid in uids for pid in processes(cluster, "restic backup", f"pvb-uid={uid}")]


@pytest.mark.timeout(360)
def test_a_pod_that_goes_away_is_let_go_and_its_volume_captured_in_the_pod_that_follows(
    shipped: Cluster, applications: tuple[str, str]
) -> None:
    stays, goes = applications
    included = ("--include-namespaces", ",".join(applications))
    ark(shipped, "backup", "create", f"first-{stays}", *included, "--wait")  # from now on repositories are there
    for name in applications:
        shipped.kubectl("exec", "-n", name, "deployment/shop", "--", *FILL)
    (leaving,) = pod_names(shipped, stays)

    backup = f"second-{stays}"
    ark(shipped, "backup", "create", backup, *included)
    wait_until(lambda: restics(shipped, backup), timeout_seconds=ENDED_SECONDS, what="a transfer")
    with silent_store(shipped):
        wait_until(lambda: len(restics(shipped, backup)) == 2, timeout_seconds=ENDED_SECONDS, what="both transfers")
        shipped.kubectl("delete", "-n", stays, leaving, "--wait=false")
        shipped.kubectl("delete", "namespace", goes, "--wait=false")
        wait_until(
            lambda: endings(shipped, backup, goes) == [("Failed", "PodDeleted")],
            timeout_seconds=LET_GO_SECONDS,
            what="the volumes to be let go",
        )
        wait_until(
            lambda: leaving not in pod_names(shipped, stays) and not exists(shipped, goes),
            timeout_seconds=UNMOUNTED_SECONDS,
            what="the pod and the other namespace to be gone",
        )
    wait_until(
        lambda: phase(shipped, backup) not in ("New", "InProgress"), timeout_seconds=ENDED_SECONDS, what="its end"
    )

    assert endings(shipped, backup, stays) == [("Failed", "PodDeleted"), ("Completed", "")]
    assert endings(shipped, backup, goes) == [("Failed", "PodDeleted")]
    assert phase(shipped, backup) == "Completed"  # what went away with its claim is a warning
