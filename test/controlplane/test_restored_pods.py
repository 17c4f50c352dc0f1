"""What happens in and around restored pods: commands after the restore, and pods that lose what they wait for."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator

import pytest

from pkg.apis.meta import JsonObject
from pkg.restore.fields import objects_at, text_at, texts_at, value_at
from pkg.testing.application import Application
from pkg.testing.installation import NAMESPACE, Installation
from pkg.testing.processes import wait_until
from pkg.testing.workload import Workload, claim, controller, from_claim, pod_template

HOOK = "post.hook.restore.ark.heptio.com/"
OPTED_IN = {"backup.ark.heptio.com/backup-volumes": "data"}
# `scratch` is not captured; it keeps what was run.
TELL = 'cat "$VOLUME_data/file" >> "$VOLUME_scratch/journal"'
TERMINAL = ("Completed", "PartiallyFailed", "Failed", "FailedValidation")


def shell(script: str) -> list[str]:
    return ["sh", "-c", script]


def application(installation: Installation, **annotations: str) -> Application:
    """One with a file, backed up as `b-<namespace>`."""
    own = {**OPTED_IN, **{f"{HOOK}{key}": value for key, value in annotations.items()}}
    name = f"pods-{secrets.token_hex(3)}"
    made = Application(installation.access, installation.nodes["node1"], name, annotations=own)
    made.deploy()
    made.shell("data", "echo precious > file")
    installation.ark("backup", "create", f"b-{name}", "--include-namespaces", name, "--wait")
    return made


@pytest.fixture(scope="module")
def told(installation: Installation) -> Iterator[Application]:
    made = application(installation, command=json.dumps(shell(TELL)))
    yield made
    remove(installation, made)


@pytest.fixture(scope="module")
def plain(installation: Installation) -> Iterator[Application]:
    made = application(installation)
    yield made
    remove(installation, made)


def remove(installation: Installation, made: Application) -> None:
    installation.access.kubectl("delete", "namespace", made.namespace, "--wait=false")


def restore_copy(installation: Installation, made: Application, **spec: object) -> tuple[str, Application]:
    """Begins a restore into a new namespace; returns the Restore's name and what will be there."""
    target = f"{made.namespace}-{secrets.token_hex(2)}"
    restore = {
        "apiVersion": "ark.heptio.com/v1",
        "kind": "Restore",
        "metadata": {"name": f"r-{target}", "namespace": NAMESPACE},
        "spec": {"backupName": f"b-{made.namespace}", "namespaceMapping": {made.namespace: target}, **spec},
    }
    installation.access.apply(restore)
    return f"r-{target}", Application(installation.access, installation.nodes["node1"], target)


def read(installation: Installation, kind: str, name: str, namespace: str = NAMESPACE) -> JsonObject:
    text = installation.access.kubectl("get", kind, name, "-n", namespace, "-o", "json", "--ignore-not-found")
    found: JsonObject = json.loads(text or "{}")
    return found


def wait_for_end(installation: Installation, name: str) -> JsonObject:
    wait_until(
        lambda: text_at(read(installation, "restore", name), "status", "phase") in TERMINAL,
        timeout_seconds=90,
        what=f"Restore {name} to end",
        watched=installation.processes,
    )
    return read(installation, "restore", name)


def test_a_command_runs_once_in_the_restored_pod_when_its_data_is_there(
    installation: Installation, told: Application
) -> None:
    name, copy = restore_copy(installation, told)
    assert text_at(wait_for_end(installation, name), "status", "phase") == "Completed"
    assert copy.shell("scratch", "cat journal") == "precious\n"
    noted = texts_at(read(installation, "pod", "web", copy.namespace), "metadata", "annotations")
    assert json.loads(noted["restore.ark.heptio.com/hooks-run"])["done"] == 1
    assert 'msg="Hook ended"' in installation.ark("restore", "logs", name).stdout
    assert told.shell("scratch", "ls") == ""
    remove(installation, copy)


def test_a_command_that_fails_is_an_error_with_its_output_in_the_log(
    installation: Installation, plain: Application
) -> None:
    failing = {"exec": {"command": shell("echo no schema here >&2; exit 3")}}
    hooks = {"resources": [{"name": "schema", "postHooks": [failing]}]}
    name, copy = restore_copy(installation, plain, hooks=hooks)
    status = wait_for_end(installation, name)
    assert (text_at(status, "status", "phase"), text_at(status, "status", "reason")) == (
        "PartiallyFailed",
        "HookFailed",
    )
    described = installation.ark("restore", "describe", name).stdout
    assert "HookFailed: failed with exit code 3; its output is in the log of the restore" in described
    assert "no schema here" in installation.ark("restore", "logs", name).stdout
    remove(installation, copy)


