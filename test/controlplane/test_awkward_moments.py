"""What happens meanwhile: the store goes away and comes back, an agent is asked to leave, an application lives on."""

from __future__ import annotations

import secrets
import signal
import time
from collections.abc import Iterator

import pytest

from pkg.testing.installation import Installation
from pkg.testing.minio import Minio
from pkg.testing.processes import wait_until
from pkg.testing.workload import Workload, claim, controller, from_claim, pod, pod_template

BIG = "for i in 1 2 3 4 5 6; do head -c 100000000 /dev/urandom > big$i; done"
DIGEST = "sha256sum * | sha256sum"
END_SECONDS = 180
PARTIALLY_FAILED = 2
AWAY_SECONDS = 6


@pytest.fixture
def workload(installation: Installation) -> Iterator[Workload]:
    made = Workload(installation.access, installation.nodes["node1"], f"odd-{secrets.token_hex(3)}")
    yield made
    installation.access.kubectl("delete", "namespace", made.namespace, "--wait=false", "--ignore-not-found")


def status_of(installation: Installation, kind: str, name: str) -> dict[str, object]:
    status = installation.get(kind, name).get("status") or {}
    assert isinstance(status, dict)
    return status


def wait_for_end(installation: Installation, kind: str, name: str) -> dict[str, object]:
    wait_until(
        lambda: status_of(installation, kind, name).get("phase") not in (None, "", "New", "InProgress"),
        timeout_seconds=END_SECONDS,
        what=f"{kind} {name} to end",
        watched=installation.processes,
    )
    return status_of(installation, kind, name)


def wait_for_bytes(installation: Installation, kind: str, selector: str) -> None:
    def moving() -> bool:
        for found in installation.objects(kind, selector=selector):
            status = found.get("status")
            progress = status.get("progress") if isinstance(status, dict) else None
            if isinstance(progress, dict) and progress.get("bytesDone"):
                return True
        return False

    wait_until(moving, timeout_seconds=60, what=f"bytes of {selector}")


def deploy_big(workload: Workload) -> str:
    workload.create(claim("data"), pod("one", pod_template(from_claim("data", "data"))))
    (one,) = workload.wait_running(1)
    workload.shell(one, "data", BIG)
    return workload.shell(one, "data", DIGEST)


def start_backup(installation: Installation, workload: Workload) -> str:
    name = f"b-{workload.namespace}"
    installation.ark("backup", "create", name, "--include-namespaces", workload.namespace)
    wait_for_bytes(installation, "podvolumebackups", f"ark.heptio.com/backup-name={name}")
    return name


def restore_and_compare(installation: Installation, workload: Workload, backup: str, digest: str) -> None:
    workload.delete()
    installation.ark("restore", "create", f"r-{backup}", "--from-backup", backup, "--wait")
    (one,) = workload.wait_running(1)
    assert workload.shell(one, "data", DIGEST) == digest


def test_a_store_that_goes_away_in_the_middle_and_comes_back_costs_nothing(
    installation: Installation, minio: Minio, workload: Workload
) -> None:
    digest = deploy_big(workload)
    backup = start_backup(installation, workload)
    minio.process.kill()
    try:
        time.sleep(AWAY_SECONDS)
    finally:
        minio.start()
    assert wait_for_end(installation, "backup", backup)["phase"] == "Completed"
    restore_and_compare(installation, workload, backup, digest)


def test_an_agent_that_is_asked_to_leave_leaves_its_work_to_the_next(
    installation: Installation, workload: Workload
) -> None:
    digest = deploy_big(workload)
    backup = start_backup(installation, workload)
    agent = installation.agents["node1"]
    agent.signal(signal.SIGTERM)
    code = agent.wait(110)
    agent.start()
    installation.wait_ready()
    assert code == 0
    assert wait_for_end(installation, "backup", backup)["phase"] == "Completed"
    restore_and_compare(installation, workload, backup, digest)


