"""Locks for real: whose are removed, whose are not, and what operators see and do."""

from __future__ import annotations

import base64
import json
import os
import secrets
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NoReturn

import pytest

from pkg.apis.names import CREDENTIALS_SECRET
from pkg.cli.ark import run
from pkg.cli.client import Connection
from pkg.cli.flags import ClusterFlags
from pkg.kube.client import Client
from pkg.testing.application import Application
from pkg.testing.assets import binary
from pkg.testing.installation import NAMESPACE, Installation, named_host
from pkg.testing.processes import wait_until

TERMINAL = ("Completed", "PartiallyFailed", "Failed", "FailedValidation")
BIG = "for i in 1 2 3; do head -c 100000000 /dev/urandom > big$i; done"


@pytest.fixture
def application(installation: Installation) -> Iterator[Application]:
    annotations = {"backup.ark.heptio.com/backup-volumes": "data"}
    name = f"locks-{secrets.token_hex(3)}"
    made = Application(installation.access, installation.nodes["node1"], name, annotations=annotations)
    made.deploy()
    yield made
    installation.access.kubectl("delete", "namespace", made.namespace, "--wait=false")


def environment_of(installation: Installation, namespace: str) -> dict[str, str]:
    """What a person with the password would give to restic."""
    secret = installation.get("secret", CREDENTIALS_SECRET)["data"]
    repository = installation.get("resticrepository", namespace)["spec"]
    assert isinstance(secret, dict)
    assert isinstance(repository, dict)
    return {
        **os.environ,
        "AWS_SHARED_CREDENTIALS_FILE": str(installation.credentials_files()[0]),
        "RESTIC_PASSWORD": base64.b64decode(secret["repository-password"]).decode(),
        "RESTIC_REPOSITORY": str(repository["resticIdentifier"]),
    }


def restic(*words: str) -> list[str]:
    return [str(binary("restic")), "--no-cache", "-o", "s3.bucket-lookup=path", *words]


def locks(installation: Installation, namespace: str) -> set[str]:
    command = restic("list", "locks", "--no-lock")
    environment = environment_of(installation, namespace)
    return set(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.split())


def leave_lock(installation: Installation, namespace: str, host: str, *words: str) -> str:
    """Run restic on a host of that name, kill it once it has its lock, and return the lock's id."""
    before = locks(installation, namespace)
    child = subprocess.Popen(
        [*named_host(host), *restic(*words)],
        env=environment_of(installation, namespace),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    try:
        return wait_until(
            lambda: "".join(locks(installation, namespace) - before), timeout_seconds=60, what=f"a lock of {host}"
        )
    finally:
        child.kill()
        child.wait(10)
        assert child.stdin is not None
        child.stdin.close()


def status_of(obj: dict[str, object]) -> dict[str, object]:
    status = obj.get("status") or {}
    assert isinstance(status, dict)
    return status


def captures(installation: Installation, backup: str) -> str:
    return json.dumps(installation.objects("podvolumebackups", selector=f"ark.heptio.com/backup-name={backup}"))


def wait_ended(installation: Installation, backup: str) -> str:
    def phase() -> str:
        found = str(status_of(installation.get("backup", backup)).get("phase", ""))
        return found if found in TERMINAL else ""

    return wait_until(phase, timeout_seconds=90, what=f"Backup {backup} to end", watched=installation.processes)


def restic_of(uid: str) -> int:
    """The restic process that captures for the object of this UID; 0 while there is none."""
    for entry in Path("/proc").iterdir():
        try:
            arguments = (entry / "cmdline").read_bytes().split(b"\0") if entry.name.isdigit() else [b""]
        except OSError:
            continue
        if arguments[0].endswith(b"restic") and f"pvb-uid={uid}".encode() in arguments:
            return int(entry.name)
    return 0


def running_transfer(installation: Installation, application: Application, backup: str) -> tuple[int, set[str]]:
    """Begin a backup; the process that captures, and its lock."""
    installation.ark("backup", "create", backup, "--include-namespaces", application.namespace)

    def seen() -> int:
        found = json.loads(captures(installation, backup))
        moved = bool(found) and "bytesDone" in json.dumps(found)
        pid = restic_of(found[0]["metadata"]["uid"]) if moved else 0
        if pid:
            os.kill(pid, signal.SIGSTOP)  # it stays in the middle of its work, however long we take to look
        return pid

    pid = wait_until(seen, timeout_seconds=60, what="the transfer to run", watched=installation.processes)
    held = locks(installation, application.namespace)
    assert len(held) == 1
    return pid, held


@pytest.fixture
def ark_with_exec(
    installation: Installation, direct: Client, capsysbinary: pytest.CaptureFixture[bytes]
) -> Iterator[Callable[..., tuple[int, str, str]]]:
    """Give the test the CLI, whose exec runs in the server's surroundings instead of a container of it."""
    words = installation.access.kubectl
    manifest = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "ark-server", "namespace": NAMESPACE, "labels": {"component": "ark"}},
        "spec": {"schedulingGates": [{"name": "standin.test/never"}], "containers": [{"name": "ark", "image": "x"}]},
    }
    installation.access.apply(manifest)
    words(
        *("patch", "pod", "ark-server", "-n", NAMESPACE, "--subresource=status", "--type=merge"),
        *("-p", '{"status":{"phase":"Running"}}'),
    )

    def execute(pod: str, command: Sequence[str], on_output: Callable[[int, bytes], None]) -> int:
        assert (pod, command[:3]) == ("ark-server", ["ark", "restic", "inside"])
        done = installation.run_beside_server(command[1:])
        on_output(1, done.stdout)
        on_output(2, done.stderr)
        return done.returncode

    def call(*arguments: str) -> tuple[int, str, str]:
        connection = Connection(client=direct, namespace=NAMESPACE, forward=forbidden, execute=execute)
        code = run(arguments, ClusterFlags(connector=lambda flags: connection))
        out, err = capsysbinary.readouterr()
        return code, out.decode(), err.decode()

    yield call
    words("delete", "pod", "ark-server", "ark-ended-job", "-n", NAMESPACE, "--ignore-not-found", "--wait=false")


