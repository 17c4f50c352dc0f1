"""The manifests as shipped, on a real kubelet: what only a real node shows."""

import json
import re
import secrets
import sys
from collections.abc import Iterator

import pytest

from pkg.testing.assets import REPOSITORY
from pkg.testing.cluster import Cluster
from pkg.testing.command_line import ark
from pkg.testing.images import APPLICATION_IMAGE

EXECUTE = """
import sys
from pkg.kube.exec import exec_in_pod
from pkg.kube.transport import load_transport
done = exec_in_pod(load_transport(), sys.argv[1], "web", "web", ["sh", "-c", "echo out; echo err >&2; exit 7"], 30)
print(done.exit_code, done.stdout.decode().strip(), done.stderr.decode().strip())
"""


@pytest.fixture(scope="module")
def application(shipped: Cluster) -> Iterator[str]:
    namespace = f"app-{secrets.token_hex(3)}"
    shipped.kubectl("create", "namespace", namespace)
    annotations = {"backup.ark.heptio.com/backup-volumes": "scratch"}
    shipped.kubectl("wait", "--for=create", "serviceaccount/default", "-n", namespace, "--timeout=50s")
    shipped.apply(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "web", "namespace": namespace, "annotations": annotations},
            "spec": {
                "terminationGracePeriodSeconds": 1,
                "containers": [
                    {
                        "name": "web",
                        "image": APPLICATION_IMAGE,
                        "command": ["sh", "-c", "echo kept > /scratch/file; sleep 3600"],
                        "volumeMounts": [{"name": "scratch", "mountPath": "/scratch"}],
                    }
                ],
                "volumes": [{"name": "scratch", "emptyDir": {}}],
            },
        }
    )
    shipped.kubectl("wait", "--for=condition=Ready", "pod/web", "-n", namespace, "--timeout=120s", timeout_seconds=130)
    yield namespace
    shipped.kubectl("delete", "namespace", namespace, "--wait=false")


def test_a_log_is_read_through_a_port_forward_where_the_store_cannot_be_reached(
    shipped: Cluster, application: str
) -> None:
    name = f"b-{application}"
    ark(shipped, "backup", "create", name, "--include-namespaces", application, "--wait")
    assert "Volume captured" in ark(shipped, "backup", "logs", name)
    events = ("get", "events", "-n", "heptio-ark", f"--field-selector=involvedObject.name={name},reason=FileRead")
    assert f"BackupLog of {name} is read" in shipped.kubectl(*events, "-o", "custom-columns=:message")


def test_a_command_runs_in_a_container_with_its_streams_and_exit_code(shipped: Cluster, application: str) -> None:
    done = shipped.run(
        sys.executable, "-c", EXECUTE, application, environment={"PYTHONPATH": str(REPOSITORY)}, timeout_seconds=60
    )
    assert done.stdout.split() == ["7", "out", "err"], done.stderr


def test_server_and_agents_serve_their_metrics_and_log_in_logfmt(shipped: Cluster) -> None:
    for workload in ("deployment/ark", "daemonset/restic"):
        script = "import urllib.request; print(urllib.request.urlopen('http://127.0.0.1:8085/metrics').read().decode())"
        found = shipped.kubectl("exec", "-n", "heptio-ark", workload, "--", "/opt/ark/bin/python", "-c", script)
        assert "workqueue_depth" in found
        assert "level=info" in shipped.kubectl("logs", "-n", "heptio-ark", workload)


def test_a_repository_is_read_in_the_servers_pod_and_knows_its_holders_by_their_hosts(
    shipped: Cluster, application: str
) -> None:
    ark(shipped, "backup", "create", f"r-{application}", "--include-namespaces", application, "--wait")
    assert "/file" in ark(shipped, "restic", "exec", application, "--", "ls", "latest", "--json")
    assert ark(shipped, "restic", "repo", "locks", application) == ""
    text = shipped.kubectl(
        "get", "resticrepository", application, "-n", "heptio-ark", "-o", "jsonpath={.status.holders}"
    )
    holders = list(json.loads(text).values())
    assert holders
    assert all(holder["host"] == holder["pod"] for holder in holders), (
        "what restic writes into its locks is the pod's name"
    )


def test_an_agent_that_is_asked_to_stop_ends_in_order_within_its_grace(shipped: Cluster) -> None:
    shipped.kubectl("delete", "pod", "-n", "heptio-ark", "-l", "name=restic", "--timeout=60s", timeout_seconds=70)
    shipped.kubectl("rollout", "status", "daemonset/restic", "-n", "heptio-ark", "--timeout=60s", timeout_seconds=70)


def test_what_a_deleted_backup_held_is_forgotten_and_freed_by_a_job(shipped: Cluster, application: str) -> None:
    inside = ("exec", "-n", application, "web", "--", "sh", "-c")
    shipped.kubectl(*inside, "head -c 3000000 /dev/urandom > /scratch/only")
    name = f"old-{application}"
    ark(shipped, "backup", "create", name, "--include-namespaces", application, "--wait")
    shipped.kubectl(*inside, "rm /scratch/only")
    ark(shipped, "backup", "delete", name, "--confirm", "--wait")
    said = ark(shipped, "restic", "repo", "maintain", application, "--forget", "--prune", "--wait")
    assert re.search(r"^Completed: forget: 1 snapshots forgotten; prune: removed [1-9]", said, re.M), said
