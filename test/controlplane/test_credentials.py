"""Two sets of credentials with the policies that are shipped, and a bucket whose objects nobody may remove."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from pkg.apis.ark import StorageProvider
from pkg.objectstore.cloud import open_store
from pkg.objectstore.credentials import load_credentials
from pkg.objectstore.errors import CredentialsRefusedError
from pkg.objectstore.location import storage_location
from pkg.objectstore.store import ObjectStore
from pkg.testing.application import Application
from pkg.testing.installation import NAMESPACE, Installation
from pkg.testing.processes import wait_until

POLICIES = Path(__file__).resolve().parents[2] / "config" / "aws"


def policy(who: str, bucket: str) -> object:
    return json.loads((POLICIES / f"policy-{who}.json").read_text().replace("YOUR-BUCKET", bucket))


def store_with(installation: Installation, bucket: str, credentials_file: Path) -> ObjectStore:
    location = storage_location(StorageProvider(name="aws", bucket=bucket, config=installation.store_config()))
    return open_store(location, load_credentials("aws", {"AWS_SHARED_CREDENTIALS_FILE": str(credentials_file)}))


@pytest.fixture
def application(installation: Installation) -> Iterator[Application]:
    name = f"rights-{secrets.token_hex(3)}"
    made = Application(installation.access, installation.nodes["node1"], name)
    made.deploy()
    made.shell("data", "echo precious > file")
    made.shell("scratch", "echo scratch > file")
    yield made
    gone = [name, f"{name}-back"]
    installation.access.kubectl("delete", "namespace", *gone, "--wait=false", "--ignore-not-found")


@pytest.fixture
def restricted(installation: Installation) -> Iterator[dict[str, Path]]:
    """Server and agent hold no more than the shipped policies give them."""
    files = {}
    for file in installation.credentials_files():
        who = "server" if file.parent.name == "server" else "agent"
        files[who] = installation.minio.restricted_credentials(policy(who, installation.bucket), file)
    yield files
    for file in files.values():
        installation.minio.write_credentials_file(file)


def back_up_and_restore(installation: Installation, application: Application) -> str:
    """Backs up, restores into a second namespace, and compares; returns the backup's name."""
    backup, copy = f"b-{application.namespace}", f"{application.namespace}-back"
    installation.ark("backup", "create", backup, "--include-namespaces", application.namespace, "--wait")
    mapping = f"{application.namespace}:{copy}"
    made = ["restore", "create", f"r-{backup}", "--from-backup", backup, "--namespace-mappings", mapping, "--wait"]
    installation.ark(*made)
    restored = Application(installation.access, installation.nodes["node1"], copy)
    restored.wait_running()
    assert restored.shell("data", "cat file") == "precious\n"
    assert restored.shell("scratch", "cat file") == "scratch\n"
    return backup


def test_backup_and_restore_need_no_more_than_the_policies_that_are_shipped(
    installation: Installation, application: Application, restricted: dict[str, Path]
) -> None:
    backup = back_up_and_restore(installation, application)
    repository = f"restic/{application.namespace}"
    everything = store_with(installation, installation.bucket, restricted["server"])
    kept = {found.key for found in everything.list(repository)}
    assert not [key for key in kept if "/locks/" in key], "the agent left its lock"
    agent = store_with(installation, installation.bucket, restricted["agent"])
    for key in (f"{repository}/config", next(key for key in kept if "/data/" in key)):
        with pytest.raises(CredentialsRefusedError):
            agent.delete([key])
    with pytest.raises(CredentialsRefusedError):
        agent.get(f"{backup}/{backup}.tar.gz")
    assert {found.key for found in everything.list(repository)} == kept


@pytest.fixture
def locked_bucket(installation: Installation) -> Iterator[str]:
    """The Config names a bucket with versions and object lock for as long as the test runs."""
    bucket = installation.minio.make_locked_bucket(f"locked-{secrets.token_hex(3)}")
    installation.apply_config(bucket=bucket)
    yield bucket
    installation.apply_config()


def test_a_bucket_with_versions_and_object_lock_works(
    installation: Installation, application: Application, locked_bucket: str
) -> None:
    backup = back_up_and_restore(installation, application)
    store = store_with(installation, locked_bucket, installation.credentials_files()[0])
    assert store.head(f"{backup}/ark-backup.json") is not None
    request = {
        "apiVersion": "ark.heptio.com/v1",
        "kind": "DeleteBackupRequest",
        "metadata": {"name": backup, "namespace": NAMESPACE},
        "spec": {"backupName": backup},
    }
    installation.access.apply(request)
    wait_until(
        lambda: backup not in installation.access.kubectl("get", "backups", "-n", NAMESPACE, "-o", "name"),
        timeout_seconds=60,
        what="the backup to be deleted",
        watched=[installation.server],
    )
    assert store.head(f"{backup}/ark-backup.json") is None
    assert not list(store.list(f"{backup}"))
