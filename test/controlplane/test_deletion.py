"""A backup with a volume is deleted on request, with everything of it and nothing else; kubectl deletes an object."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest

from pkg.apis.ark import StorageProvider
from pkg.objectstore.cloud import open_store
from pkg.objectstore.credentials import load_credentials
from pkg.objectstore.layout import backup_keys
from pkg.objectstore.location import storage_location
from pkg.objectstore.store import ObjectStore
from pkg.testing.application import Application
from pkg.testing.installation import NAMESPACE, Installation
from pkg.testing.processes import wait_until


@pytest.fixture
def application(installation: Installation) -> Iterator[Application]:
    annotations = {"backup.ark.heptio.com/backup-volumes": "data"}
    name = f"gone-{secrets.token_hex(3)}"
    made = Application(installation.access, installation.nodes["node1"], name, annotations=annotations)
    made.deploy()
    made.shell("data", "echo precious > file")
    yield made
    installation.access.kubectl("delete", "namespace", made.namespace, "--wait=false")


def store_of(installation: Installation) -> ObjectStore:
    provider = StorageProvider(name="aws", bucket=installation.bucket, config=installation.store_config())
    file = str(installation.credentials_files()[0])
    return open_store(storage_location(provider), load_credentials("aws", {"AWS_SHARED_CREDENTIALS_FILE": file}))


def keys(store: ObjectStore) -> set[str]:
    return {found.key for found in store.list("") if not found.key.startswith("restic/")}


def status_of(installation: Installation, kind: str, name: str) -> dict[str, object]:
    status = installation.get(kind, name).get("status") or {}
    assert isinstance(status, dict)
    return status


def names(installation: Installation, kind: str) -> set[str]:
    found = set()
    for one in installation.objects(kind):
        metadata = one["metadata"]
        assert isinstance(metadata, dict)
        found.add(str(metadata["name"]))
    return found


def snapshots(installation: Installation, backup: str) -> set[str]:
    captures = installation.objects("podvolumebackups", selector=f"ark.heptio.com/backup-name={backup}")
    return {str(one["status"]["snapshotID"]) for one in captures if isinstance(one["status"], dict)}


def test_a_backup_goes_with_everything_of_it_and_nothing_else(
    installation: Installation, application: Application
) -> None:
    gone, stays = (f"{kind}-{application.namespace}" for kind in ("b", "stays"))
    for name in (gone, stays):
        installation.ark("backup", "create", name, "--include-namespaces", application.namespace, "--wait")
    restore = ["--include-resources", "configmaps", "--restore-volumes=false", "--wait"]
    installation.ark("restore", "create", f"r-{gone}", "--from-backup", gone, *restore, check=False)
    store, own = store_of(installation), snapshots(installation, gone)
    assert own, "there is no volume to delete"
    before = {key for key in keys(store) if not key.startswith(f"{gone}/")}
    assert f"{gone}/restore-r-{gone}-results.gz" in keys(store)

    installation.ark("backup", "pin", gone, "--reason", "audit")
    refused = installation.ark("backup", "delete", gone, "--confirm", check=False)
    assert "is pinned: audit" in refused.stderr
    installation.ark("backup", "unpin", gone)

    done = installation.ark("backup", "delete", gone, "--confirm", "--wait", "--timeout", "60s")
    assert f'Backup "{gone}" deleted.' in done.stdout
    assert not [key for key in keys(store) if key.startswith(f"{gone}/")]
    assert before <= keys(store)
    assert gone not in names(installation, "backups")
    assert stays in names(installation, "backups")
    assert f"r-{gone}" not in names(installation, "restores")
    assert not snapshots(installation, gone)
    pending = status_of(installation, "resticrepository", application.namespace).get("pendingForget")
    assert isinstance(pending, list)
    assert set(pending) == own

    installation.access.kubectl("delete", "backup", stays, "-n", NAMESPACE, "--timeout=60s", timeout_seconds=70)
    again = f"again-{application.namespace}"
    installation.ark("backup", "create", again, "--include-namespaces", "default", "--wait")
    assert set(backup_keys(stays).in_deletion_order) <= keys(store)


def test_an_expired_backup_goes_by_itself_unless_deletions_are_frozen(installation: Installation) -> None:
    name = f"old-{secrets.token_hex(3)}"
    installation.ark("freeze-deletions", "--reason", "incident 7")
    try:
        installation.ark("backup", "create", name, "--include-namespaces", "default", "--ttl", "1s", "--wait")
        wait_until(
            lambda: "incident 7" in installation.ark("backup", "describe", name).stdout,
            timeout_seconds=90,
            what="the condition that says why it stays",
        )
        assert backup_keys(name).metadata in keys(store_of(installation))
    finally:
        installation.ark("unfreeze-deletions")
    wait_until(lambda: name not in names(installation, "backups"), timeout_seconds=90, what="the backup to go")
    assert not [key for key in keys(store_of(installation)) if key.startswith(f"{name}/")]
