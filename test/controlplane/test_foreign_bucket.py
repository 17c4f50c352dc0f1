"""A bucket that somebody else wrote: only restored from, without writing to it, until it is adopted."""

from __future__ import annotations

import json
import secrets
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pkg.apis.ark import StorageProvider
from pkg.apis.names import ADOPTED_ANNOTATION, CREDENTIALS_SECRET, IMPORTED_ANNOTATION, LOCATION_RECORD
from pkg.objectstore.catalog import read_cluster
from pkg.objectstore.cloud import open_store
from pkg.objectstore.credentials import load_credentials
from pkg.objectstore.layout import CLUSTER_KEY
from pkg.objectstore.location import storage_location
from pkg.objectstore.store import ObjectStore
from pkg.testing import ark09
from pkg.testing.application import Application
from pkg.testing.ark09 import Ark09Repository
from pkg.testing.installation import NAMESPACE, Installation
from pkg.testing.processes import wait_until
from pkg.testing.standin_storage import IMMEDIATE

COMPLETED, FAILED, FAILED_VALIDATION = 0, 1, 3
OTHER_CLUSTER = "1b4e28ba-2fa1-11d2-883f-0016d3cca427"
GET_AND_LIST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Action": ["s3:GetObject", "s3:ListBucket", "s3:GetBucketLocation"], "Resource": ["*"]}
    ],
}


@dataclass(frozen=True, slots=True, kw_only=True)
class OldBuckets:
    """What Ark 0.9 left behind: a bucket of backups, and another one of repositories."""

    backups: str
    repositories: str
    installation: Installation

    def store(self, bucket: str = "") -> ObjectStore:
        provider = StorageProvider(name="aws", bucket=bucket or self.backups, config=self.installation.store_config())
        minio = self.installation.minio
        variables = {"AWS_ACCESS_KEY_ID": minio.access_key, "AWS_SECRET_ACCESS_KEY": minio.secret_key}
        return open_store(storage_location(provider), load_credentials("aws", variables))

    def listing(self) -> dict[str, tuple[int, str]]:
        """Every object of both buckets with its size and etag."""
        return {
            f"{bucket}/{found.key}": (found.size_bytes, found.etag)
            for bucket in (self.backups, self.repositories)
            for found in self.store(bucket).list("")
        }