def forbidden(pod: str, port: int) -> NoReturn:
    raise AssertionError(f"nothing is forwarded from {pod}:{port}")


def test_a_canceled_child_that_does_not_end_is_killed_and_its_lock_goes(
    installation: Installation, application: Application
) -> None:
    application.shell("data", BIG)
    backup = f"b-{application.namespace}"
    pid, held = running_transfer(installation, application, backup)
    os.kill(pid, signal.SIGSTOP)  # it cannot take its lock back now, whatever it is told
    installation.ark("backup", "cancel", backup)
    assert wait_ended(installation, backup) == "PartiallyFailed"
    assert restic_of(captures(installation, backup)) == 0
    assert not Path(f"/proc/{pid}").exists()
    assert '"reason": "Canceled"' in captures(installation, backup)
    wait_until(
        lambda: not locks(installation, application.namespace) & held,
        timeout_seconds=60,
        what="the lock to go",
        watched=installation.processes,
    )
    (removed,) = held
    wait_until(
        lambda: any(
            "Dead lock removed" in line and removed in line and f"pid={pid}" in line
            for line in installation.agents["node1"].log.read_text().splitlines()
        ),
        timeout_seconds=30,
        what="the agent to say that it was the one that removed it",
    )


def test_an_agent_that_was_killed_removes_what_its_child_left_and_a_deleted_object_ends_the_next(
    installation: Installation, application: Application
) -> None:
    application.shell("data", BIG)
    backup = f"b-{application.namespace}"
    pid, held = running_transfer(installation, application, backup)
    os.kill(installation.agents["node1"].pid, signal.SIGKILL)
    wait_until(lambda: not Path(f"/proc/{pid}").exists(), timeout_seconds=60, what="restic to go with its agent")
    assert held <= locks(installation, application.namespace)
    installation.agents["node1"].start()
    wait_until(
        lambda: not locks(installation, application.namespace) & held,
        timeout_seconds=60,
        what="the old lock to go",
        watched=installation.processes,
    )
    metadata = json.loads(captures(installation, backup))[0]["metadata"]
    pid = wait_until(lambda: restic_of(metadata["uid"]), timeout_seconds=60, what="restic to run again")
    installation.access.kubectl("delete", "podvolumebackup", metadata["name"], "-n", NAMESPACE)
    wait_until(lambda: not Path(f"/proc/{pid}").exists(), timeout_seconds=60, what="restic to end with its object")
    wait_until(lambda: not locks(installation, application.namespace), timeout_seconds=60, what="its lock to go")
    assert wait_ended(installation, backup) == "PartiallyFailed"


