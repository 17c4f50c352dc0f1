"""Restores with filters, twice, over what is there, and of pods that do not stay."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest

from pkg.testing.installation import Installation
from pkg.testing.processes import wait_until
from pkg.testing.workload import Workload, claim, controller, from_claim, pod, pod_template

PARTIALLY_FAILED = 2


@pytest.fixture
def workload(installation: Installation) -> Iterator[Workload]:
    """A pod `one` that mounts the claim `data`, and one with a claim of its own under another label."""
    made = Workload(installation.access, installation.nodes["node1"], f"odd-{secrets.token_hex(3)}")
    made.create(
        claim("data"),
        claim("other"),
        pod("one", pod_template(from_claim("data", "data"), labels={"app": "one"})),
        pod("two", pod_template(from_claim("other", "other"), labels={"app": "two"})),
    )
    for one in made.wait_running(2):
        made.shell(one, one["spec"]["volumes"][0]["name"], f"echo {one['metadata']['name']} > me")
    yield made
    installation.access.kubectl("delete", "namespace", made.namespace, "--wait=false", "--ignore-not-found")


def back_up(installation: Installation, workload: Workload, *options: str) -> str:
    name = f"b-{workload.namespace}"
    installation.ark("backup", "create", name, "--include-namespaces", workload.namespace, "--wait", *options)
    return name


def restore(installation: Installation, backup: str, *options: str) -> tuple[str, int]:
    name = f"r-{backup}-{secrets.token_hex(2)}"
    arguments = ("restore", "create", name, "--from-backup", backup, "--wait", "--timeout", "90s", *options)
    return name, installation.ark(*arguments, check=False).returncode


def delete_pod(workload: Workload, name: str) -> None:
    workload.access.kubectl("-n", workload.namespace, "delete", "pod", name, "--timeout=60s", timeout_seconds=70)


def test_a_restore_by_label_brings_the_claims_of_its_pods(installation: Installation, workload: Workload) -> None:
    backup = back_up(installation, workload)
    workload.delete()
    assert restore(installation, backup, "--selector", "app=one")[1] == 0
    (one,) = workload.wait_running(1)
    assert workload.shell(one, "data", "cat me") == "one\n"
    assert [found["metadata"]["name"] for found in workload.objects("pvc")] == ["data"]


def test_a_backup_by_label_can_be_restored(installation: Installation, workload: Workload) -> None:
    backup = back_up(installation, workload, "--selector", "app=two")
    workload.delete()
    assert restore(installation, backup)[1] == 0
    (two,) = workload.wait_running(1)
    assert workload.shell(two, "other", "cat me") == "two\n"


def test_a_claim_that_the_filters_leave_out_is_not_filled_and_that_is_said(
    installation: Installation, workload: Workload
) -> None:
    backup = back_up(installation, workload)
    delete_pod(workload, "one")
    name, code = restore(installation, backup, "--exclude-resources", "persistentvolumeclaims", "--selector", "app=one")
    assert code == 0
    warning = f"pods {workload.namespace}/one: volume data is not restored: the Restore leaves out claims or volumes"
    assert warning in installation.ark("restore", "describe", name).stdout


def test_a_restore_without_pods_says_that_the_claims_are_empty(installation: Installation, workload: Workload) -> None:
    backup = back_up(installation, workload)
    workload.delete()
    name, code = restore(installation, backup, "--exclude-resources", "pods")
    assert code == 0
    described = installation.ark("restore", "describe", name).stdout
    for claim_name in ("data", "other"):
        assert f"{workload.namespace}/{claim_name} is empty: its contents are in the backup" in described


def test_a_second_restore_of_the_same_backup_leaves_everything_as_it_is(
    installation: Installation, workload: Workload
) -> None:
    backup = back_up(installation, workload)
    workload.delete()
    assert restore(installation, backup)[1] == 0
    for one in workload.wait_running(2):
        workload.shell(one, one["spec"]["volumes"][0]["name"], "echo since then > news")
    name, code = restore(installation, backup)
    assert code == PARTIALLY_FAILED
    assert "existed already" in installation.ark("restore", "describe", name).stdout
    for one in workload.wait_running(2):
        assert workload.shell(one, one["spec"]["volumes"][0]["name"], "cat news") == "since then\n"


def test_a_pod_deleted_before_its_data_came_ends_the_restore_with_the_reason(
    installation: Installation, workload: Workload
) -> None:
    backup = back_up(installation, workload)
    workload.delete()
    name, agent = f"r-{backup}", installation.agents["node1"]
    agent.stop()
    try:
        installation.ark("restore", "create", name, "--from-backup", backup, "--selector", "app=one")
        label = f"ark.heptio.com/restore-name={name}"
        wait_until(
            lambda: installation.objects("podvolumerestores", selector=label),
            timeout_seconds=60,
            what="the volume's restore to be asked for",
        )
        delete_pod(workload, "one")
        wait_until(
            lambda: phase_of(installation, "restore", name) not in ("", "New", "InProgress"),
            timeout_seconds=60,
            what="the restore to end",
        )
    finally:
        agent.start()
        installation.wait_ready()
    assert phase_of(installation, "restore", name) == "PartiallyFailed"
    described = installation.ark("restore", "describe", name).stdout
    assert f"Pod {workload.namespace}/one, volume data: not restored: PodDeleted" in described
    (volume,) = installation.objects("podvolumerestores", selector=label)
    volume_name = str(volume["metadata"]["name"])  # type: ignore[index] # JSON
    wait_until(
        lambda: phase_of(installation, "podvolumerestore", volume_name) == "Failed",
        timeout_seconds=60,
        what="the volume's restore to end as well",
    )


def phase_of(installation: Installation, kind: str, name: str) -> str:
    status = installation.get(kind, name).get("status") or {}
    assert isinstance(status, dict)
    return str(status.get("phase", ""))


def test_a_claim_that_is_being_deleted_while_its_pod_runs_can_be_restored(
    installation: Installation, workload: Workload
) -> None:
    workload.access.kubectl("-n", workload.namespace, "delete", "pvc", "data", "--wait=false")
    backup = back_up(installation, workload)
    workload.delete()
    assert restore(installation, backup)[1] == 0
    one, _ = workload.wait_running(2)
    assert workload.shell(one, "data", "cat me") == "one\n"


def test_a_copy_in_another_namespace_of_a_stateful_set_can_be_backed_up_itself(
    installation: Installation, workload: Workload
) -> None:
    template = pod_template({"name": "data", "persistentVolumeClaim": {"claimName": "filled-in-by-the-set"}})
    template["spec"]["volumes"].clear()
    sets = controller("StatefulSet", "db", template, replicas=1, serviceName="db", volumeClaimTemplates=[claim("data")])
    workload.create(sets)
    database = next(one for one in workload.wait_running(3) if one["metadata"]["name"] == "db-0")
    workload.shell(database, "data", "echo original > file")
    backup = back_up(installation, workload)
    copy = Workload(installation.access, installation.nodes["node1"], f"{workload.namespace}-copy")
    mapping = f"{workload.namespace}:{copy.namespace}"
    assert restore(installation, backup, "--namespace-mappings", mapping)[1] == 0
    copied = next(one for one in copy.wait_running(3) if one["metadata"]["name"] == "db-0")
    assert copy.shell(copied, "data", "cat file") == "original\n"
    copy.shell(copied, "data", "echo changed > file")
    second = back_up(installation, copy)
    copy.delete()
    assert restore(installation, second)[1] == 0
    copied = next(one for one in copy.wait_running(3) if one["metadata"]["name"] == "db-0")
    assert copy.shell(copied, "data", "cat file") == "changed\n"
    assert workload.shell(database, "data", "cat file") == "original\n"
    copy.delete()
