"""A maintenance Job for real: it forgets exactly what was queued, frees it, and leaves everything else."""

from __future__ import annotations

import base64
import json
import os
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import pytest

from pkg.apis.ark import Config
from pkg.apis.names import CREDENTIALS_SECRET
from pkg.controllers.config import settings_from
from pkg.objectstore.cloud import open_restic_store
from pkg.objectstore.credentials import CloudCredentials
from pkg.objectstore.location import StorageLocation
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
    with installation.config_seen():
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
        timeout_seconds=30,
        what="the queue to be as it was",
    )


def spoil(installation: Installation, namespace: str) -> None:
    """Changes a byte in the largest pack, as a disk does that forgets."""
    store = open_restic_store(*location_and_credentials(installation))
    pack = max(store.list(f"{namespace}/data"), key=lambda info: info.size_bytes)
    content = bytearray(store.get(pack.key))
    content[len(content) // 3] ^= 1
    store.put(pack.key, bytes(content))


def location_and_credentials(installation: Installation) -> tuple[StorageLocation, CloudCredentials]:
    files = {"AWS_SHARED_CREDENTIALS_FILE": str(installation.credentials_files()[0])}
    config = msgspec.convert(installation.get("config.ark.heptio.com", "default"), Config)
    settings = settings_from(config, files, NAMESPACE)
    return settings.location, settings.credentials


def condition(installation: Installation, namespace: str) -> str:
    found = status_of(installation, namespace).get("conditions") or []
    assert isinstance(found, list)
    return next((str(one["message"]) for one in found if one["type"] == "Damaged"), "")


def test_damage_is_found_beside_other_work_and_confirmed_before_it_is_an_alarm(
    installation: Installation, application: Application
) -> None:
    """The whole repository is one part here, so that the first reading meets the pack."""
    namespace = application.namespace
    application.shell("data", "head -c 3000000 /dev/urandom > noise")
    back_up(installation, namespace)
    with options(installation, verifyPercentPerDay="100"):
        code, output = maintain(installation, namespace, "--verify")
        assert (code, "part 1/1 was read, no errors" in output) == (0, True), output + installation.tails()
        verification = status_of(installation, namespace)["verification"]
        assert isinstance(verification, dict)
        assert (verification["part"], verification["parts"]) == (1, 1)
        assert [run["verb"] for run in verification["runs"]] == ["verify"]

        spoil(installation, namespace)
        code, output = maintain(installation, namespace, "--verify")
        assert "to be confirmed by a check" in output
        message = wait_until(
            lambda: condition(installation, namespace), timeout_seconds=120, what="the check to confirm it"
        )
    assert "broken packs" in message
    assert "Ready (damaged)" in installation.ark("restic", "repo", "get", namespace).stdout
    assert message in installation.ark("restic", "repo", "describe", namespace).stdout
    code, output = maintain(installation, namespace, "--prune")
    assert (code, "the repository is damaged" in output) == (1, True)
    application.shell("data", "echo more > more")
    name = f"b-{secrets.token_hex(3)}"
    words = ("backup", "create", name, "--include-namespaces", namespace, "--wait", "--timeout", "120s")
    assert installation.ark(*words, check=False).returncode == 2, "no backup into it is Completed"


@contextmanager
def options(installation: Installation, **data: str) -> Iterator[None]:
    """The ConfigMap of maintenance with these keys."""
    manifest = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": "verification",
            "namespace": NAMESPACE,
            "labels": {"ark.heptio.com/plugin-config": "maintenance"},
        },
        "data": data,
    }
    installation.access.kubectl("apply", "-f", "-", stdin=json.dumps(manifest))
    try:
        yield
    finally:
        installation.access.kubectl("delete", "configmap", "verification", "-n", NAMESPACE)
