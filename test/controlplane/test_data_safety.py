"""What must never happen to data: deleted with an object, mixed with another cluster's, locked out, or told to all."""

from __future__ import annotations

import base64
import io
import json
import secrets
import tarfile
from collections.abc import Iterator

import pytest

from pkg.apis.ark import StorageProvider
from pkg.apis.names import CREDENTIALS_SECRET
from pkg.objectstore.catalog import read_cluster
from pkg.objectstore.cloud import open_store
from pkg.objectstore.credentials import load_credentials
from pkg.objectstore.layout import CLUSTER_KEY, backup_keys
from pkg.objectstore.location import storage_location
from pkg.objectstore.store import ObjectStore
from pkg.testing.application import Application
from pkg.testing.installation import NAMESPACE, Installation
from pkg.testing.processes import wait_until

FAILED, PARTIALLY_FAILED, FAILED_VALIDATION = 1, 2, 3
OTHER_CLUSTER = "1b4e28ba-2fa1-11d2-883f-0016d3cca427"


def unique(prefix: str) -> str:
    return f"{prefix}-{secrets.token_hex(3)}"


def store_of(installation: Installation, prefix: str = "") -> ObjectStore:
    provider = StorageProvider(
        name="aws", bucket=installation.bucket, prefix=prefix, config=installation.store_config()
    )
    file = str(installation.credentials_files()[0])
    return open_store(storage_location(provider), load_credentials("aws", {"AWS_SHARED_CREDENTIALS_FILE": file}))


def keys(store: ObjectStore) -> set[str]:
    return {found.key for found in store.list("")}


def status_of(installation: Installation, kind: str, name: str) -> dict[str, object]:
    status = installation.get(kind, name).get("status") or {}
    assert isinstance(status, dict)
    return status


def back_up(installation: Installation, *options: str) -> tuple[str, int, str]:
    name = unique("b")
    done = installation.ark("backup", "create", name, *options, "--wait", "--timeout", "120s", check=False)
    return name, done.returncode, done.stdout + done.stderr


@pytest.fixture
def application(installation: Installation) -> Iterator[Application]:
    annotations = {"backup.ark.heptio.com/backup-volumes": "data"}
    made = Application(installation.access, installation.nodes["node1"], unique("safe"), annotations=annotations)
    made.deploy()
    made.shell("data", "echo precious > file")
    yield made
    installation.access.kubectl("delete", "namespace", made.namespace, "--wait=false")


@pytest.fixture
def fresh_prefix(installation: Installation) -> Iterator[str]:
    """A place in the bucket where nobody has written; the Config is put back at the end."""
    prefix = unique("prefix")
    yield prefix
    installation.apply_config()
    wait_until(
        lambda: back_up(installation, "--include-namespaces", "default")[1] == 0,
        timeout_seconds=60,
        what="the Config to be in force again",
    )


def use_prefix(installation: Installation, prefix: str) -> None:
    installation.apply_config(prefix=prefix)


def test_what_people_own_is_not_written(installation: Installation, application: Application) -> None:
    namespace = application.namespace
    before = own_words(installation, namespace)
    backup, code, output = back_up(installation, "--include-namespaces", namespace)
    assert code == 0, output
    restore = unique("r")
    installation.ark("restore", "create", restore, "--from-backup", backup, "--wait", check=False)
    for kind, name in (("backup", backup), ("restore", restore)):
        metadata = installation.get(kind, name)["metadata"]
        assert isinstance(metadata, dict)
        assert metadata["generation"] == 1, f"somebody wrote the spec of {kind} {name}"
    assert own_words(installation, namespace) == before


def own_words(installation: Installation, namespace: str) -> object:
    """What people said of the application: all but the status."""
    items = [*installation.objects("pods", namespace), *installation.objects("pvc", namespace)]
    return [(item["kind"], item["spec"], annotated(item)) for item in items]


def annotated(item: dict[str, object]) -> tuple[object, object]:
    metadata = item["metadata"]
    assert isinstance(metadata, dict)
    return metadata.get("annotations"), metadata.get("labels")


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(["--include-namespaces", NAMESPACE], id="by namespace"),
        pytest.param(["--include-resources", "secrets"], id="by resource"),
    ],
)
def test_the_secrets_of_arks_own_namespace_are_in_no_tarball(installation: Installation, options: list[str]) -> None:
    access, canary = installation.access, secrets.token_hex(16)
    access.kubectl("create", "secret", "generic", unique("canary"), "-n", NAMESPACE, f"--from-literal=key={canary}")
    other = unique("other")
    access.kubectl("create", "namespace", other)
    access.kubectl("create", "secret", "generic", "kept", "-n", other, f"--from-literal=key={canary}")
    name, code, output = back_up(installation, *options)
    assert code == 0, output
    with tarfile.open(fileobj=io.BytesIO(store_of(installation).get(backup_keys(name).tarball))) as archive:
        held = {member.name: (archive.extractfile(member) or io.BytesIO()).read() for member in archive.getmembers()}
    telling = {path for path, text in held.items() if base64.b64encode(canary.encode()) in text}
    assert telling == ({f"resources/secrets/namespaces/{other}/kept.json"} if "secrets" in options else set())
    assert not [path for path in held if f"secrets/namespaces/{NAMESPACE}/" in path]
    access.kubectl("delete", "namespace", other, "--wait=false")