def test_only_a_lock_whose_pod_has_ended_is_removed_and_a_foreign_one_by_hand(
    installation: Installation, application: Application, ark_with_exec: Callable[..., tuple[int, str, str]]
) -> None:
    namespace, backup = application.namespace, f"b-{application.namespace}"
    application.shell("data", "head -c 3000000 /dev/urandom > file")
    installation.ark("backup", "create", f"{backup}-1", "--include-namespaces", namespace, "--wait")
    assert locks(installation, namespace) == set()

    dead = leave_lock(installation, namespace, "ark-ended-job", "backup", "--stdin")
    foreign = leave_lock(installation, namespace, "laptop", "backup", "--stdin")
    uid = ended_pod(installation, "ark-ended-job")
    record_holder(installation, namespace, uid, "ark-ended-job")
    wait_until(
        lambda: uid not in json.dumps(installation.get("resticrepository", namespace)),
        timeout_seconds=90,
        what="the ended holder to be taken off",
        watched=installation.processes,
    )
    assert locks(installation, namespace) == {foreign}
    assert dead != foreign

    code, out, err = ark_with_exec("restic", "repo", "locks", namespace)
    assert code == 0, err
    assert all(word in out for word in (foreign[:8], "shared", "laptop", "none of Ark's"))
    code, _, err = ark_with_exec("restic", "repo", "unlock", namespace, "--lock", foreign[:8])
    assert code == 1
    assert "--force-live removes it all the same" in err
    assert locks(installation, namespace) == {foreign}
    code, out, _ = ark_with_exec("restic", "repo", "unlock", namespace, "--lock", foreign[:8], "--force-live")
    assert (code, foreign in out) == (0, True)
    assert locks(installation, namespace) == set()
    events = installation.access.kubectl("get", "events", "-n", NAMESPACE, "-o", "json")
    assert f"lock {foreign} was removed by hand" in events

    code, out, _ = ark_with_exec("restic", "exec", namespace, "--", "ls", "latest", "--json")
    assert (code, "/file" in out) == (0, True)
    code, _, err = ark_with_exec("restic", "exec", namespace, "--", "dump", "latest", "file")
    assert (code, "contents of files" in err) == (64, True)


def test_a_foreign_lock_is_waited_for_and_named(installation: Installation, application: Application) -> None:
    namespace, backup = application.namespace, f"b-{application.namespace}"
    application.shell("data", "head -c 3000000 /dev/urandom > file")
    installation.ark("backup", "create", f"{backup}-1", "--include-namespaces", namespace, "--wait")
    foreign = leave_lock(installation, namespace, "laptop", "check", "--read-data", "--limit-download", "1")
    installation.ark("backup", "create", f"{backup}-2", "--include-namespaces", namespace)
    wait_until(
        lambda: f"waiting for a lock: {foreign[:8]}: exclusive, laptop" in captures(installation, f"{backup}-2"),
        timeout_seconds=60,
        what="the wait to be named",
        watched=installation.processes,
    )
    installation.ark("backup", "cancel", f"{backup}-2")
    assert wait_ended(installation, f"{backup}-2") == "PartiallyFailed"
    assert locks(installation, namespace) == {foreign}


def record_holder(installation: Installation, namespace: str, uid: str, pod: str) -> None:
    """Write what a maintenance Job of that pod would."""
    patch = json.dumps({"status": {"holders": {uid: {"pod": pod, "node": "node1", "host": pod}}}})
    installation.access.kubectl(
        *("patch", "resticrepository", namespace, "-n", NAMESPACE, "--type=merge", "--subresource=status"),
        *("-p", patch),
    )


def ended_pod(installation: Installation, name: str) -> str:
    """Make a pod whose kubelet says that it has ended; return its UID."""
    manifest = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"schedulingGates": [{"name": "standin.test/never"}], "containers": [{"name": "c", "image": "x"}]},
    }
    installation.access.apply(manifest)
    ended = {"exitCode": 137, "finishedAt": "2026-01-01T00:00:00Z", "startedAt": "2026-01-01T00:00:00Z"}
    one = {"name": "c", "image": "x", "imageID": "", "ready": False, "restartCount": 0, "state": {"terminated": ended}}
    status = json.dumps({"status": {"phase": "Failed", "containerStatuses": [one]}})
    installation.access.kubectl(
        "patch", "pod", name, "-n", NAMESPACE, "--subresource=status", "--type=merge", "-p", status
    )
    metadata = installation.get("pod", name)["metadata"]
    assert isinstance(metadata, dict)
    return str(metadata["uid"])
