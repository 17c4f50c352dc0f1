"""Applications whose pods belong to controllers, share claims, or come with claims of their own."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from typing import Any

import pytest

from pkg.testing.installation import Installation
from pkg.testing.standin_storage import WAITING
from pkg.testing.workload import Workload, claim, controller, from_claim, pod, pod_template, scratch

BACKUP_SELECTOR = "ark.heptio.com/backup-name"


@pytest.fixture
def workload(installation: Installation) -> Iterator[Workload]:
    made = Workload(installation.access, installation.nodes["node1"], f"odd-{secrets.token_hex(3)}")
    yield made
    installation.access.kubectl("delete", "namespace", made.namespace, "--wait=false", "--ignore-not-found")


def back_up(installation: Installation, workload: Workload, name: str = "") -> str:
    name = name or f"b-{workload.namespace}"
    installation.ark("backup", "create", name, "--include-namespaces", workload.namespace, "--wait")
    return name


def restore(installation: Installation, backup: str, *options: str) -> str:
    name = f"r-{backup}-{secrets.token_hex(2)}"
    done = installation.ark("restore", "create", name, "--from-backup", backup, "--wait", *options)
    assert "Completed" in done.stdout
    return name


def ledger(installation: Installation, backup: str) -> dict[str, Any]:
    volumes: dict[str, Any] = installation.get("backup", backup)["status"]["volumes"]  # type: ignore[index] # JSON
    return volumes


def waits(found: dict[str, Any]) -> int:
    """How many restic-wait containers a pod has."""
    return sum(one["name"] == "restic-wait" for one in found["spec"].get("initContainers", ()))


def test_replicas_that_share_a_claim_and_have_scratch_space_of_their_own(
    installation: Installation, workload: Workload
) -> None:
    template = pod_template(from_claim("data", "shared"), scratch("own"))
    workload.create(claim("shared"), controller("Deployment", "web", template, replicas=2))
    first, second = workload.wait_running(2)
    workload.shell(first, "data", "echo both > file")
    for one in (first, second):
        workload.shell(one, "own", f"echo {one['metadata']['name']} > me")
    backup = back_up(installation, workload)
    assert len(installation.objects("podvolumebackups", selector=f"{BACKUP_SELECTOR}={backup}")) == 3
    workload.delete()
    restore(installation, backup)
    pods = workload.wait_running(2)
    assert [one["metadata"]["name"] for one in pods] == [one["metadata"]["name"] for one in (first, second)]
    for one in pods:
        assert workload.shell(one, "data", "cat file") == "both\n"
        assert workload.shell(one, "own", "cat me").strip() == one["metadata"]["name"]
        assert one["metadata"]["ownerReferences"][0]["kind"] == "ReplicaSet"


def test_each_replica_of_a_stateful_set_gets_its_own_claim_back(installation: Installation, workload: Workload) -> None:
    template = pod_template({"name": "data", "persistentVolumeClaim": {"claimName": "filled-in-by-the-set"}})
    template["spec"]["volumes"].clear()
    stateful = controller(
        "StatefulSet", "db", template, replicas=2, serviceName="db", volumeClaimTemplates=[claim("data")]
    )
    workload.create(stateful)
    for one in workload.wait_running(2):
        workload.shell(one, "data", f"echo {one['metadata']['name']} > me")
    backup = back_up(installation, workload)
    assert ledger(installation, backup)["captured"] == 2
    workload.delete()
    restore(installation, backup)
    pods = workload.wait_running(2)
    assert [workload.shell(one, "data", "cat me").strip() for one in pods] == ["db-0", "db-1"]
    assert [one["metadata"]["ownerReferences"][0]["kind"] for one in pods] == ["StatefulSet"] * 2


def test_scratch_space_of_a_daemon_set_comes_back(installation: Installation, workload: Workload) -> None:
    workload.create(controller("DaemonSet", "agent", pod_template(scratch("cache"))))
    (one,) = workload.wait_running(1)
    workload.shell(one, "cache", "echo warm > file")
    backup = back_up(installation, workload)
    workload.delete()
    restore(installation, backup)
    (again,) = workload.wait_running(1)
    assert again["metadata"]["name"] == one["metadata"]["name"]
    assert workload.shell(again, "cache", "cat file") == "warm\n"


def test_a_running_job_goes_on_with_its_data(installation: Installation, workload: Workload) -> None:
    template = pod_template(from_claim("work", "work"), restartPolicy="Never")
    workload.create(claim("work"), controller("Job", "crunch", template, group="batch/v1"))
    (one,) = workload.wait_running(1)
    workload.shell(one, "work", "echo half > done")
    backup = back_up(installation, workload)
    workload.delete()
    restore(installation, backup)
    (again,) = workload.wait_running(1)
    assert workload.shell(again, "work", "cat done") == "half\n"
    assert again["metadata"]["name"] == one["metadata"]["name"]
    assert again["metadata"]["ownerReferences"][0]["kind"] == "Job"


def test_an_ephemeral_volume_comes_back(installation: Installation, workload: Workload) -> None:
    spec = claim("unused")["spec"]
    template = pod_template({"name": "big", "ephemeral": {"volumeClaimTemplate": {"spec": spec}}})
    workload.create(pod("one", template))
    (one,) = workload.wait_running(1)
    workload.shell(one, "big", "echo kept > file")
    backup = back_up(installation, workload)
    workload.delete()
    restore(installation, backup)
    (again,) = workload.wait_running(1)
    assert workload.shell(again, "big", "cat file") == "kept\n"


def test_a_claim_that_waits_for_its_first_consumer_is_bound_and_filled(
    installation: Installation, workload: Workload
) -> None:
    template = pod_template(from_claim("data", "late"), nodeSelector={"kubernetes.io/hostname": "node1"})
    workload.create(claim("late", storage_class=WAITING), pod("one", template))
    (one,) = workload.wait_running(1)
    workload.shell(one, "data", "echo kept > file")
    backup = back_up(installation, workload)
    workload.delete()
    restore(installation, backup)
    (again,) = workload.wait_running(1)
    assert workload.shell(again, "data", "cat file") == "kept\n"


def test_init_containers_run_after_the_data_is_there_and_their_volumes_count(
    installation: Installation, workload: Workload
) -> None:
    template = pod_template(from_claim("data", "data"), scratch("prepared"))
    template["spec"]["containers"][0]["volumeMounts"].pop()
    mounts = [{"name": "prepared", "mountPath": "/prepared"}]
    template["spec"]["initContainers"] = [{"name": "prepare", "image": "none", "volumeMounts": mounts}]
    workload.create(claim("data"), pod("one", template))
    (one,) = workload.wait_running(1)
    workload.shell(one, "prepared", "echo only the init container mounts this > file")
    backup = back_up(installation, workload)
    assert ledger(installation, backup)["captured"] == 2
    workload.delete()
    restore(installation, backup)
    (again,) = workload.wait_running(1)
    assert [one["name"] for one in again["spec"]["initContainers"]] == ["restic-wait", "prepare"]
    assert "only" in workload.shell(again, "prepared", "cat file")


def test_a_restored_application_is_backed_up_and_restored_again_without_anything_left_over(
    installation: Installation, workload: Workload
) -> None:
    template = pod_template(from_claim("data", "data"), scratch("own"))
    workload.create(claim("data"), controller("Deployment", "web", template, replicas=1))
    (one,) = workload.wait_running(1)
    workload.shell(one, "data", "echo 1 > generation")
    backups = []
    for number in (1, 2, 3):
        backups.append(back_up(installation, workload, f"b{number}-{workload.namespace}"))
        assert ledger(installation, backups[-1])["captured"] == 2
        workload.delete()
        restore(installation, backups[-1])
        (one,) = workload.wait_running(1)
        assert waits(one) == 1
        volumes = [volume["name"] for volume in one["spec"]["volumes"]]
        assert sorted(volumes) == sorted(set(volumes))
        assert not [key for key in one["metadata"]["annotations"] if key.startswith("snapshot.ark")]
        assert workload.shell(one, "data", "cat generation") == f"{number}\n"
        workload.shell(one, "data", f"echo {number + 1} > generation")
    # The oldest is still what it was, whatever was backed up since.
    workload.delete()
    restore(installation, backups[0])
    (one,) = workload.wait_running(1)
    assert workload.shell(one, "data", "cat generation") == "1\n"


def test_a_namespace_with_pod_security_limits_and_a_quota_comes_back(
    installation: Installation, workload: Workload
) -> None:
    labels = {
        "pod-security.kubernetes.io/enforce": "restricted",
        "pod-security.kubernetes.io/enforce-version": "latest",
    }
    limit_range = {
        "apiVersion": "v1",
        "kind": "LimitRange",
        "metadata": {"name": "limits"},
        "spec": {"limits": [{"type": "Container", "default": {"cpu": "1", "memory": "256Mi"}}]},
    }
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "quota"},
        "spec": {"hard": {"pods": "1", "requests.cpu": "2", "limits.memory": "512Mi"}},
    }
    template = pod_template(
        from_claim("data", "data"),
        securityContext={"runAsNonRoot": True, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}},
    )
    template["spec"]["containers"][0]["securityContext"] = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }
    workload.create(limit_range, quota, claim("data"), pod("one", template), labels=labels)
    (one,) = workload.wait_running(1)
    workload.shell(one, "data", "echo kept > file")
    backup = back_up(installation, workload)
    workload.delete()
    restore(installation, backup)
    (again,) = workload.wait_running(1)
    assert workload.shell(again, "data", "cat file") == "kept\n"
    assert again["status"].get("qosClass") == one["status"].get("qosClass")
    found = json.loads(installation.access.kubectl("get", "namespace", workload.namespace, "-o", "json"))
    assert labels.items() <= found["metadata"]["labels"].items()