def test_of_two_restores_of_one_backup_at_once_one_fills_the_volume_and_the_other_says_why_not(
    installation: Installation, plain: Application
) -> None:
    first, copy = restore_copy(installation, plain)
    second = f"{first}-again"
    restore = read(installation, "restore", first)
    installation.access.apply({**restore, "metadata": {"name": second, "namespace": NAMESPACE}, "status": None})
    ends = {name: wait_for_end(installation, name) for name in (first, second)}
    assert sorted(text_at(one, "status", "phase") for one in ends.values()) == ["Completed", "PartiallyFailed"]
    (refused,) = [name for name, one in ends.items() if text_at(one, "status", "phase") == "PartiallyFailed"]
    assert "existed already" in installation.ark("restore", "describe", refused).stdout
    label = f"ark.heptio.com/restore-name in ({first},{second})"
    assert len(installation.objects("podvolumerestores", selector=label)) == 1
    copy.wait_running()
    assert copy.shell("data", "cat file") == "precious\n"
    remove(installation, copy)


def test_a_pod_whose_data_will_not_come_is_told_though_no_agent_runs(
    installation: Installation, plain: Application
) -> None:
    agent = installation.agents["node1"]
    agent.stop()
    try:
        name, copy = restore_copy(installation, plain)
        wait_until(
            lambda: waits(read(installation, "pod", "web", copy.namespace)),
            timeout_seconds=60,
            what="the restored pod to wait for its data",
        )
        installation.access.kubectl(
            "patch", "restore", name, "-n", NAMESPACE, "--type=merge", "-p", '{"spec":{"cancel":true}}'
        )
        assert text_at(wait_for_end(installation, name), "status", "reason") == "Canceled"
        wait_until(
            lambda: has_failed(read(installation, "pod", "web", copy.namespace)),
            timeout_seconds=60,
            what="restic-wait to end",
        )
    finally:
        agent.start()
        installation.wait_ready()
    pod = read(installation, "pod", "web", copy.namespace)
    assert "Canceled" in texts_at(pod, "metadata", "annotations")["restore.ark.heptio.com/given-up"]
    assert text_at(pod, "status", "phase") == "Pending"
    remove(installation, copy)


def waits(pod: JsonObject) -> bool:
    return any(value_at(one, "state", "running") is not None for one in restic_wait(pod))


def has_failed(pod: JsonObject) -> bool:
    return any(one.get("restartCount") for one in restic_wait(pod))


def restic_wait(pod: JsonObject) -> list[JsonObject]:
    found = objects_at(pod, "status", "initContainerStatuses")
    return [one for one in found if one.get("name") == "restic-wait"]


def test_a_pod_that_its_controller_does_not_want_is_told_with_what_to_do(
    installation: Installation, workload: Workload
) -> None:
    """A Deployment that was only scaled down takes the restored pod for its own, and for one too many."""
    kubectl, namespace = installation.access.kubectl, workload.namespace
    installation.ark("backup", "create", f"b-{namespace}", "--include-namespaces", namespace, "--wait")
    kubectl("-n", namespace, "scale", "deployment", "web", "--replicas=0")
    wait_until(lambda: not workload.objects("pods"), timeout_seconds=60, what="the pods to go")
    name = f"r-{namespace}"
    installation.ark("restore", "create", name, "--from-backup", f"b-{namespace}")
    status = wait_for_end(installation, name)
    assert (text_at(status, "status", "phase"), text_at(status, "status", "reason")) == (
        "PartiallyFailed",
        "VolumesMissing",
    )
    described = installation.ark("restore", "describe", name).stdout
    assert "volume data: not restored: PodDeleted: " in described
    assert "delete the controller and the claim, and restore again" in described
    kubectl("-n", namespace, "delete", "deployment", "web", "--timeout=30s")
    kubectl("-n", namespace, "delete", "pvc", "data", "--timeout=30s")
    installation.ark("restore", "create", f"{name}-again", "--from-backup", f"b-{namespace}", "--wait")
    (pod,) = workload.wait_running(1)
    assert workload.shell(pod, "data", "cat file") == "precious\n"


@pytest.fixture
def workload(installation: Installation) -> Iterator[Workload]:
    """A Deployment of one pod with a file in a claim."""
    made = Workload(installation.access, installation.nodes["node1"], f"pods-{secrets.token_hex(3)}")
    made.create(claim("data"), controller("Deployment", "web", pod_template(from_claim("data", "data"))))
    (pod,) = made.wait_running(1)
    made.shell(pod, "data", "echo precious > file")
    yield made
    installation.access.kubectl("delete", "namespace", made.namespace, "--wait=false")
