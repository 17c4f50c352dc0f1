"""What a backup in the bucket may be instead of a backup: a clear message, the right phase, and nothing made."""

from __future__ import annotations

import errno
import gzip
import io
import tarfile
from typing import BinaryIO

import msgspec
import pytest

from pkg.apis.ark import RestoreSpec
from pkg.apis.meta import Json, JsonObject
from pkg.apis.reasons import Reason
from pkg.kube import refs
from pkg.objectstore.layout import backup_keys
from pkg.restore import archive
from pkg.restore.oplog import RestoreLog
from pkg.testing.fakerestore import RestoreWorld, captured

KEYS = backup_keys("b1")


def obj(kind: str, name: str, namespace: str = "shop", api_version: str = "v1", **fields: Json) -> JsonObject:
    metadata: JsonObject = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **fields}


def tar_with(name: str, kind: bytes = tarfile.REGTYPE) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w:gz") as tar:
        info = tarfile.TarInfo(name)
        info.type = kind
        info.linkname = "/etc/passwd" if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE) else ""
        tar.addfile(info, io.BytesIO(b""))
    return raw.getvalue()


POD = "resources/pods/namespaces/shop/web.json"


@pytest.fixture
def world() -> RestoreWorld:
    made = RestoreWorld()
    made.store_backup(obj("ConfigMap", "settings"), digest=False)
    return made


def nothing_is_made(world: RestoreWorld) -> bool:
    return world.api.count("POST") == 0


@pytest.mark.parametrize(
    ("key", "contents", "text"),
    [
        pytest.param(KEYS.tarball, b"no gzip", "does not decompress", id="a tarball that is none"),
        pytest.param(KEYS.tarball, gzip.compress(b"x" * 5000), "does not decode", id="a gzip without a tar"),
        pytest.param(KEYS.tarball, tar_with(POD)[:-30], "does not decompress", id="a tarball cut short"),
        pytest.param(KEYS.tarball, None, "is missing", id="no tarball"),
        pytest.param(KEYS.tarball, tar_with("../../etc/cron.d/x"), "unsafe name", id="a path that leads out"),
        pytest.param(KEYS.tarball, tar_with("/etc/passwd"), "unsafe name", id="an absolute path"),
        pytest.param(KEYS.tarball, tar_with(POD, tarfile.SYMTYPE), "neither file nor directory", id="a link"),
        pytest.param(KEYS.tarball, tar_with(POD, tarfile.LNKTYPE), "neither file nor directory", id="a hard link"),
        pytest.param(KEYS.tarball, tar_with(POD, tarfile.BLKTYPE), "neither file nor directory", id="a device"),
        pytest.param(KEYS.tarball, tar_with(POD, tarfile.FIFOTYPE), "neither file nor directory", id="a pipe"),
        pytest.param(KEYS.metadata, b"{", "does not decode", id="metadata that is no JSON"),
        pytest.param(KEYS.metadata, b"[]", "does not decode", id="metadata of another form"),
        pytest.param(
            KEYS.metadata, b'{"apiVersion":"ark.heptio.com/v2","kind":"Backup"}', "not a Backup of", id="a later API"
        ),
        pytest.param(KEYS.metadata, b'{"status":{"version":2}}', "has the format 2", id="a later format"),
        pytest.param(KEYS.volumes, b"{", "volumes", id="a volume list that is none"),
    ],
)
def test_a_damaged_backup_is_failed_before_anything_is_made(
    world: RestoreWorld, key: str, contents: bytes | None, text: str
) -> None:
    if contents is None:
        del world.store.files[key]
    else:
        world.store.files[key] = contents
    outcome = world.restore()
    assert (outcome.phase, outcome.reason) == ("Failed", Reason.BACKUP_DAMAGED)
    assert text in outcome.message
    assert nothing_is_made(world)


def test_another_digest_is_damage(world: RestoreWorld) -> None:
    world.store_backup(obj("ConfigMap", "settings"))
    world.store.files[KEYS.tarball] = tar_with(POD)
    outcome = world.restore()
    assert (outcome.phase, outcome.reason) == ("Failed", Reason.BACKUP_DAMAGED)
    assert "sha256" in outcome.message
    assert nothing_is_made(world)


def test_no_metadata_is_no_backup(world: RestoreWorld) -> None:
    del world.store.files[KEYS.metadata]
    outcome = world.restore()
    assert (outcome.phase, outcome.reason) == ("Failed", Reason.BACKUP_NOT_FOUND)
    assert nothing_is_made(world)


def test_a_bomb_does_not_fill_the_disk(world: RestoreWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "SMALL_BYTES", 1 << 20)
    world.store.files[KEYS.tarball] = gzip.compress(bytes(64 << 20))
    outcome = world.restore()
    assert (outcome.phase, outcome.reason) == ("Failed", Reason.BACKUP_DAMAGED)
    assert "unpacks to more than" in outcome.message


