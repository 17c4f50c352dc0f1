"""What a backup writes is what Ark 0.9 reads: its keys, its fields, their types, and the tarball's form."""

from __future__ import annotations

import gzip
import io
import json
import re
import tarfile
from pathlib import Path

import msgspec
import pytest

from pkg.apis.duration import parse_duration
from pkg.backup.engine import run_backup
from pkg.testing import ark09
from pkg.testing.fakebackup import BackupWorld

Path09 = re.compile(r"resources/[a-z0-9.-]+/(namespaces/[a-z0-9-]+|cluster)/[^/]+\.json")


class ExecHook09(msgspec.Struct, kw_only=True):
    """Go's ExecHook."""

    container: str = ""
    command: list[str] | None = None
    onError: str = ""
    timeout: str = "0s"


class ResourceHook09(msgspec.Struct, kw_only=True):
    """Go's BackupResourceHook."""

    exec: ExecHook09 | None = None


class ResourceHookSpec09(msgspec.Struct, kw_only=True):
    """Go's BackupResourceHookSpec."""

    name: str = ""
    includedNamespaces: list[str] | None = None
    includedResources: list[str] | None = None
    pre: list[ResourceHook09] | None = None
    post: list[ResourceHook09] | None = None


class Hooks09(msgspec.Struct, kw_only=True):
    """Go's BackupHooks."""

    resources: list[ResourceHookSpec09] | None = None


class Spec09(msgspec.Struct, kw_only=True):
    """Go's BackupSpec of 0.9, as its decoder takes it: unknown fields are passed over, known ones have their type."""

    includedNamespaces: list[str] | None = None
    excludedNamespaces: list[str] | None = None
    includedResources: list[str] | None = None
    excludedResources: list[str] | None = None
    labelSelector: dict[str, object] | None = None
    snapshotVolumes: bool | None = None
    ttl: str = "0s"
    includeClusterResources: bool | None = None
    hooks: Hooks09 | None = None


class Status09(msgspec.Struct, kw_only=True):
    """Go's BackupStatus of 0.9."""

    version: int
    phase: str
    expiration: str | None = None
    volumeBackups: dict[str, object] | None = None
    validationErrors: list[str] | None = None
    startTimestamp: str | None = None
    completionTimestamp: str | None = None


class Metadata09(msgspec.Struct, kw_only=True):
    """Go's ObjectMeta, what 0.9's sync needs of it."""

    name: str
    namespace: str
    uid: str
    labels: dict[str, str] | None = None


class Backup09(msgspec.Struct, kw_only=True):
    """Go's Backup of 0.9."""

    kind: str
    apiVersion: str
    metadata: Metadata09
    spec: Spec09
    status: Status09


@pytest.fixture
def files(tmp_path: Path) -> dict[str, bytes]:
    world = BackupWorld(tmp_path)
    world.namespace("shop")
    world.config_map("shop", "settings", labels={"app": "shop"})
    world.pod("shop", "db-0", claim="data-db-0")
    world.claim("shop", "data-db-0")
    hook = {"name": "freeze", "pre": [{"exec": {"command": ["sync"], "timeout": "30s", "onError": "Continue"}}]}
    world.spec({"ttl": "720h0m0s", "includedNamespaces": ["shop"], "hooks": {"resources": [hook]}})
    run_backup(world.job(), world.stop)
    return world.store.objects


def test_the_fixtures_themselves_have_the_form_of_0_9() -> None:
    for name in (ark09.BACKUP, ark09.FAILED_BACKUP):
        written = ark09.backup_files(name)
        assert msgspec.json.decode(written[f"{name}/ark-backup.json"], type=Backup09).metadata.name == name
        for member in members(written[f"{name}/{name}.tar.gz"]):
            assert_form(member)


def test_the_metadata_decodes_in_0_9(files: dict[str, bytes]) -> None:
    text = files["nightly/ark-backup.json"]
    found = msgspec.json.decode(text, type=Backup09)
    assert (found.kind, found.apiVersion) == ("Backup", "ark.heptio.com/v1")
    assert (found.metadata.name, found.metadata.namespace, found.status.phase) == ("nightly", "heptio-ark", "Completed")
    assert found.spec.includedNamespaces == ["shop"]
    assert parse_duration(found.spec.ttl) == 720 * 3600
    assert text.startswith(b"{\n  "), "0.9 wrote it to be read by people"


def test_times_are_as_go_reads_them(files: dict[str, bytes]) -> None:
    status = msgspec.json.decode(files["nightly/ark-backup.json"], type=Backup09).status
    for moment in (status.startTimestamp, status.completionTimestamp):
        assert moment is None or re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", moment)


def test_the_keys_of_0_9_are_there_and_what_is_added_lies_beside_them(files: dict[str, bytes]) -> None:
    assert {"nightly/ark-backup.json", "nightly/nightly.tar.gz", "nightly/nightly-logs.gz"} <= set(files)
    added = set(files) - {"nightly/ark-backup.json", "nightly/nightly.tar.gz", "nightly/nightly-logs.gz"}
    assert added == {"nightly/ark-claim.json", "nightly/nightly-volumes.json.gz"}


def test_the_tarball_has_the_form_of_0_9(files: dict[str, bytes]) -> None:
    found = members(files["nightly/nightly.tar.gz"])
    assert found
    for member in found:
        assert_form(member)


def test_a_pod_carries_its_snapshots_as_0_9_looks_for_them(files: dict[str, bytes]) -> None:
    data = files["nightly/nightly.tar.gz"]
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        pod = tar.extractfile("resources/pods/namespaces/shop/db-0.json")
        assert pod is not None
        annotations = json.load(pod)["metadata"]["annotations"]
    assert annotations["snapshot.ark.heptio.com/data"] == "db-0/data"


def test_the_log_is_gzipped_logfmt(files: dict[str, bytes]) -> None:
    lines = gzip.decompress(files["nightly/nightly-logs.gz"]).decode().splitlines()
    assert lines
    assert all(re.match(r"time=\S+ level=\w+ msg=", line) for line in lines)


def members(data: bytes) -> list[tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as tar:
        return tar.getmembers()


def assert_form(member: tarfile.TarInfo) -> None:
    assert Path09.fullmatch(member.name)
    assert (member.isreg(), member.mode) == (True, 0o755)
    assert member.mtime > 0