@pytest.fixture(scope="module")
def old(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> OldBuckets:
    """Both buckets, with the contents of two volumes."""
    minio, mark = installation.minio, secrets.token_hex(3)
    made = OldBuckets(
        backups=minio.make_bucket(f"old-{mark}"),
        repositories=minio.make_bucket(f"old-restic-{mark}"),
        installation=installation,
    )
    repository = Ark09Repository(
        address=f"s3:{minio.endpoint}/{made.repositories}/repos/{ark09.NAMESPACE}",
        environment={"AWS_ACCESS_KEY_ID": minio.access_key, "AWS_SECRET_ACCESS_KEY": minio.secret_key},
    )
    repository.initialize()
    words = {"storage-class": IMMEDIATE}
    for volume in ("data", "scratch"):
        directory = tmp_path_factory.mktemp(volume)
        (directory / "file").write_text(f"precious {volume}\n")
        words[f"snapshot-of-{volume}"] = repository.back_up(directory, volume)
    ark09.write_backups(made.store(), words)
    return made


@pytest.fixture(scope="module")
def pointed(installation: Installation, old: OldBuckets) -> Iterator[OldBuckets]:
    """The installation looks at the old buckets, with 0.9's password; all is put back at the end."""
    access = installation.access
    kept = access.kubectl("get", "secret", CREDENTIALS_SECRET, "-n", NAMESPACE, "-o", "json", "--ignore-not-found")
    set_password(installation, ark09.PASSWORD)
    installation.apply_config(bucket=old.backups, resticLocation=f"{old.repositories}/repos")
    yield old
    access.kubectl("delete", "secret", CREDENTIALS_SECRET, "-n", NAMESPACE, "--ignore-not-found")
    if kept.strip():
        secret = json.loads(kept)
        own = {"name": CREDENTIALS_SECRET, "namespace": NAMESPACE, "annotations": secret["metadata"].get("annotations")}
        access.apply({"apiVersion": "v1", "kind": "Secret", "metadata": own, "data": secret["data"]})
    installation.apply_config()
    wait_until(
        lambda: (
            installation.ark(
                "backup", "create", unique("again"), "--include-namespaces", "default", "--wait", check=False
            ).returncode
            == COMPLETED
        ),
        timeout_seconds=60,
        what="the Config to be in force again",
    )


@pytest.fixture
def read_only(installation: Installation, pointed: OldBuckets, tmp_path: Path) -> Iterator[OldBuckets]:
    """Server and agent have credentials that may only get and list."""
    files = {file: file.read_text() for file in installation.credentials_files()}
    narrowed = installation.minio.restricted_credentials(GET_AND_LIST, tmp_path / "narrowed").read_text()
    for file in files:
        file.write_text(narrowed)
    touch_config(installation)
    yield pointed
    for file, text in files.items():
        file.write_text(text)
    touch_config(installation)


def set_password(installation: Installation, password: str) -> None:
    installation.access.kubectl("delete", "secret", CREDENTIALS_SECRET, "-n", NAMESPACE, "--ignore-not-found")
    installation.access.kubectl(
        *("create", "secret", "generic", CREDENTIALS_SECRET, "-n", NAMESPACE),
        f"--from-literal=repository-password={password}",
    )


def touch_config(installation: Installation) -> None:
    """Credentials are read again when the Config changes."""
    mark = f"test/touched={secrets.token_hex(3)}"
    installation.access.kubectl("annotate", "config.ark.heptio.com", "default", "-n", NAMESPACE, "--overwrite", mark)


def unique(prefix: str) -> str:
    return f"{prefix}-{secrets.token_hex(3)}"


def await_backup(installation: Installation, name: str) -> dict[str, object]:
    wait_until(
        lambda: status_of(installation, "backup", name).get("phase"),
        timeout_seconds=90,
        what=f"backup {name} to be found in the bucket",
        watched=[installation.server],
    )
    return installation.get("backup", name)


def status_of(installation: Installation, kind: str, name: str) -> dict[str, object]:
    found = [one for one in installation.objects(kind) if named(one) == name]
    status = found[0].get("status") if found else {}
    assert isinstance(status, dict)
    return status


def named(found: dict[str, object]) -> str:
    metadata = found["metadata"]
    assert isinstance(metadata, dict)
    return str(metadata["name"])


def annotations_of(found: dict[str, object]) -> dict[str, str]:
    metadata = found["metadata"]
    assert isinstance(metadata, dict)
    return metadata.get("annotations") or {}


def is_ready(installation: Installation) -> bool:
    try:
        with urllib.request.urlopen(f"http://{installation.metrics_address(installation.server)}/readyz", timeout=30):
            return True
    except urllib.error.HTTPError:
        return False


def test_a_backup_of_0_9_is_restored_with_its_volumes_by_credentials_that_may_only_get_and_list(
    installation: Installation, read_only: OldBuckets
) -> None:
    before = read_only.listing()
    found = await_backup(installation, ark09.BACKUP)
    assert annotations_of(found)[IMPORTED_ANNOTATION] == "5f2b0d7c-adb6-11e8-9b24-0242ac110002"
    await_backup(installation, ark09.FAILED_BACKUP)
    assert status_of(installation, "backup", ark09.FAILED_BACKUP)["phase"] == "Failed"
    assert is_ready(installation)
    refused = unique("refused")
    done = installation.ark("backup", "create", refused, "--wait", check=False)
    assert done.returncode == FAILED_VALIDATION
    status = status_of(installation, "backup", refused)
    assert (status["phase"], status["reason"]) == ("FailedValidation", "RestoreOnly")
    assert "Ark 0.9" in str(status["message"])

    target, restore = unique("shop"), unique("r")
    installation.ark(
        *("restore", "create", restore, "--from-backup", ark09.BACKUP, "--wait", "--timeout", "120s"),
        *("--namespace-mappings", f"{ark09.NAMESPACE}:{target}"),
    )
    restored = Application(installation.access, installation.nodes["node1"], target)
    restored.wait_running()
    for volume in ("data", "scratch"):
        assert restored.shell(volume, "cat file") == f"precious {volume}\n"
    described = installation.ark("restore", "describe", restore).stdout
    assert "Completed" in described
    assert 'msg="Restore ended"' in installation.ark("restore", "logs", restore).stdout
    assert status_of(installation, "restore", restore)["resultsConfigMap"]
    assert read_only.listing() == before
    installation.access.kubectl("delete", "namespace", target, "--wait=false")


@pytest.fixture(scope="module")
def adopted(installation: Installation, pointed: OldBuckets) -> OldBuckets:
    """Somebody decided that the old backups are this cluster's."""
    await_backup(installation, ark09.BACKUP)
    shown = installation.ark("adopt", "--confirm").stdout
    assert ark09.BACKUP in shown
    assert "2018-10-01T07:00:00Z" in shown
    wait_until(
        lambda: ADOPTED_ANNOTATION in annotations_of(installation.get("backup", ark09.BACKUP)),
        timeout_seconds=90,
        what="the backup to be adopted",
        watched=[installation.server],
    )
    return pointed


def test_adopted_backups_are_ours_and_the_bucket_is_written_again(
    installation: Installation, adopted: OldBuckets
) -> None:
    assert read_cluster(adopted.store()) == cluster_id(installation)
    record = installation.get("configmap", LOCATION_RECORD)["data"]
    assert isinstance(record, dict)
    assert record["state"] == "Ours"
    done = installation.ark("backup", "create", unique("own"), "--include-namespaces", "default", "--wait", check=False)
    assert done.returncode == COMPLETED, done.stdout + done.stderr
    assert status_of(installation, "backup", ark09.BACKUP)["phase"] == "Completed", "expired in 2018, and in its grace"


def test_a_place_that_another_cluster_took_over_makes_the_server_not_ready(
    installation: Installation, adopted: OldBuckets
) -> None:
    store = adopted.store()
    stamp = store.get(CLUSTER_KEY)
    store.put(CLUSTER_KEY, json.dumps({"clusterID": OTHER_CLUSTER}).encode())
    before = adopted.listing()
    try:
        name = unique("contested")
        done = installation.ark("backup", "create", name, "--include-namespaces", "default", "--wait", check=False)
        assert done.returncode == FAILED
        status = status_of(installation, "backup", name)
        assert status["reason"] == "ForeignCluster"
        for identity in (OTHER_CLUSTER, cluster_id(installation)):
            assert identity in str(status["message"])
        wait_until(lambda: not is_ready(installation), timeout_seconds=60, what="the server to be not Ready")
        assert adopted.listing() == before
    finally:
        store.put(CLUSTER_KEY, stamp)
    wait_until(lambda: is_ready(installation), timeout_seconds=90, what="the server to be Ready again")


def cluster_id(installation: Installation) -> str:
    return installation.access.kubectl("get", "namespace", "kube-system", "-o", "jsonpath={.metadata.uid}")


@pytest.mark.parametrize("kind", sorted(ark09.api_objects()))
def test_what_0_9_creates_in_the_api_is_accepted(installation: Installation, kind: str) -> None:
    given = ark09.api_objects()[kind]
    made = json.loads(
        installation.access.kubectl(
            *("create", "--dry-run=server", "--validate=strict", "-o", "json", "-f", "-"), stdin=json.dumps(given)
        )
    )
    kept = {key: value for key, value in given.items() if key not in ("metadata", "status")}
    assert missing(kept, made) == []


def missing(given: object, found: object) -> list[str]:
    """Paths of what has a value in one object and not the same in the other."""
    if isinstance(given, dict):
        other = found if isinstance(found, dict) else {}
        return [f"{key}.{path}" for key, value in given.items() for path in missing(value, other.get(key))]
    return [] if given is None or found == given else [f"={given}"]
