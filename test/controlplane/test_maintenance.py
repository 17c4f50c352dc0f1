"""A maintenance Job for real: it forgets exactly what was queued, frees it, and leaves everything else."""

from __future__ import annotations

import base64
import json
import os
import secrets
import subprocess
from collections.abc import Iterator

import pytest

from pkg.apis.names import CREDENTIALS_SECRET
from pkg.testing.application import Application
from pkg.testing.assets import binary
from pkg.testing.installation import NAMESPACE, Installation
from pkg.testing.processes import wait_until


@pytest.fixture
def application(installation: Installation) -> Iterator[Application]:
    annotations = {"backup.ark.heptio.com/backup-volumes": "data"}
    name = f"upkeep-{secrets.token_hex(3)}"
    made = Application(installation.access, installation.nodes["node1"], name, annotations=annotations)
    made.deploy()
    yield made
    installation.access.kubectl("delete", "namespace", made.namespace, "--wait=false")


def back_up(installation: Installation, namespace: str) -> str:
    """Makes a backup and returns the full id of its only snapshot."""
    name = f"b-{secrets.token_hex(3)}"
    installation.ark("backup", "create", name, "--include-namespaces", namespace, "--wait", "--timeout", "120s")
    found = installation.objects("podvolumebackups", selector=f"ark.heptio.com/backup-name={name}")
    status = found[0]["status"]
    assert isinstance(status, dict)
    return str(status["snapshotID"])


def restic(installation: Installation, namespace: str, *words: str) -> str:
    """Runs restic as a person with the password would."""
    secret = installation.get("secret", CREDENTIALS_SECRET)["data"]
    repository = installation.get("resticrepository", namespace)["spec"]
    assert isinstance(secret, dict)
    assert isinstance(repository, dict)
    environment = {
        **os.environ,
        "AWS_SHARED_CREDENTIALS_FILE": str(installation.credentials_files()[0]),
        "RESTIC_PASSWORD": base64.b64decode(secret["repository-password"]).decode(),
        "RESTIC_REPOSITORY": str(repository["resticIdentifier"]),
    }
    command = [str(binary("restic")), "--no-cache", "--no-lock", "-o", "s3.bucket-lookup=path", *words]
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True, timeout=60).stdout


def snapshots(installation: Installation, namespace: str) -> set[str]:
    return {one["id"] for one in json.loads(restic(installation, namespace, "snapshots", "--json"))}


def stored_bytes(installation: Installation, namespace: str) -> int:
    return int(json.loads(restic(installation, namespace, "stats", "--mode", "raw-data", "--json"))["total_size"])


def queue(installation: Installation, namespace: str, *ids: str) -> None:
    patch = json.dumps({"status": {"pendingForget": list(ids)}})
    installation.access.kubectl(
        *("patch", "resticrepository", namespace, "-n", NAMESPACE, "--type=merge", "--subresource=status"),
        *("-p", patch),
    )


def status_of(installation: Installation, namespace: str) -> dict[str, object]:
    status = installation.get("resticrepository", namespace)["status"]
    assert isinstance(status, dict)
    return status


def maintain(installation: Installation, namespace: str, *flags: str) -> tuple[int, str]:
    words = ("restic", "repo", "maintain", namespace, *flags, "--wait", "--timeout", "120s")
    done = installation.ark(*words, check=False)
    return done.returncode, done.stdout + done.stderr


def test_what_was_queued_is_forgotten_and_freed_and_the_rest_stays(
    installation: Installation, application: Application
) -> None:
    namespace = application.namespace
    application.shell("data", "head -c 4000000 /dev/urandom > only-in-the-first; echo both > both")
    first = back_up(installation, namespace)
    application.shell("data", "rm only-in-the-first")
    second = back_up(installation, namespace)
    queue(installation, namespace, first, "0" * 64, second[:8] + "zz")

    code, output = maintain(installation, namespace)
    assert code == 0, output + installation.tails()

    assert snapshots(installation, namespace) == {second}
    status = status_of(installation, namespace)
    assert status["pendingForget"] == [second[:8] + "zz"], "an entry that is no id is neither forgotten nor dropped"
    runs = status["maintenance"]
    assert isinstance(runs, list)
    assert [(run["verb"], run["phase"]) for run in runs] == [("forget,prune,check", "Completed")]
    assert "1 snapshots forgotten; 1 were gone already" in runs[0]["message"]
    assert all(status[name] for name in ("lastForgetTime", "lastPruneTime", "lastCheckTime", "lastMaintenanceTime"))
    assert restic(installation, namespace, "list", "packs").count("\n") <= 2, "what only the first had is freed"
    restic(installation, namespace, "check", "--read-data")


def test_frozen_deletions_are_told_and_nothing_is_deleted(installation: Installation, application: Application) -> None:
    namespace = application.namespace
    application.shell("data", "echo precious > file")
    only = back_up(installation, namespace)
    queue(installation, namespace, only)
    patch = '{"deletionsFrozen": "audit"}'
    installation.access.kubectl(
        "patch", "config.ark.heptio.com", "default", "-n", NAMESPACE, "--type=merge", "-p", patch
    )
    try:
        code, output = maintain(installation, namespace, "--forget", "--prune")
    finally:
        installation.apply_config()
        thaw = '{"deletionsFrozen": ""}'
        installation.access.kubectl(
            "patch", "config.ark.heptio.com", "default", "-n", NAMESPACE, "--type=merge", "-p", thaw
        )
    assert code == 1
    assert "deletions are frozen: audit" in output
    assert snapshots(installation, namespace) == {only}
    wait_until(
        lambda: status_of(installation, namespace)["pendingForget"] == [only],
        timeout_seconds=5,
        what="the queue to be as it was",
    )
