"""A volume of this node into its repository."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from pkg.apis.ark import Config, StorageProvider
from pkg.apis.meta import JsonObject, ObjectMeta, ObjectReference
from pkg.apis.reasons import Reason
from pkg.apis.volumes import (
    PodVolumeBackup,
    PodVolumeBackupSpec,
    PodVolumeBackupStatus,
    ResticRepository,
    ResticRepositorySpec,
    ResticRepositoryStatus,
    VolumeSource,
)
from pkg.controllers.agent import Agent
from pkg.controllers.config import ConfigReconciler
from pkg.controllers.pod_volume_backup import BackupKind
from pkg.controllers.volume_plan import Step, Work, decide
from pkg.kube.errors import ServerError
from pkg.kube.refs import POD_VOLUME_BACKUPS, PODS, RESTIC_REPOSITORIES, SECRETS
from pkg.kube.stop import StopToken
from pkg.restic.command import Command
from pkg.restic.environment import ResticEnvironment
from pkg.restic.finished import Finished
from pkg.restic.messages import ExitError, Summary
from pkg.testing.fakeapi import FakeApi
from pkg.testing.fakeclock import FakeClock
from pkg.testing.fakerestic import FakeRepository, FakeRestic
from pkg.testing.fakes import FakeLister

NAMESPACE = "heptio-ark"
PLACE = "/backups/app"
SOURCE = VolumeSource(directory="kubernetes.io~empty-dir/data")


class World:
    """A node with one volume of one pod, and a repository that is Ready."""

    def __init__(self, tmp_path: Path) -> None:
        self.directory = tmp_path / "pods" / "pod-1" / "volumes" / SOURCE.directory
        self.directory.mkdir(parents=True)
        (self.directory / "file").write_bytes(b"content")
        self.api, self.clock, self.restic = FakeApi(), FakeClock(), FakeRestic()
        self.restic.repositories[PLACE] = FakeRepository(id="id-1", password="pw")
        secret: JsonObject = {"metadata": {"name": "ark-restic-credentials", "namespace": NAMESPACE}}
        data: JsonObject = {"repository-password": base64.b64encode(b"pw").decode()}
        self.api.add(SECRETS, {**secret, "data": data})
        self.repositories: FakeLister[ResticRepository] = FakeLister()
        self.repository()
        provider = StorageProvider(name="local", bucket="bucket", config={"path": str(tmp_path)})
        config = Config(metadata=ObjectMeta(name="default", namespace=NAMESPACE), backup_storage_provider=provider)
        self.configs = FakeLister([config])
        self.agent = Agent(
            node="n1",
            namespace=NAMESPACE,
            holder="agent-1",
            pods_dir=tmp_path / "pods",
            scratch_dir=tmp_path / "scratch",
            client=self.api.client,
            clock=self.clock,
            runner=self.restic,
            pods=FakeLister(),
            repositories=self.repositories,
            config=ConfigReconciler(self.configs, {}, NAMESPACE),
        )

    def repository(self, phase: str = "Ready", place: str = PLACE) -> None:
        status = ResticRepositoryStatus(phase=phase, repository_id="id-1", password_generation=1)
        spec = ResticRepositorySpec(restic_identifier=place)
        self.repositories.put(
            ResticRepository(metadata=ObjectMeta(name="app", namespace=NAMESPACE), spec=spec, status=status)
        )

    def volume(
        self, *, attempts: int = 1, parent: str = "", source: VolumeSource = SOURCE, uid: str = "pvb-1"
    ) -> PodVolumeBackup:
        self.api.add(POD_VOLUME_BACKUPS, {"metadata": {"name": uid, "namespace": NAMESPACE, "uid": uid}})
        return PodVolumeBackup(
            metadata=ObjectMeta(name=uid, namespace=NAMESPACE, uid=uid),
            spec=PodVolumeBackupSpec(
                pod=ObjectReference(namespace="app", name="web", uid="pod-1"),
                volume="data",
                repo_identifier=PLACE,
                repository="app",
                source=source,
                tags={"backup": "nightly"},
                parent_snapshot_id=parent,
            ),
            status=PodVolumeBackupStatus(phase="InProgress", attempts=attempts),
        )

    def run(self, volume: PodVolumeBackup, stop: StopToken | None = None) -> JsonObject | None:
        return BackupKind(self.agent).run(volume, stop or StopToken()).status

    def answer(self, verb: str, exit_code: int, message: ExitError | Summary | None = None) -> None:
        def script(command: Command, environment: ResticEnvironment | None) -> Finished | None:
            if command.verb != verb:
                return None
            found = (message,) if message else ()
            return Finished(verb=verb, repository=PLACE, exit_code=exit_code, messages=found)

        self.restic.script = script

    @property
    def verbs(self) -> list[str]:
        return [command.verb for command in self.restic.commands]

    @property
    def snapshots(self) -> list[str]:
        return [fake.snapshot.id for fake in self.restic.repositories[PLACE].snapshots]


def test_a_volume_is_captured_with_one_start_of_restic(tmp_path: Path) -> None:
    world = World(tmp_path)
    status = world.run(world.volume())
    assert status is not None
    assert (status["phase"], status["snapshotID"]) == ("Completed", world.snapshots[0])
    assert (status["repositoryID"], status["path"]) == ("id-1", str(world.directory))
    assert status["completionTimestamp"] == "2026-01-01T00:00:00Z"
    assert world.verbs == ["backup"]


def test_how_long_restic_ran_is_recorded_for_the_next_time(tmp_path: Path) -> None:
    world = World(tmp_path)
    made = Summary(snapshot_id="5" * 64)
    world.restic.script = lambda command, environment: Finished(
        verb=command.verb, repository=PLACE, exit_code=0, messages=(made,), seconds=2.3
    )
    status = world.run(world.volume())
    assert status is not None
    assert status["runSeconds"] == 3


def test_how_long_it_took_the_last_time_decides_over_the_slot(tmp_path: Path) -> None:
    world = World(tmp_path)
    volume = world.volume()
    known = msgspec.structs.replace(volume, spec=msgspec.structs.replace(volume.spec, last_run_seconds=59))
    kind = BackupKind(world.agent)
    assert (kind.last_seconds(volume), kind.last_seconds(known)) == (None, 59.0)


def test_what_the_root_directory_was_like_is_recorded(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.directory.chmod(0o2770)
    status = world.run(world.volume())
    assert status is not None
    assert isinstance(root := status["root"], dict)
    assert root["mode"] == 0o2770


def test_every_snapshot_carries_the_objects_uid(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.run(world.volume(uid="pvb-7"))
    tags = world.restic.repositories[PLACE].snapshots[0].snapshot.tags or ()
    assert {"backup=nightly", "pvb-uid=pvb-7"} <= set(",".join(tags).split(","))


@pytest.mark.parametrize(
    "status",
    [
        pytest.param({"attempts": 2}, id="after a run that failed"),
        pytest.param({"attempts": 1, "interruptions": 1}, id="after a run that was interrupted"),
    ],
)
def test_a_snapshot_that_an_earlier_run_finished_is_adopted(tmp_path: Path, status: JsonObject) -> None:
    world = World(tmp_path)
    volume = world.volume(parent="f" * 64)
    world.run(volume)
    world.restic.commands.clear()
    found = world.run(msgspec.structs.replace(volume, status=msgspec.convert(status, PodVolumeBackupStatus)))
    assert found is not None
    assert (found["phase"], found["snapshotID"]) == ("Completed", world.snapshots[0])
    assert len(world.snapshots) == 1
    assert world.verbs == ["snapshots", "backup"]


def test_what_changed_since_a_run_was_interrupted_is_captured_beside_what_it_had_finished(tmp_path: Path) -> None:
    world = World(tmp_path)
    volume = world.volume(parent="f" * 64)
    world.run(volume)
    first = world.snapshots[0]
    (world.directory / "later").write_text("new")
    world.restic.commands.clear()
    status = world.run(again(volume))
    assert status is not None
    assert status["snapshotID"] == world.snapshots[1]
    assert world.verbs == ["snapshots", "backup"]
    assert first in " ".join(world.restic.commands[1].arguments)


def test_a_restic_that_was_killed_for_want_of_memory_runs_alone_once_and_then_fails(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.answer("backup", 137)
    volume = world.volume()
    outcome = BackupKind(world.agent).run(volume, StopToken())
    assert (outcome.status, outcome.alone) == (None, True)
    status = PodVolumeBackupStatus(phase="InProgress", attempts=2, out_of_memory=1)
    alone = world.run(PodVolumeBackup(metadata=volume.metadata, spec=volume.spec, status=status))
    assert alone is not None
    assert (alone["phase"], alone["reason"]) == ("Failed", "OutOfMemory")
    assert "raise the memory limit" in str(alone["message"])


def test_an_interruption_does_not_make_a_capture_whole_that_lacks_files(tmp_path: Path) -> None:
    world = World(tmp_path)
    volume = world.volume()
    world.run(volume)  # its agent died after restic had ended with exit code 3, before it could say so
    world.answer("backup", 3, Summary(snapshot_id="5n4p"))
    status = world.run(again(volume))
    assert status is not None
    assert (status["reason"], status["unreadFiles"]) == ("UnreadFiles", 1)


def again(volume: PodVolumeBackup) -> PodVolumeBackup:
    """The same object, taken over by the next agent."""
    status = PodVolumeBackupStatus(phase="InProgress", attempts=volume.status.attempts + 1)
    return PodVolumeBackup(metadata=volume.metadata, spec=volume.spec, status=status)


def test_a_second_attempt_does_not_compare_with_the_snapshot_of_another_object(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.run(world.volume(uid="other"))
    status = world.run(again(world.volume(uid="pvb-1")))
    assert status is not None
    assert status["snapshotID"] == world.snapshots[1]


def test_a_parent_that_is_gone_costs_a_second_start_without_it(tmp_path: Path) -> None:
    world = World(tmp_path)
    status = world.run(world.volume(parent="f" * 64))
    assert status is not None
    assert status["phase"] == "Completed"
    assert world.verbs == ["backup", "backup"]
    assert "--parent" not in world.restic.commands[1].arguments


def test_a_restic_that_somebody_else_ended_runs_again(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.answer("backup", 143)
    outcome = BackupKind(world.agent).run(world.volume(), StopToken())
    assert outcome.status is None
    assert "ended restic" in outcome.again


def test_a_restic_that_ends_with_its_agent_is_left_to_the_next_one(tmp_path: Path) -> None:
    world = World(tmp_path)
    stop = StopToken()
    stop.cancel("shutdown")
    outcome = BackupKind(world.agent).run(world.volume(), stop)
    assert (outcome.status, outcome.again) == (None, "")


def test_a_snapshot_without_some_files_is_kept_and_says_so(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.answer("backup", 3, Summary(snapshot_id="5n4p"))
    status = world.run(world.volume())
    assert status is not None
    assert (status["phase"], status["reason"], status["snapshotID"]) == ("Completed", "UnreadFiles", "5n4p")
    assert status["unreadFiles"] == 1


@pytest.mark.parametrize(
    ("exit_code", "reason"),
    [
        pytest.param(1, Reason.INTERNAL, id="a failure that nobody knows"),
        pytest.param(12, Reason.WRONG_PASSWORD, id="the wrong password"),
    ],
)
def test_a_restic_that_fails_fails_the_volume_with_its_reason(tmp_path: Path, exit_code: int, reason: Reason) -> None:
    world = World(tmp_path)
    world.answer("backup", exit_code)
    status = world.run(world.volume())
    assert status is not None
    assert (status["phase"], status["reason"]) == ("Failed", reason.value)
    assert status["message"]


def missing_repository(world: World) -> None:
    world.repositories.objects.clear()


def unready_repository(world: World) -> None:
    world.repository(phase="NotReady")


def moved_repository(world: World) -> None:
    world.repository(place="/elsewhere")


def missing_config(world: World) -> None:
    world.configs.objects.clear()


def missing_password(world: World) -> None:
    world.api.remove(SECRETS, NAMESPACE, "ark-restic-credentials")


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        pytest.param(missing_repository, "RepositoryNotReady", id="there is no repository"),
        pytest.param(unready_repository, "RepositoryNotReady", id="the repository is not ready"),
        pytest.param(moved_repository, "RepositoryNotReady", id="the repository is elsewhere now"),
        pytest.param(missing_config, "ConfigMissing", id="there is no Config"),
        pytest.param(missing_password, "PasswordMissing", id="there is no password"),
    ],
)
def test_what_restic_needs_is_checked_before_it_starts(
    tmp_path: Path, damage: Callable[[World], None], reason: str
) -> None:
    world = World(tmp_path)
    damage(world)
    status = world.run(world.volume())
    assert status is not None
    assert (status["phase"], status["reason"]) == ("Failed", reason)
    assert world.verbs == []


def test_a_cache_that_is_behind_fails_nothing(tmp_path: Path) -> None:
    world = World(tmp_path)
    for behind in (missing_repository, unready_repository):
        behind(world)
        live: JsonObject = {"phase": "Ready", "repositoryID": "id-1", "passwordGeneration": 1}
        metadata: JsonObject = {"name": "app", "namespace": NAMESPACE}
        if world.api.get(RESTIC_REPOSITORIES, NAMESPACE, "app") is None:
            world.api.add(
                RESTIC_REPOSITORIES, {"metadata": metadata, "spec": {"resticIdentifier": PLACE}, "status": live}
            )
        status = world.run(world.volume(uid=behind.__name__))
        assert status is not None
        assert status["phase"] == "Completed"


def test_a_pod_that_the_cache_does_not_show_yet_is_asked_for_before_its_volume_fails(tmp_path: Path) -> None:
    world = World(tmp_path)
    assert world.agent.pod("app", "web", "pod-1") is None
    world.api.add(PODS, {"metadata": {"name": "web", "namespace": "app", "uid": "pod-1"}})
    found = BackupKind(world.agent).view(world.volume(), Work.NONE)
    assert decide(found).step is Step.CLAIM


def test_a_directory_that_must_be_a_mount_and_is_none_is_never_captured(tmp_path: Path) -> None:
    world = World(tmp_path)
    status = world.run(world.volume(source=VolumeSource(directory=SOURCE.directory, must_be_mount=True)))
    assert status is not None
    assert (status["phase"], status["reason"]) == ("Failed", "NotPropagated")
    assert world.verbs == []


def test_a_canceled_transfer_says_why_and_an_interrupted_one_says_nothing(tmp_path: Path) -> None:
    world = World(tmp_path)
    canceled, interrupted = StopToken(), StopToken()
    canceled.cancel(Reason.POD_DELETED)
    interrupted.cancel("shutdown")
    status = world.run(world.volume(), canceled)
    assert status is not None
    assert (status["phase"], status["reason"]) == ("Failed", "PodDeleted")
    assert world.run(world.volume(uid="pvb-2"), interrupted) is None


def test_progress_is_written_and_its_failure_fails_nothing(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.run(world.volume())
    shown = world.api.client.get(POD_VOLUME_BACKUPS, NAMESPACE, "pvb-1", PodVolumeBackup).status.progress
    assert shown is not None
    assert (shown.bytes_done, shown.total_bytes) == (7, 7)
    world.api.fail_next(ServerError("ill", code=500), method="PATCH")
    status = world.run(world.volume(uid="pvb-2"))
    assert status is not None
    assert status["phase"] == "Completed"


def test_an_object_that_was_deleted_meanwhile_fails_nothing_either(tmp_path: Path) -> None:
    world = World(tmp_path)
    volume = world.volume()
    world.api.remove(POD_VOLUME_BACKUPS, NAMESPACE, "pvb-1")
    status = world.run(volume)
    assert status is not None
    assert status["phase"] == "Completed"


def test_no_secret_is_in_what_a_failure_says(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.restic.repositories[PLACE] = FakeRepository(id="id-1", password="other")
    assert "pw" not in str(world.run(world.volume())).replace("WrongPassword", "")