def test_a_bomb_of_names_does_not_fill_the_memory(world: RestoreWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_OBJECTS", 1)
    world.store_backup(obj("ConfigMap", "a"), obj("ConfigMap", "b"))
    assert "more than 1 objects" in world.restore().message


def test_an_object_that_is_too_large_concerns_only_itself(world: RestoreWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_OBJECT_BYTES", 500)
    world.store_backup(obj("ConfigMap", "large", data={"a": "x" * 1000}), obj("ConfigMap", "small"))
    outcome = world.restore()
    assert (outcome.phase, outcome.errors) == ("PartiallyFailed", 1)
    assert world.api.get(refs.CONFIG_MAPS, "shop", "small") is not None


@pytest.mark.parametrize(
    ("found", "text"),
    [
        pytest.param(
            obj("Deployment", "web", api_version="apps/v1beta9"),
            "",
            id="a version that is not served any more comes back in one that is",
        ),
        pytest.param(
            obj("Widget", "w", api_version="example.com/v1"),
            "widgets.example.com shop/w: the cluster does not serve example.com/v1 Widget",
            id="a kind whose definition is gone",
        ),
    ],
)
def test_versions_and_kinds_that_are_not_there(found: JsonObject, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    world = RestoreWorld()
    paths = {"Deployment": "deployments.apps", "Widget": "widgets.example.com"}
    metadata = found["metadata"]
    assert isinstance(metadata, dict)
    path = f"resources/{paths[str(found['kind'])]}/namespaces/shop/{metadata['name']}.json"
    monkeypatch.setattr("pkg.testing.fakerestore._path", lambda one: path)
    world.store_backup(found)
    outcome = world.restore()
    assert outcome.errors == (1 if text else 0)
    assert not text or (world.results().errors.namespaces or {})["shop"] == (text,)


def test_scratch_space_that_is_full_is_said(world: RestoreWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(key: str, file: BinaryIO) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(world.store, "get_to_file", full)
    outcome = world.restore()
    assert (outcome.phase, outcome.reason) == ("Failed", Reason.SCRATCH_FULL)
    assert "is full; give the server's pod more of it" in outcome.message
    assert nothing_is_made(world)


class FullDisk:
    """A file that has room for 100 bytes."""

    def __init__(self) -> None:
        self._file = io.BytesIO()

    def write(self, data: bytes) -> int:
        """Takes what fits."""
        if self._file.tell() + len(data) > 100:
            raise OSError(errno.ENOSPC, "No space left on device")
        return self._file.write(data)

    def __getattr__(self, name: str) -> object:
        return getattr(self._file, name)


def test_a_log_that_finds_no_room_costs_nothing_but_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.TemporaryFile", lambda **options: FullDisk())
    with RestoreLog("ark/r1", None) as log:
        for number in range(10_000):
            log.logger.info("Object restored", key=hex(number * 104729))
        assert len(log.packed()) <= 100


class TestCloudSnapshots:
    """0.9's cloud disk snapshots: an error each, never silence."""

    @pytest.fixture
    def world(self) -> RestoreWorld:
        made = RestoreWorld()
        spec: JsonObject = {
            "persistentVolumeReclaimPolicy": "Delete",
            "claimRef": {"namespace": "shop", "name": "data"},
        }
        claim = obj("PersistentVolumeClaim", "data", spec={"volumeName": "pv-1"})
        made.store_backup(obj("PersistentVolume", "pv-1", "", spec=spec), claim, volumes=None, digest=False)
        record = msgspec.json.decode(made.store.files[KEYS.metadata])
        snapshot = {"snapshotID": "snap-1", "type": "gp2", "availabilityZone": "us-east-1a"}
        record["status"]["volumeBackups"] = {"pv-1": snapshot}
        made.store.files[KEYS.metadata] = msgspec.json.encode(record)
        return made

    def test_it_is_an_error_that_names_the_snapshot(self, world: RestoreWorld) -> None:
        outcome = world.restore()
        assert (outcome.phase, outcome.reason) == ("PartiallyFailed", Reason.VOLUMES_MISSING)
        [text] = world.results().errors.cluster or ()
        assert "persistentvolumes pv-1" in text
        assert "snap-1 (gp2, us-east-1a)" in text

    @pytest.mark.parametrize(
        "spec",
        [
            pytest.param(RestoreSpec(backup_name="b1", restore_pvs=False), id="volumes are not wanted"),
            pytest.param(RestoreSpec(backup_name="b1", included_namespaces=("other",)), id="another namespace"),
            pytest.param(RestoreSpec(backup_name="b1", included_resources=("configmaps",)), id="other kinds"),
        ],
    )
    def test_it_is_none_where_it_was_not_asked_for(self, world: RestoreWorld, spec: RestoreSpec) -> None:
        assert world.restore(spec).errors == 0

    def test_it_is_none_where_restic_has_the_contents(self, world: RestoreWorld) -> None:
        pv = obj("PersistentVolume", "pv-1", "", spec={"claimRef": {"namespace": "shop", "name": "data"}})
        world.store_backup(pv, volumes=[captured("shop", "web", "data", claim="data")])
        record = msgspec.json.decode(world.store.files[KEYS.metadata])
        record["status"]["volumeBackups"] = {"pv-1": {"snapshotID": "snap-1"}}
        world.store.files[KEYS.metadata] = msgspec.json.encode(record)
        assert world.restore().errors == 0