def test_a_running_application_is_not_filled_over(installation: Installation, workload: Workload) -> None:
    """The pod has another name by now, so it is not in the way of the restored one, but its claim is in use."""
    workload.create(
        claim("data"), controller("Deployment", "web", pod_template(from_claim("data", "data")), replicas=1)
    )
    (one,) = workload.wait_running(1)
    workload.shell(one, "data", "echo old > file")
    backup = f"b-{workload.namespace}"
    installation.ark("backup", "create", backup, "--include-namespaces", workload.namespace, "--wait")
    workload.access.kubectl("-n", workload.namespace, "delete", "pod", one["metadata"]["name"], "--timeout=60s")
    (one,) = workload.wait_running(1)
    workload.shell(one, "data", "echo new > file")
    arguments = ("restore", "create", f"r-{backup}", "--from-backup", backup, "--wait", "--timeout", "120s")
    done = installation.ark(*arguments, check=False)
    assert done.returncode == PARTIALLY_FAILED
    assert f"{workload.namespace}/data is in use by pod {one['metadata']['name']}" in done.stdout + done.stderr
    assert [found["metadata"]["name"] for found in workload.pods()] == [one["metadata"]["name"]]
    assert workload.shell(one, "data", "cat file") == "new\n"


@pytest.mark.parametrize("length", [200, 253])
def test_the_longest_names_are_taken_or_refused_in_words(
    installation: Installation, workload: Workload, length: int
) -> None:
    workload.namespace = f"{workload.namespace}-{'n' * 63}"[:63]
    long = f"p-{'o' * 250}"[:200]
    workload.create(claim(long), pod(long, pod_template(from_claim("v" * 63, long))))
    (one,) = workload.wait_running(1)
    workload.shell(one, "v" * 63, "echo kept > file")
    backup = f"{workload.namespace}-{'b' * 253}"[:length]
    options = ("--include-namespaces", workload.namespace, "--wait", "--timeout", "60s")
    done = installation.ark("backup", "create", backup, *options, check=False)
    if done.returncode:
        assert (length, done.returncode) == (253, 3), done.stdout + done.stderr
        assert "the name is too long" in done.stdout + done.stderr
        return
    workload.delete()
    restore = f"{workload.namespace}-{'r' * 253}"[:length]
    installation.ark("restore", "create", restore, "--from-backup", backup, "--wait", "--timeout", "90s")
    (one,) = workload.wait_running(1)
    assert workload.shell(one, "v" * 63, "cat file") == "kept\n"
    assert "Completed" in installation.ark("backup", "describe", backup, "--details").stdout
    assert "Restore ended" in installation.ark("restore", "logs", restore).stdout


@pytest.fixture
def other_prefix(installation: Installation) -> Iterator[str]:
    """The Config names another place in the bucket; it is put back at the end."""
    prefix = f"moved-{secrets.token_hex(3)}"
    installation.apply_config(prefix=prefix)
    yield prefix
    installation.apply_config()
    wait_until(
        lambda: small_backup(installation, f"b-{secrets.token_hex(3)}", "default") == 0,
        timeout_seconds=60,
        what="the Config to be in force again",
    )


def small_backup(installation: Installation, name: str, namespace: str) -> int:
    options = ("--include-namespaces", namespace, "--wait", "--timeout", "60s")
    return installation.ark("backup", "create", name, *options, check=False).returncode


@pytest.fixture
def deployed(installation: Installation, workload: Workload) -> Workload:
    """A workload that was backed up once, before anything moved."""
    workload.create(claim("data"), pod("one", pod_template(from_claim("data", "data"))))
    (one,) = workload.wait_running(1)
    workload.shell(one, "data", "echo kept > file")
    assert small_backup(installation, f"b0-{workload.namespace}", workload.namespace) == 0
    return workload


def test_after_a_change_of_place_no_backup_lies_in_two_places(
    installation: Installation, deployed: Workload, other_prefix: str
) -> None:
    namespace = deployed.namespace
    names = iter(range(1, 100))
    wait_until(
        lambda: small_backup(installation, f"b{next(names)}-{namespace}", namespace) == PARTIALLY_FAILED,
        timeout_seconds=60,
        what="the new Config to be in force",
    )
    last = f"b{next(names) - 1}-{namespace}"
    message = str(status_of(installation, "backup", last)["message"])
    assert f"{other_prefix}/restic/{namespace}" in message
    assert f"delete resticrepository {namespace}" in message
    installation.access.kubectl("-n", "heptio-ark", "delete", "resticrepository", namespace)
    assert small_backup(installation, f"moved-{namespace}", namespace) == 0
    restore_and_read(installation, deployed, f"moved-{namespace}")


def restore_and_read(installation: Installation, workload: Workload, backup: str) -> None:
    workload.delete()
    installation.ark("restore", "create", f"r-{backup}", "--from-backup", backup, "--wait")
    (one,) = workload.wait_running(1)
    assert workload.shell(one, "data", "cat file") == "kept\n"
