"""kill -9 of server or agent in the middle of a transfer: nothing is lost, and the restore is complete.

Each test waits until a restic process of that volume is seen with bytes done; a run that kills too early or too
late fails, because restic's process or the count of interruptions would not fit.
"""

import os
import secrets
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from pkg.testing.application import Application
from pkg.testing.installation import Installation
from pkg.testing.processes import Process, wait_until

TRANSFER_SECONDS = 120
BIG = "for i in 1 2 3 4 5 6 7 8; do head -c 100000000 /dev/urandom > big$i; done; mkdir d; echo small > d/small"


@pytest.fixture
def application(installation: Installation) -> Iterator[Application]:
    application = Application(
        installation.access,
        installation.nodes["node1"],
        f"kill-{secrets.token_hex(3)}",
        annotations={"backup.ark.heptio.com/backup-volumes": "data"},
    )
    application.deploy()
    application.shell("data", BIG)
    yield application
    application.delete_namespace()


def restic_of(word: str) -> list[int]:
    """Processes of restic whose command line has the word."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            arguments = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if arguments[0].endswith(b"restic") and any(word.encode() in argument for argument in arguments):
            found.append(int(entry.name))
    return found


def exists(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


def volume_object(installation: Installation, kind: str, label: str) -> dict[str, object] | None:
    objects = installation.objects(kind, selector=label)
    assert len(objects) <= 1
    return objects[0] if objects else None


def status_of(obj: dict[str, object] | None) -> dict[str, object]:
    status = (obj or {}).get("status") or {}
    assert isinstance(status, dict)
    return status


def wait_for_transfer(installation: Installation, kind: str, label: str, word_path: tuple[str, str]) -> int:
    """Wait until a restic process of the volume is seen and its object has bytes done; stop it and return its pid."""

    def seen() -> int:
        obj = volume_object(installation, kind, label)
        progress = status_of(obj).get("progress") or {}
        assert isinstance(progress, dict)
        if obj is None or not progress.get("bytesDone"):
            return 0
        section = obj[word_path[0]]
        assert isinstance(section, dict)
        pids = restic_of(str(section[word_path[1]]))
        if pids:
            os.kill(pids[0], signal.SIGSTOP)  # it stays in the middle of its work, however long we take to kill
        return pids[0] if pids else 0

    pid = wait_until(seen, timeout_seconds=TRANSFER_SECONDS, what=f"a running transfer of {label}")
    assert pid
    return pid


def kill_and_expect_gone(process: Process, *pids: int) -> None:
    os.kill(process.pid, signal.SIGKILL)
    process.wait(30)
    wait_until(lambda: not any(map(exists, pids)), timeout_seconds=60, what=f"restic {pids} to be gone")


def wait_phase(installation: Installation, kind: str, name: str, phase: str) -> dict[str, object]:
    def terminal() -> bool:
        return status_of(installation.get(kind, name)).get("phase") not in (None, "", "New", "InProgress")

    wait_until(terminal, timeout_seconds=TRANSFER_SECONDS, what=f"{kind} {name} to end", watched=installation.processes)
    status = status_of(installation.get(kind, name))
    assert status["phase"] == phase, status
    return status


def start_backup(installation: Installation, application: Application) -> tuple[str, str]:
    name = f"b-{application.namespace}"
    installation.ark("backup", "create", name, "--include-namespaces", application.namespace)
    return name, f"ark.heptio.com/backup-name={name}"


def start_restore(installation: Installation, application: Application) -> tuple[str, str]:
    backup, _ = start_backup(installation, application)
    wait_phase(installation, "backup", backup, "Completed")
    application.delete_namespace()
    installation.ark("restore", "create", f"r-{backup}", "--from-backup", backup)
    return f"r-{backup}", f"ark.heptio.com/restore-name=r-{backup}"


def restore_completely(installation: Installation, application: Application, backup: str, before: str) -> None:
    application.delete_namespace()
    installation.ark("restore", "create", f"r-{backup}", "--from-backup", backup, "--wait")
    application.wait_running()
    assert application.listing("data") == before


def test_a_killed_agent_backs_the_volume_up_again(installation: Installation, application: Application) -> None:
    before = application.listing("data")
    backup, label = start_backup(installation, application)
    restic = wait_for_transfer(installation, "podvolumebackups", label, ("metadata", "uid"))
    kill_and_expect_gone(installation.agents["node1"], restic)
    installation.agents["node1"].start()
    wait_phase(installation, "backup", backup, "Completed")
    status = status_of(volume_object(installation, "podvolumebackups", label))
    assert (status["attempts"], status["interruptions"]) == (1, 1)
    restore_completely(installation, application, backup, before)


def test_a_killed_server_finishes_the_backup(installation: Installation, application: Application) -> None:
    before = application.listing("data")
    backup, label = start_backup(installation, application)
    restic = wait_for_transfer(installation, "podvolumebackups", label, ("metadata", "uid"))
    kill_and_expect_gone(installation.server)
    os.kill(restic, signal.SIGCONT)
    installation.server.start()
    assert wait_phase(installation, "backup", backup, "Completed")["attempts"] == 2
    assert status_of(volume_object(installation, "podvolumebackups", label))["attempts"] == 1
    restore_completely(installation, application, backup, before)


def test_a_killed_agent_fills_the_volume_again(installation: Installation, application: Application) -> None:
    before = application.listing("data")
    restore, label = start_restore(installation, application)
    restic = wait_for_transfer(installation, "podvolumerestores", label, ("spec", "snapshotID"))
    kill_and_expect_gone(installation.agents["node1"], restic)
    installation.agents["node1"].start()
    wait_phase(installation, "restore", restore, "Completed")
    status = status_of(volume_object(installation, "podvolumerestores", label))
    assert (status["attempts"], status["interruptions"]) == (1, 1)
    application.wait_running()
    assert application.listing("data") == before


def test_a_killed_server_finishes_the_restore(installation: Installation, application: Application) -> None:
    before = application.listing("data")
    restore, label = start_restore(installation, application)
    restic = wait_for_transfer(installation, "podvolumerestores", label, ("spec", "snapshotID"))
    kill_and_expect_gone(installation.server)
    os.kill(restic, signal.SIGCONT)
    installation.server.start()
    assert wait_phase(installation, "restore", restore, "Completed")["attempts"] == 2
    assert status_of(volume_object(installation, "podvolumerestores", label))["attempts"] == 1
    application.wait_running()
    assert application.listing("data") == before