def test_deleting_a_backup_object_removes_nothing_and_does_not_hang_without_a_server(
    installation: Installation, application: Application
) -> None:
    name, code, output = back_up(installation, "--include-namespaces", application.namespace)
    assert code == 0, output
    for kind in ("backups", "podvolumebackups", "resticrepositories"):
        for found in installation.objects(kind):
            metadata = found["metadata"]
            assert isinstance(metadata, dict)
            assert not metadata.get("finalizers"), f"{kind} {metadata['name']}"
    # Of its own: what other tests left in the bucket may still be expiring, or being maintained.
    own = (f"{name}/", f"restic/{application.namespace}/")
    before = {key for key in keys(store_of(installation)) if key.startswith(own)}
    installation.server.stop()
    try:
        installation.access.kubectl("delete", "backup", name, "-n", NAMESPACE, "--timeout=60s", timeout_seconds=70)
    finally:
        installation.server.start()
        installation.wait_ready()
    back_up(installation, "--include-namespaces", "default")  # whatever the deletion set off has had its turn
    assert before <= keys(store_of(installation))
    assert backup_keys(name).metadata in before


def test_a_prefix_is_stamped_with_its_clusters_identity(installation: Installation, fresh_prefix: str) -> None:
    use_prefix(installation, fresh_prefix)
    store = store_of(installation, fresh_prefix)
    wait_until(
        lambda: back_up(installation, "--include-namespaces", "default")[1] == 0 and read_cluster(store),
        timeout_seconds=60,
        what="a backup below the new prefix",
    )
    assert read_cluster(store) == cluster_id(installation)


def cluster_id(installation: Installation) -> str:
    return installation.access.kubectl("get", "namespace", "kube-system", "-o", "jsonpath={.metadata.uid}")


def test_another_clusters_prefix_is_only_restored_from(installation: Installation, fresh_prefix: str) -> None:
    store = store_of(installation, fresh_prefix)
    store.put(CLUSTER_KEY, json.dumps({"clusterID": OTHER_CLUSTER}).encode())
    use_prefix(installation, fresh_prefix)
    name, code, output = back_up(installation, "--include-namespaces", "default")
    assert code == FAILED_VALIDATION
    status = status_of(installation, "backup", name)
    assert status["reason"] == "RestoreOnly"
    for text in (OTHER_CLUSTER, cluster_id(installation)):
        assert text in str(status["message"])
        assert text in output
    assert keys(store) == {CLUSTER_KEY}
    assert read_cluster(store) == OTHER_CLUSTER


def test_a_second_writer_on_a_prefix_is_refused_with_both_identities(
    installation: Installation, fresh_prefix: str
) -> None:
    use_prefix(installation, fresh_prefix)
    store = store_of(installation, fresh_prefix)
    wait_until(
        lambda: back_up(installation, "--include-namespaces", "default")[1] == 0 and read_cluster(store),
        timeout_seconds=60,
        what="a backup below the new prefix",
    )
    store.put(CLUSTER_KEY, json.dumps({"clusterID": OTHER_CLUSTER}).encode())
    before = keys(store)
    name, code, output = back_up(installation, "--include-namespaces", "default")
    assert code == FAILED
    status = status_of(installation, "backup", name)
    assert status["reason"] == "ForeignCluster"
    for text in (OTHER_CLUSTER, cluster_id(installation)):
        assert text in str(status["message"])
        assert text in output
    assert keys(store) == before


@pytest.fixture
def no_password(installation: Installation, application: Application) -> Iterator[None]:
    """The repository password's Secret is gone for a while, as in a cluster that was installed anew."""
    back_up(installation, "--include-namespaces", application.namespace)  # so that there is one
    access = installation.access
    secret = json.loads(access.kubectl("get", "secret", CREDENTIALS_SECRET, "-n", NAMESPACE, "-o", "json"))
    access.kubectl("delete", "secret", CREDENTIALS_SECRET, "-n", NAMESPACE)
    yield
    kept = {"name": CREDENTIALS_SECRET, "namespace": NAMESPACE, "annotations": secret["metadata"].get("annotations")}
    access.kubectl("delete", "secret", CREDENTIALS_SECRET, "-n", NAMESPACE, "--ignore-not-found")
    access.apply({"apiVersion": "v1", "kind": "Secret", "metadata": kept, "data": secret["data"]})


def test_no_password_is_made_where_repositories_exist(
    installation: Installation, fresh_prefix: str, no_password: None
) -> None:
    store_of(installation, fresh_prefix).put("restic/somebody/config", b"encrypted with a password that is not here")
    second = Application(
        installation.access,
        installation.nodes["node1"],
        unique("locked"),
        annotations={"backup.ark.heptio.com/backup-volumes": "data"},
    )
    second.deploy()
    use_prefix(installation, fresh_prefix)
    name, code, output = back_up(installation, "--include-namespaces", second.namespace)
    assert code == PARTIALLY_FAILED, output
    repository = status_of(installation, "resticrepository", second.namespace)
    assert (repository["phase"], repository["reason"]) == ("NotReady", "PasswordMissing")
    assert "ark recovery-kit import FILE" in str(repository["message"])
    assert f"kubectl -n {NAMESPACE} create secret generic {CREDENTIALS_SECRET}" in str(repository["message"])
    assert "PasswordMissing" in json.dumps(status_of(installation, "backup", name)["volumes"])
    assert CREDENTIALS_SECRET not in installation.access.kubectl("get", "secrets", "-n", NAMESPACE, "-o", "name")
    assert not [key for key in keys(store_of(installation, fresh_prefix)) if f"restic/{second.namespace}" in key]
    installation.access.kubectl("delete", "namespace", second.namespace, "--wait=false")
