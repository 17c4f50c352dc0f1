"""A volume of this node out of its repository, before its pod goes on."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from pkg.apis.ark import Config, StorageProvider
from pkg.apis.meta import JsonObject, ObjectMeta, ObjectReference
from pkg.apis.reasons import Reason
from pkg.apis.volumes import (
    PodVolumeRestore,
    PodVolumeRestoreSpec,
    PodVolumeRestoreStatus,
    ResticRepository,
    ResticRepositorySpec,
    ResticRepositoryStatus,
    RootMetadata,
    VolumeSize,
    VolumeSource,
)
from pkg.controllers.agent import Agent
from pkg.controllers.config import ConfigReconciler
from pkg.controllers.pod_volume_restore import RestoreKind
from pkg.controllers.volume_filling import VolumeFiller, silent_loss_of
from pkg.kube.refs import POD_VOLUME_RESTORES, SECRETS
from pkg.kube.stop import StopToken
from pkg.restic.command import Command
from pkg.restic.environment import ResticEnvironment
from pkg.restic.finished import Finished
from pkg.restic.messages import ErrorDetail, ExitError, ItemError, Snapshot, Summary
from pkg.testing.fakeapi import FakeApi
from pkg.testing.fakeclock import FakeClock
from pkg.testing.fakerestic import FakeRepository, FakeRestic, FakeSnapshot
from pkg.testing.fakes import FakeLister
from pkg.volumes.root import read_root

NAMESPACE = "heptio-ark"
PLACE = "/backups/app"
SNAPSHOT = "5" * 64
DIRECTORY = "kubernetes.io~empty-dir/data"


class World:
    """A node with a waiting pod, and a repository with one snapshot."""

    def __init__(self, tmp_path: Path) -> None:
        volumes = tmp_path / "pods" / "pod-1" / "volumes"
        self.directory = volumes / DIRECTORY
        self.markers = volumes / "kubernetes.io~empty-dir" / "ark-restore"
        self.directory.mkdir(parents=True)
        self.markers.mkdir()
        self.api, self.clock, self.restic = FakeApi(), FakeClock(), FakeRestic()
        snapshot = FakeSnapshot(snapshot=Snapshot(id=SNAPSHOT), files={"file": b"content"})
        self.restic.repositories[PLACE] = FakeRepository(id="id-1", password="pw", snapshots=[snapshot])
        secret: JsonObject = {"metadata": {"name": "ark-restic-credentials", "namespace": NAMESPACE}}
        data: JsonObject = {"repository-password": base64.b64encode(b"pw").decode()}
        self.api.add(SECRETS, {**secret, "data": data})
        self.api.add(POD_VOLUME_RESTORES, {"metadata": {"name": "r", "namespace": NAMESPACE, "uid": "pvr-1"}})
        repository = ResticRepository(
            metadata=ObjectMeta(name="app", namespace=NAMESPACE),
            spec=ResticRepositorySpec(restic_identifier=PLACE),
            status=ResticRepositoryStatus(phase="Ready", repository_id="id-1", password_generation=1),
        )
        provider = StorageProvider(name="local", bucket="bucket", config={"path": str(tmp_path)})
        config = Config(metadata=ObjectMeta(name="default", namespace=NAMESPACE), backup_storage_provider=provider)
        agent = Agent(
            node="n1",
            namespace=NAMESPACE,
            holder="agent-1",
            pods_dir=tmp_path / "pods",
            scratch_dir=tmp_path / "scratch",
            client=self.api.client,
            clock=self.clock,
            runner=self.restic,
            pods=FakeLister(),
            repositories=FakeLister([repository]),
            config=ConfigReconciler(FakeLister([config]), {}, NAMESPACE),
        )
        self.silent_loss = ""
        self.kind = RestoreKind(agent, VolumeFiller(agent, lambda directory: self.silent_loss))

    def run(
        self,
        *,
        snapshot: str = SNAPSHOT,
        repository_id: str = "id-1",
        root: RootMetadata | None = None,
        marker_only: bool = False,
        no_lock: bool = False,
        source: str = DIRECTORY,
        size: VolumeSize | None = None,
        strict: bool = False,
        stop: StopToken | None = None,
    ) -> JsonObject | None:
        volume = PodVolumeRestore(
            metadata=ObjectMeta(name="r", namespace=NAMESPACE, uid="pvr-1"),
            spec=PodVolumeRestoreSpec(
                pod=ObjectReference(namespace="app", name="web", uid="pod-1"),
                volume="data",
                repo_identifier=PLACE,
                snapshot_id=snapshot,
                repository="app",
                repository_id=repository_id,
                source=VolumeSource(directory=source),
                root=root,
                size=size,
                strict_metadata=strict,
                restore_uid="restore-1",
                marker_only=marker_only,
                no_lock=no_lock,
            ),
            status=PodVolumeRestoreStatus(phase="InProgress", attempts=1),
        )
        return self.kind.run(volume, stop or StopToken()).status

    def marker(self, outcome: str) -> Path:
        return self.markers / f"restore-1.data.{outcome}"

    @property
    def verbs(self) -> list[str]:
        return [command.verb for command in self.restic.commands]


def test_a_volume_is_filled_and_its_pod_told(tmp_path: Path) -> None:
    world = World(tmp_path)
    status = world.run()
    assert status is not None
    assert (status["phase"], status["path"]) == ("Completed", str(world.directory))
    assert (world.directory / "file").read_bytes() == b"content"
    assert world.marker("done").exists()
    assert not world.marker("failed").exists()


@pytest.mark.parametrize("no_lock", [True, False], ids=["nothing may be written", "as usual"])
def test_a_repository_that_must_not_be_written_is_read_without_a_lock(tmp_path: Path, no_lock: bool) -> None:
    world = World(tmp_path)
    world.run(no_lock=no_lock)
    assert ["--no-lock" in command.arguments for command in world.restic.commands] == [no_lock]


def test_the_pod_is_told_only_after_the_data_is_there(tmp_path: Path) -> None:
    world = World(tmp_path)
    seen: list[bool] = []

    def script(command: Command, environment: ResticEnvironment | None) -> Finished | None:
        seen.append(world.marker("done").exists())
        return None

    world.restic.script = script
    world.run()
    assert seen == [False]


def test_the_root_directory_gets_its_own_metadata_after_the_contents(tmp_path: Path) -> None:
    world = World(tmp_path)
    before = read_root(world.directory)
    wanted = RootMetadata(uid=before.uid, gid=before.gid, mode=0o2750, mtime_ns=1_000_000_000)
    world.run(root=wanted)
    after = read_root(world.directory)
    assert (after.mode, after.mtime_ns) == (0o2750, 1_000_000_000)


def test_a_marker_that_is_there_means_that_the_data_is(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.run()
    (world.directory / "file").write_bytes(b"changed by the application")
    status = world.run()
    assert status is not None
    assert status["phase"] == "Completed"
    assert (world.directory / "file").read_bytes() == b"changed by the application"
    assert world.verbs == ["restore"]


def test_a_claim_that_another_object_fills_only_gets_its_marker(tmp_path: Path) -> None:
    world = World(tmp_path)
    status = world.run(marker_only=True)
    assert status is not None
    assert status["phase"] == "Completed"
    assert world.marker("done").exists()
    assert world.verbs == []


def test_a_snapshot_of_another_repository_is_never_looked_for(tmp_path: Path) -> None:
    world = World(tmp_path)
    status = world.run(repository_id="id-0")
    assert status is not None
    assert (status["phase"], status["reason"]) == ("Failed", "ForeignRepository")
    assert world.verbs == []


def test_a_snapshot_of_0_9_names_no_repository_and_is_restored(tmp_path: Path) -> None:
    world = World(tmp_path)
    status = world.run(repository_id="", snapshot=SNAPSHOT[:8])
    assert status is not None
    assert (status["phase"], status["snapshotID"]) == ("Completed", SNAPSHOT)
    assert world.verbs == ["snapshots", "restore"]
    assert world.restic.commands[-1].arguments[-1] == SNAPSHOT


@pytest.mark.parametrize("snapshot", ["latest", "", "55555555:folder", "66666666"])
def test_what_names_no_snapshot_is_not_restored(tmp_path: Path, snapshot: str) -> None:
    world = World(tmp_path)
    status = world.run(snapshot=snapshot)
    assert status is not None
    assert (status["phase"], status["reason"]) == ("Failed", "BackupDamaged")
    assert "restore" not in world.verbs


def owner_refused(world: World) -> None:
    """Lets restic end as it does when it may not set the owner of two files."""

    def script(command: Command, environment: ResticEnvironment | None) -> Finished | None:
        text = "lchown /v/f: operation not permitted"
        return Finished(
            verb="restore",
            repository=PLACE,
            exit_code=1,
            item_errors=tuple(ItemError(error=ErrorDetail(message=text), item=f"/f{number}") for number in (1, 2)),
            messages=(
                Summary(total_files=2, files_restored=2, total_bytes=7, bytes_restored=7),
                ExitError(code=1, message="Fatal: There were 2 errors"),
            ),
        )

    world.restic.script = script


LOST = "owner, times or attributes of 2 files could not be set, first /f1: lchown /v/f: operation not permitted"


def test_lost_metadata_is_counted_and_the_pod_goes_on(tmp_path: Path) -> None:
    world = World(tmp_path)
    owner_refused(world)
    status = world.run()
    assert status is not None
    assert (status["phase"], status["reason"], status["message"]) == ("Completed", "MetadataLost", LOST)
    assert (status["metadataFailures"], status["metadataPaths"]) == (2, ["/f1", "/f2"])
    assert world.marker("done").exists()


def test_lost_metadata_is_a_failure_where_that_was_asked_for(tmp_path: Path) -> None:
    world = World(tmp_path)
    owner_refused(world)
    status = world.run(strict=True)
    assert status is not None
    assert (status["phase"], status["reason"]) == ("Failed", "MetadataLost")
    assert status["message"] == f"{LOST}; restore without --strict-metadata, or to a storage class that keeps them"
    assert not world.marker("done").exists()
    assert world.marker("failed").exists()


def test_an_agent_that_died_behind_the_marker_still_tells_what_was_lost(tmp_path: Path) -> None:
    world = World(tmp_path)
    owner_refused(world)
    world.run()
    status = world.run()
    assert status is not None
    assert (status["phase"], status["metadataFailures"], status["message"]) == ("Completed", 2, LOST)
    assert world.verbs == ["restore"]


@pytest.mark.parametrize(
    ("strict", "phase"),
    [pytest.param(False, "Completed", id="lenient"), pytest.param(True, "Failed", id="strict")],
)
def test_the_root_directory_counts_as_any_other(tmp_path: Path, strict: bool, phase: str) -> None:
    world = World(tmp_path)
    before = read_root(world.directory)
    attributes = {"nowhere.known": base64.b64encode(b"x").decode()}
    root = RootMetadata(uid=before.uid, gid=before.gid, mode=0o750, mtime_ns=before.mtime_ns, xattrs=attributes)
    status = world.run(root=root, strict=strict)
    assert status is not None
    assert (status["phase"], status["reason"]) == (phase, "MetadataLost")
    expected = "owner, times or attributes of a file could not be set, first /: attribute nowhere.known: "
    assert str(status["message"]).startswith(expected)


def test_what_restic_would_not_tell_is_refused_before_it_starts_where_that_was_asked_for(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.silent_loss = "the volume's file system keeps no extended attributes"
    assert (world.run(strict=True) or {}).get("reason") == "MetadataLost"
    assert world.verbs == []
    assert (world.run() or {}).get("phase") == "Completed"


def test_a_volume_that_is_too_small_is_refused_before_restic_starts(tmp_path: Path) -> None:
    world = World(tmp_path)
    status = world.run(size=VolumeSize(files=1, bytes=1 << 60, used_bytes=1 << 60))
    assert status is not None
    assert (status["phase"], status["reason"]) == ("Failed", "TargetFull")
    assert f"needs {1 << 40:,}.0 MiB" in str(status["message"])
    assert "give the claim more storage" in str(status["message"])
    assert world.verbs == []


def test_a_restore_of_fewer_files_than_the_backup_counted_is_a_failure(tmp_path: Path) -> None:
    world = World(tmp_path)
    status = world.run(size=VolumeSize(files=2, bytes=7))
    assert status is not None
    assert (status["phase"], status["reason"]) == ("Failed", "RestoreIncomplete")
    assert not world.marker("done").exists()


def test_a_failure_is_told_to_the_pod_with_its_reason(tmp_path: Path) -> None:
    world = World(tmp_path)
    status = world.run(snapshot="f" * 64)
    assert status is not None
    assert status["phase"] == "Failed"
    assert world.marker("failed").read_text() == f"{status['reason']}: {status['message']}"
    assert not world.marker("done").exists()


def test_a_directory_that_is_not_there_fails_before_restic_starts(tmp_path: Path) -> None:
    world = World(tmp_path)
    status = world.run(source="kubernetes.io~empty-dir/none")
    assert status is not None
    assert (status["phase"], status["reason"]) == ("Failed", "NotPropagated")
    assert world.verbs == []


def test_a_pod_without_a_place_for_markers_cannot_be_filled(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.markers.rmdir()
    status = world.run()
    assert status is not None
    assert (status["phase"], status["reason"]) == ("Failed", "TargetUnusable")


@pytest.mark.parametrize(
    ("why", "reason"),
    [
        pytest.param(Reason.CANCELED, "Canceled", id="canceled"),
        pytest.param(Reason.POD_DELETED, "PodDeleted", id="the pod goes away"),
    ],
)
def test_a_canceled_restore_tells_its_pod_why(tmp_path: Path, why: Reason, reason: str) -> None:
    world, stop = World(tmp_path), StopToken()
    stop.cancel(why)
    status = world.run(stop=stop)
    assert status is not None
    assert (status["phase"], status["reason"]) == ("Failed", reason)
    assert world.marker("failed").exists()


def test_a_restore_that_was_killed_for_want_of_memory_leaves_its_pod_waiting_for_a_run_alone(tmp_path: Path) -> None:
    world = World(tmp_path)
    killed = Finished(verb="restore", repository=PLACE, exit_code=137)
    world.restic.script = lambda command, environment: killed if command.verb == "restore" else None
    assert world.run() is None
    assert list(world.markers.iterdir()) == []


def test_an_interrupted_restore_leaves_its_pod_waiting(tmp_path: Path) -> None:
    world, stop = World(tmp_path), StopToken()
    stop.cancel("shutdown")
    assert world.run(stop=stop) is None
    assert list(world.markers.iterdir()) == []


def test_progress_is_written(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.run()
    shown = world.api.client.get(POD_VOLUME_RESTORES, NAMESPACE, "r", PodVolumeRestore).status.progress
    assert shown is not None
    assert shown.bytes_done == 7


def test_a_volume_that_vanishes_is_a_reason_and_no_crash(tmp_path: Path) -> None:
    world = World(tmp_path)

    def script(command: Command, environment: ResticEnvironment | None) -> Finished | None:
        world.directory.rmdir()
        return Finished(verb="restore", repository=PLACE, exit_code=0, messages=(Summary(),))

    world.restic.script = script
    status = world.run(root=RootMetadata(mode=0o755))
    assert status is not None
    assert (status["phase"], status["reason"]) == ("Failed", "TargetUnusable")
    assert str(status["message"]).startswith(f"{world.directory}: No such file or directory; look at the volume")


def test_an_agent_that_is_not_root_cannot_set_owners_and_restic_would_not_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert silent_loss_of(tmp_path) == "the agent does not run as root, so no owner can be set"
