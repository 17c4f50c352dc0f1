"""The backup engine on a real API server and a real S3, without agents."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from pkg.apis.ark import Backup, StorageProvider
from pkg.apis.meta import JsonObject
from pkg.apis.reasons import BackupPhase, Reason
from pkg.backup.engine import run_backup
from pkg.backup.job import BackupJob
from pkg.kube.client import Client
from pkg.kube.discovery import discover
from pkg.kube.refs import BACKUPS, CONFIG_MAPS
from pkg.kube.stop import StopToken
from pkg.kube.transport import load_transport
from pkg.objectstore.catalog import read_metadata
from pkg.objectstore.cloud import open_store
from pkg.objectstore.credentials import load_credentials
from pkg.objectstore.layout import backup_keys
from pkg.objectstore.location import storage_location
from pkg.objectstore.store import ObjectStore
from pkg.testing.access import ClusterAccess
from pkg.testing.assets import REPOSITORY
from pkg.testing.fakebackup import FakeCapturer, FakeExec
from pkg.testing.minio import Minio

CRD_DIRECTORY = Path(REPOSITORY) / "config" / "crd"
MEBIBYTE = 1 << 20
OBJECTS, OBJECT_BYTES = 800, 100 * 1024  # 78 MiB


def store_of(endpoint: str, bucket: str, credentials_file: str) -> ObjectStore:
    config = {"s3Url": endpoint, "region": "us-east-1"}
    location = storage_location(StorageProvider(name="aws", bucket=bucket, prefix="cluster-a", config=config))
    return open_store(location, load_credentials("aws", {"AWS_SHARED_CREDENTIALS_FILE": credentials_file}))


def job_of(client: Client, store: ObjectStore, backup: Backup, scratch_dir: Path) -> BackupJob:
    return BackupJob(
        backup=backup,
        client=client,
        discover=lambda: discover(client),
        store=store,
        volumes=FakeCapturer(),
        cluster_id="cluster-a",
        confirm=lambda: None,
        execute=FakeExec(),
        on_progress=lambda total, done, volumes: None,
        scratch_dir=scratch_dir,
    )


@pytest.fixture(scope="module")
def client(control_plane: ClusterAccess) -> Client:
    control_plane.kubectl("apply", "--server-side", "--filename", str(CRD_DIRECTORY))
    control_plane.kubectl("wait", "--for=condition=Established", "--timeout=30s", "--filename", str(CRD_DIRECTORY))
    return Client(load_transport(str(control_plane.kubeconfig)))


@pytest.fixture
def store(minio: Minio, bucket: str, credentials_file: Path) -> ObjectStore:
    return store_of(minio.endpoint, bucket, str(credentials_file))


MakeBackup = Callable[..., Backup]


@pytest.fixture
def make_backup(client: Client, namespace: str) -> MakeBackup:
    def make(name: str = "nightly", epoch: int = 1, **spec: object) -> Backup:
        made = client.create(
            BACKUPS, namespace, {"metadata": {"name": name}, "spec": msgspec.to_builtins(spec)}, Backup
        )
        status: JsonObject = {"phase": "InProgress", "claim": {"holder": "test", "epoch": epoch}}
        return client.patch(BACKUPS, namespace, made.metadata.name, {"status": status}, Backup, subresource="status")

    return make


def members(store: ObjectStore, name: str = "nightly") -> dict[str, JsonObject]:
    file = io.BytesIO()
    store.get_to_file(backup_keys(name).tarball, file)
    file.seek(0)
    with tarfile.open(fileobj=file) as tar:
        return {one.name: json.load(found) for one in tar.getmembers() if (found := tar.extractfile(one))}


def test_a_whole_cluster_is_backed_up(
    client: Client, store: ObjectStore, make_backup: MakeBackup, namespace: str, tmp_path: Path
) -> None:
    client.create_raw(CONFIG_MAPS, namespace, {"metadata": {"name": "settings"}, "data": {"colour": "blue"}})
    # Pods of other tests may still be there, with volumes that nobody can capture.
    outcome = run_backup(job_of(client, store, make_backup(excludedResources=["pods"]), tmp_path), StopToken())
    assert (outcome.phase, outcome.message) == (BackupPhase.COMPLETED, "")
    stored = members(store)
    settings = stored[f"resources/configmaps/namespaces/{namespace}/settings.json"]
    assert settings == client.get_raw(CONFIG_MAPS, namespace, "settings")
    groups = {name.split("/")[1] for name in stored}
    assert {"namespaces", "serviceaccounts", "clusterroles.rbac.authorization.k8s.io"} <= groups
    assert not groups & {"events", "events.events.k8s.io", "leases.coordination.k8s.io", "backups.ark.heptio.com"}
    assert all(one["kind"] and one["apiVersion"] for one in stored.values())


def test_the_metadata_in_the_bucket_can_be_created_again(
    client: Client, store: ObjectStore, make_backup: MakeBackup, namespace: str, tmp_path: Path
) -> None:
    backup = make_backup(includedNamespaces=[namespace])
    outcome = run_backup(job_of(client, store, backup, tmp_path), StopToken())
    found = read_metadata(store, "nightly")
    assert found.backup.status == outcome.status
    client.delete(BACKUPS, namespace, "nightly")
    fresh: JsonObject = {"metadata": {"name": "nightly"}, "spec": found.raw["spec"]}
    client.create_raw(BACKUPS, namespace, fresh)
    client.patch_raw(BACKUPS, namespace, "nightly", {"status": found.raw["status"]}, subresource="status")


def test_the_status_of_an_outcome_is_accepted(
    client: Client, store: ObjectStore, make_backup: MakeBackup, namespace: str, tmp_path: Path
) -> None:
    backup = make_backup(includedNamespaces=[namespace])
    outcome = run_backup(job_of(client, store, backup, tmp_path), StopToken())
    patch: JsonObject = {"status": msgspec.to_builtins(outcome.status)}
    patched = client.patch(BACKUPS, namespace, "nightly", patch, Backup, subresource="status")
    assert patched.status.tarball_sha256 == outcome.status.tarball_sha256


def test_a_later_epoch_takes_over_and_another_backup_does_not(
    client: Client, store: ObjectStore, make_backup: MakeBackup, namespace: str, tmp_path: Path
) -> None:
    backup = make_backup(includedNamespaces=[namespace])
    store.put(
        backup_keys("nightly").claim,
        json.dumps({"backupUID": backup.metadata.uid, "clusterUID": "cluster-a", "epoch": 0}).encode(),
    )
    assert run_backup(job_of(client, store, backup, tmp_path), StopToken()).phase is BackupPhase.COMPLETED
    client.delete(BACKUPS, namespace, "nightly")
    other = make_backup(includedNamespaces=[namespace])
    outcome = run_backup(job_of(client, store, other, tmp_path), StopToken())
    assert (outcome.phase, outcome.reason) == (BackupPhase.FAILED_VALIDATION, Reason.NAME_TAKEN)


MEASURED = """
    import json, re, sys
    from pathlib import Path
    from pkg.apis.ark import Backup
    from pkg.backup.engine import run_backup
    from pkg.kube.client import Client
    from pkg.kube.refs import BACKUPS
    from pkg.kube.stop import StopToken
    from pkg.kube.transport import load_transport
    from test_backup_engine import job_of, store_of

    def peak_bytes():
        return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024

    kubeconfig, endpoint, bucket, credentials, namespace, scratch = sys.argv[1:]
    client = Client(load_transport(kubeconfig))
    backup = client.get(BACKUPS, namespace, "nightly", Backup)
    job = job_of(client, store_of(endpoint, bucket, credentials), backup, Path(scratch))
    job.discover()
    idle = peak_bytes()
    outcome = run_backup(job, StopToken())
    print(json.dumps({"phase": outcome.phase, "items": outcome.status.progress.total_items, "idle": idle,
                      "grown": peak_bytes() - idle}))
"""


def test_memory_does_not_grow_with_the_objects(
    control_plane: ClusterAccess,
    client: Client,
    minio: Minio,
    bucket: str,
    credentials_file: Path,
    make_backup: MakeBackup,
    namespace: str,
    tmp_path: Path,
) -> None:
    content = "x" * OBJECT_BYTES

    def fill(number: int) -> None:
        client.create_raw(CONFIG_MAPS, namespace, {"metadata": {"name": f"c{number}"}, "data": {"a": content}})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(fill, range(OBJECTS)))
    make_backup(includedNamespaces=[namespace])
    script = tmp_path / "measured.py"
    script.write_text("\n".join(line.removeprefix("    ") for line in MEASURED.splitlines()))
    arguments = [str(control_plane.kubeconfig), minio.endpoint, bucket, str(credentials_file), namespace, str(tmp_path)]
    path = f"{REPOSITORY}:{Path(__file__).parent}"
    shown = subprocess.run(
        [sys.executable, script, *arguments], check=True, capture_output=True, text=True, env={"PYTHONPATH": path}
    )
    found = json.loads(shown.stdout)
    assert found["phase"] == "Completed"
    assert found["items"] > OBJECTS
    assert found["grown"] < 48 * MEBIBYTE, found
