"""Hooks of a backup with real commands in a pod: a volume is captured between them, also when the server is killed."""

import json
import os
import secrets
import signal
from collections.abc import Iterator

import pytest

from pkg.apis.ark import StorageProvider
from pkg.objectstore.cloud import open_store
from pkg.objectstore.credentials import load_credentials
from pkg.objectstore.location import storage_location
from pkg.testing.application import Application
from pkg.testing.installation import NAMESPACE, Installation
from pkg.testing.processes import wait_until

PRE, POST = "pre.hook.backup.ark.heptio.com/", "post.hook.backup.ark.heptio.com/"
# `scratch` is not captured; it keeps what was done in which order.
FREEZE = 'echo freeze >> "$VOLUME_scratch/journal"; touch "$VOLUME_data/frozen"'
THAW = 'rm "$VOLUME_data/frozen"; echo thaw >> "$VOLUME_scratch/journal"'
SLOW_FREEZE = f'{FREEZE}; test "$(wc -l < "$VOLUME_scratch/journal")" -gt 1 || sleep 60'


def shell(script: str) -> str:
    return json.dumps(["sh", "-c", script])


def application(installation: Installation, freeze: str) -> Application:
    annotations = {
        "backup.ark.heptio.com/backup-volumes": "data",
        PRE + "command": shell(freeze),
        PRE + "timeout": "2m",
        POST + "command": shell(THAW),
    }
    name = f"hooks-{secrets.token_hex(3)}"
    made = Application(installation.access, installation.nodes["node1"], name, annotations=annotations)
    made.deploy()
    made.shell("data", "echo kept > file")
    return made


@pytest.fixture
def frozen(installation: Installation) -> Iterator[Application]:
    made = application(installation, FREEZE)
    yield made
    installation.access.kubectl("delete", "namespace", made.namespace, "--wait=false")


@pytest.fixture
def slow(installation: Installation) -> Iterator[Application]:
    made = application(installation, SLOW_FREEZE)
    yield made
    installation.access.kubectl("delete", "namespace", made.namespace, "--wait=false")


def journal(application: Application) -> list[str]:
    return application.shell("scratch", "cat journal 2>/dev/null || true").split()


def status_of(installation: Installation, backup: str) -> dict[str, object]:
    status = (installation.get("backup", backup) or {}).get("status") or {}
    assert isinstance(status, dict)
    return status


def test_a_volume_is_captured_while_its_application_stands_still(
    installation: Installation, frozen: Application
) -> None:
    backup, copy = f"b-{frozen.namespace}", f"{frozen.namespace}-copy"
    installation.ark("backup", "create", backup, "--include-namespaces", frozen.namespace, "--wait")
    assert journal(frozen) == ["freeze", "thaw"]
    assert "frozen" not in frozen.listing("data")
    assert not status_of(installation, backup).get("openHooks")
    mapping = f"{frozen.namespace}:{copy}"
    installation.ark("restore", "create", "--from-backup", backup, "--namespace-mappings", mapping, "--wait")
    restored = Application(installation.access, installation.nodes["node1"], copy)
    restored.wait_running()
    assert restored.shell("data", "cat file; ls").split() == ["kept", "file", "frozen"]
    installation.access.kubectl("delete", "namespace", copy, "--wait=false")


def test_a_server_that_is_killed_in_a_freeze_leaves_the_thaw_to_the_next_one(
    installation: Installation, slow: Application
) -> None:
    backup = f"b-{slow.namespace}"
    installation.ark("backup", "create", backup, "--include-namespaces", slow.namespace)
    wait_until(lambda: journal(slow) == ["freeze"], timeout_seconds=60, what="the pre hook to run")
    assert status_of(installation, backup)["openHooks"]
    os.kill(installation.server.pid, signal.SIGKILL)
    installation.server.wait(30)
    installation.server.start()
    wait_until(
        lambda: status_of(installation, backup).get("phase") not in ("New", "InProgress"),
        timeout_seconds=90,
        what="the backup to end",
        watched=installation.processes,
    )
    status = status_of(installation, backup)
    assert (status["phase"], status["attempts"], status.get("openHooks")) == ("Completed", 2, None), status
    assert journal(slow) == ["freeze", "thaw", "freeze", "thaw"]
    assert "frozen" not in slow.listing("data")


def test_a_backup_that_is_deleted_in_progress_leaves_a_thawed_pod_and_nothing_in_the_bucket(
    installation: Installation, slow: Application
) -> None:
    backup = f"b-{slow.namespace}"
    installation.ark("backup", "create", backup, "--include-namespaces", slow.namespace)
    wait_until(lambda: journal(slow) == ["freeze"], timeout_seconds=60, what="the pre hook to run")
    installation.access.kubectl("delete", "backup.ark.heptio.com", backup, "-n", NAMESPACE, "--timeout=20s")
    wait_until(lambda: journal(slow) == ["freeze", "thaw"], timeout_seconds=90, what="the pod to be thawed")
    label = f"ark.heptio.com/backup-name={backup}"
    wait_until(
        lambda: not installation.objects("podvolumebackups", selector=label),
        timeout_seconds=60,
        what="the captures to go with their Backup",
    )
    wait_until(lambda: not files_of(installation, backup), timeout_seconds=60, what="the bucket to hold none of it")
    installation.ark("backup", "create", backup, "--include-namespaces", slow.namespace, "--wait")
    assert status_of(installation, backup)["phase"] == "Completed"


def files_of(installation: Installation, backup: str) -> list[str]:
    provider = StorageProvider(name="aws", bucket=installation.bucket, config=installation.store_config())
    file = str(installation.credentials_files()[0])
    credentials = load_credentials("aws", {"AWS_SHARED_CREDENTIALS_FILE": file})
    store = open_store(storage_location(provider), credentials)
    return [found.key for found in store.list(f"{backup}/")]
