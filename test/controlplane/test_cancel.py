"""A Backup or Restore that is canceled ends, and so do its transfers."""

import json
import secrets

from pkg.testing.application import Application
from pkg.testing.installation import NAMESPACE, Installation
from pkg.testing.processes import wait_until

BIG = "for i in 1 2 3 4 5 6 7 8; do head -c 100000000 /dev/urandom > big$i; done"
TERMINAL = ("Completed", "PartiallyFailed", "Failed", "FailedValidation")


def phase(installation: Installation, kind: str, name: str) -> str:
    status = installation.get(kind, name).get("status") or {}
    assert isinstance(status, dict)
    return str(status.get("phase", ""))


def running(installation: Installation, kind: str, label: str) -> bool:
    return '"bytesDone"' in json.dumps(installation.objects(kind, selector=label))


def cancel(installation: Installation, kind: str, name: str) -> None:
    installation.access.kubectl("patch", kind, name, "-n", NAMESPACE, "--type=merge", "-p", '{"spec":{"cancel":true}}')


def test_canceling_ends_the_backup_and_the_restore_with_their_transfers(installation: Installation) -> None:
    application = Application(installation.access, installation.nodes["node1"], f"cancel-{secrets.token_hex(3)}")
    application.deploy()
    application.shell("data", BIG)
    name = f"b-{application.namespace}"
    options = ["--include-namespaces", application.namespace]

    installation.ark("backup", "create", f"{name}-x", *options)
    label = f"ark.heptio.com/backup-name={name}-x"
    wait_until(lambda: running(installation, "podvolumebackups", label), timeout_seconds=60, what="the transfer to run")
    cancel(installation, "backup", f"{name}-x")
    wait_until(
        lambda: phase(installation, "backup", f"{name}-x") in TERMINAL, timeout_seconds=60, what="the Backup to end"
    )
    assert phase(installation, "backup", f"{name}-x") == "PartiallyFailed"
    captures = json.dumps(installation.objects("podvolumebackups", selector=label))
    assert "Canceled" in captures
    assert '"InProgress"' not in captures

    installation.ark("backup", "create", name, *options, "--wait")
    application.delete_namespace()
    installation.ark("restore", "create", f"r-{name}", "--from-backup", name)
    label = f"ark.heptio.com/restore-name=r-{name}"
    wait_until(
        lambda: running(installation, "podvolumerestores", label), timeout_seconds=60, what="the transfer to run"
    )
    cancel(installation, "restore", f"r-{name}")
    wait_until(
        lambda: phase(installation, "restore", f"r-{name}") in TERMINAL, timeout_seconds=60, what="the Restore to end"
    )
    assert phase(installation, "restore", f"r-{name}") == "PartiallyFailed"
    wait_until(
        lambda: "Canceled" in json.dumps(installation.objects("podvolumerestores", selector=label)),
        timeout_seconds=60,
        what="the transfer to be canceled",
    )
    application.delete_namespace()
