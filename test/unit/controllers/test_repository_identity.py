"""A repository that was wiped, or another one in its place: told with both ids, and given up only by a word for it."""

from __future__ import annotations

import base64
import datetime
from pathlib import Path
from typing import Any

import pytest

from pkg.apis.meta import JsonObject, ObjectMeta
from pkg.apis.names import REPLACE_ANNOTATION
from pkg.apis.reasons import Reason
from pkg.apis.volumes import (
    MaintenanceRun,
    PodVolumeBackup,
    PodVolumeBackupSpec,
    PodVolumeBackupStatus,
    ResticRepository,
    ResticRepositoryStatus,
    Verification,
)
from pkg.controllers.repository_looks import READY_INTERVAL_SECONDS, doubted_at
from pkg.controllers.restic_repository import NOT_READY_RETRY_SECONDS
from pkg.kube.errors import ConflictError
from pkg.kube.refs import RESTIC_REPOSITORIES, SECRETS
from pkg.manager.reconciler import again_in
from pkg.restic.command import Command
from pkg.restic.environment import ResticEnvironment
from pkg.restic.finished import Ended, Finished
from pkg.restic.messages import ExitError
from pkg.testing.fakerepository import KEY, NAMESPACE, FakeRepositoryWorld

NOON = datetime.datetime(2026, 5, 4, 12, tzinfo=datetime.UTC)
PINNED: JsonObject = {"phase": "NotReady", "repositoryID": "old", "passwordGeneration": 1}


@pytest.fixture
def world(tmp_path: Path) -> FakeRepositoryWorld:
    return FakeRepositoryWorld(tmp_path, place=f"{tmp_path}/bucket/restic/shop")


def leave(tmp_path: Path, *names: str) -> None:
    """Puts files where the repository was."""
    for name in names:
        path = tmp_path / "bucket" / "restic" / "shop" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")


def annotate(world: FakeRepositoryWorld, value: str) -> None:
    patch: JsonObject = {"metadata": {"annotations": {REPLACE_ANNOTATION: value}}}
    world.api.client.patch_raw(RESTIC_REPOSITORIES, NAMESPACE, KEY.name, patch)


def secret(world: FakeRepositoryWorld, **passwords: str) -> None:
    data: JsonObject = {
        key.replace("_", "-"): base64.b64encode(text.encode()).decode() for key, text in passwords.items()
    }
    world.api.remove(SECRETS, NAMESPACE, "ark-restic-credentials")
    world.api.add(SECRETS, {"metadata": {"name": "ark-restic-credentials", "namespace": NAMESPACE}, "data": data})


@pytest.mark.parametrize(
    "found",
    [pytest.param(None, id="wiped"), pytest.param("new", id="another one in its place")],
)
def test_what_is_not_the_pinned_one_is_told_with_the_command_that_gives_it_up(
    world: FakeRepositoryWorld, found: str | None
) -> None:
    if found:
        world.exists(found)
    world.add(initialize=True, status=PINNED)
    world.look()
    message = world.stored.status.message
    assert "old" in message
    assert found is None or found in message
    assert f"{REPLACE_ANNOTATION}=old" in message
    assert "init" not in world.verbs


def test_a_wiped_one_that_is_given_up_is_made_anew(world: FakeRepositoryWorld) -> None:
    world.add(status={**PINNED, "pendingForget": ["a" * 64], "fastKeyID": "f"}, give_up="old")
    world.look()
    status = world.stored.status
    (before,) = status.replaced or ()
    assert (status.phase, before.id) == ("Ready", "old")
    assert status.repository_id == world.restic.repositories[world.place].id
    assert f"{status.repository_id} took its place; what only it held cannot be restored" in before.message
    assert "1 snapshots that were to be forgotten" in before.message
    assert (status.pending_forget, status.fast_key_id, status.cluster_id) == (None, "", "cluster-1")
    assert world.told == [Reason.REPOSITORY_REPLACED]


def test_another_one_is_pinned_instead_and_never_written_over(world: FakeRepositoryWorld) -> None:
    world.exists("new")
    damaged: JsonObject = {"type": "Damaged", "status": "True"}
    world.add(status={**PINNED, "conditions": [damaged], "verification": {"suspect": "1/2"}}, give_up="old")
    world.look()
    status = world.stored.status
    assert (status.phase, status.repository_id) == ("Ready", "new")
    assert world.verbs == ["cat config"]
    assert (status.conditions, status.verification) == ((), None)


def test_it_is_given_up_once(world: FakeRepositoryWorld) -> None:
    world.exists("new")
    world.add(status=PINNED, give_up="old")
    world.look()
    world.exists("newer")
    world.clock.advance(READY_INTERVAL_SECONDS)
    world.look()
    assert (world.stored.status.phase, world.stored.status.reason) == ("NotReady", "ForeignRepository")
    assert world.stored.status.repository_id == "new"


@pytest.mark.parametrize(
    ("wish", "status"),
    [
        pytest.param("older", PINNED, id="another id was named"),
        pytest.param("none", PINNED, id="none is pinned, it says, but one is"),
        pytest.param("true", PINNED, id="a mere yes"),
        pytest.param("old", {"phase": "NotReady"}, id="none is pinned, but one was named"),
    ],
)
def test_a_wish_that_names_something_else_counts_for_nothing(
    world: FakeRepositoryWorld, wish: str, status: JsonObject
) -> None:
    world.add(status=status, give_up=wish)
    world.look()
    assert (world.stored.status.phase, world.stored.status.reason) == ("NotReady", "RepositoryMissing")
    assert "init" not in world.verbs


def test_where_none_was_ever_opened_the_wish_says_none(world: FakeRepositoryWorld) -> None:
    world.add(status={"phase": "NotReady"}, give_up="none")
    world.look()
    assert world.stored.status.phase == "Ready"
    assert world.stored.status.replaced is None


@pytest.mark.parametrize(
    ("exit_code", "message", "reason"),
    [
        pytest.param(12, "Fatal: wrong password or no key found", "WrongPassword", id="a wrong password"),
        pytest.param(1, "Fatal: unable to open config file: 403 Forbidden", "CredentialsRefused", id="no access"),
        pytest.param(1, "Fatal: unable to open config file: i/o timeout", "BackendUnreachable", id="no answer"),
        pytest.param(1, "Fatal: config cannot be loaded: ciphertext verification failed", "Internal", id="damage"),
        pytest.param(11, "repository is already locked", "LockTimeout", id="a lock"),
    ],
)
def test_nothing_but_its_absence_lets_one_be_made(
    world: FakeRepositoryWorld, exit_code: int, message: str, reason: str
) -> None:
    def refuse(command: Command, environment: ResticEnvironment | None) -> Finished:
        said = (ExitError(code=exit_code, message=message),)
        return Finished(verb=command.verb, repository="r", exit_code=exit_code, messages=said)

    world.restic.script = refuse
    world.add(status=PINNED, give_up="old")
    world.look()
    assert (world.stored.status.phase, world.stored.status.reason) == ("NotReady", reason)
    assert "init" not in world.verbs


def test_what_is_left_of_it_is_not_built_over(world: FakeRepositoryWorld, tmp_path: Path) -> None:
    """A lost config can be brought back; a new repository's first prune would take the packs that are left."""
    leave(tmp_path, "data/aa/pack", "keys/k")
    world.add(status=PINNED, give_up="old")
    world.look()
    assert world.stored.status.reason == "RepositoryMissing"
    assert "files of one are left" in world.stored.status.message
    assert "init" not in world.verbs


def test_an_old_lock_is_nothing_to_keep(world: FakeRepositoryWorld, tmp_path: Path) -> None:
    leave(tmp_path, "locks/l")
    world.add(status=PINNED, give_up="old")
    world.look()
    assert world.stored.status.phase == "Ready"


def test_none_is_made_at_a_place_that_the_config_does_not_have(tmp_path: Path) -> None:
    moved = FakeRepositoryWorld(tmp_path, place="/elsewhere/shop")
    moved.add(status=PINNED, give_up="old")
    moved.look()
    assert "not where the Config has" in moved.stored.status.message
    assert "init" not in moved.verbs


def test_an_installation_that_only_restores_makes_none(tmp_path: Path) -> None:
    (tmp_path / "bucket").mkdir()
    (tmp_path / "bucket" / "ark-cluster.json").write_text('{"clusterID": "another"}')
    world = FakeRepositoryWorld(tmp_path, place=f"{tmp_path}/bucket/restic/shop")
    world.add(status=PINNED, give_up="old")
    world.look()
    assert "only restores" in world.stored.status.message
    assert "init" not in world.verbs


def test_a_wish_that_is_withdrawn_meanwhile_changes_nothing(world: FakeRepositoryWorld) -> None:
    world.exists("new")
    world.add(status=PINNED, give_up="old")
    world.reconcile()
    world.await_end()
    annotate(world, "")
    world.reconcile()
    assert world.stored.status.repository_id == "old"


def test_a_server_that_dies_between_making_and_pinning_pins_what_it_made(world: FakeRepositoryWorld) -> None:
    world.add(status=PINNED, give_up="old")
    world.reconcile()
    world.await_end()
    world.api.fail_next(ConflictError("stale"), method="PATCH")
    with pytest.raises(ConflictError):
        world.reconcile()
    world.reconcile()
    assert world.verbs.count("init") == 1
    assert world.stored.status.repository_id == world.restic.repositories[world.place].id


def test_a_ready_one_is_looked_at_once_a_week(world: FakeRepositoryWorld) -> None:
    world.exists("old")
    world.add(status={**PINNED, "phase": "Ready"})
    assert world.look() == again_in(READY_INTERVAL_SECONDS)
    world.clock.advance(READY_INTERVAL_SECONDS)
    world.look()
    assert world.verbs == ["cat config"] * 2


@pytest.mark.parametrize(
    ("exists", "reason"),
    [pytest.param(None, "RepositoryMissing", id="wiped"), pytest.param("new", "ForeignRepository", id="another")],
)
def test_a_ready_one_that_is_not_there_any_more_is_told_with_an_event(
    world: FakeRepositoryWorld, exists: str | None, reason: str
) -> None:
    if exists:
        world.exists(exists)
    world.add(status={**PINNED, "phase": "Ready"})
    assert world.look() == again_in(NOT_READY_RETRY_SECONDS)
    assert (world.stored.status.phase, world.stored.status.reason) == ("NotReady", reason)
    assert world.told == [Reason(reason)]


def test_a_store_that_does_not_answer_leaves_a_ready_one_ready(world: FakeRepositoryWorld) -> None:
    world.restic.script = lambda command, environment: Finished(
        verb=command.verb, repository="r", exit_code=1, ended=Ended.NO_PROGRESS, reports_progress=False
    )
    world.add(status={**PINNED, "phase": "Ready"})
    assert world.look() == again_in(READY_INTERVAL_SECONDS)
    assert world.stored.status.phase == "Ready"
    assert world.stored.status.checked_at == world.clock.now()


def test_what_a_capture_met_makes_the_next_look_come_at_once(world: FakeRepositoryWorld) -> None:
    world.exists("new")
    world.add(status={**PINNED, "phase": "Ready", "checkedAt": world.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")})
    world.reconcile()
    assert world.verbs == []
    world.clock.advance(60)
    world.doubted = world.clock.now()
    world.look()
    assert world.stored.status.reason == "ForeignRepository"


def test_a_ready_one_that_is_given_up_is_looked_at_once(world: FakeRepositoryWorld) -> None:
    world.exists("old")
    world.add(status={**PINNED, "phase": "Ready", "checkedAt": world.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")})
    annotate(world, "old")
    world.look()
    world.reconcile()
    assert world.verbs == ["cat config"], "it is there, so nothing is given up, and nobody asks again and again"
    assert (world.stored.status.repository_id, world.stored.status.replaced) == ("old", None)


def test_a_wish_that_found_the_pinned_one_there_does_not_wait_for_the_day_it_is_gone(
    world: FakeRepositoryWorld,
) -> None:
    world.exists("old")
    world.add(status={**PINNED, "phase": "Ready", "checkedAt": world.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")})
    annotate(world, "old")
    world.look()
    assert world.stored.metadata.annotation(REPLACE_ANNOTATION) == ""
    del world.restic.repositories[world.place]
    world.clock.advance(READY_INTERVAL_SECONDS)
    world.look()
    assert (world.stored.status.phase, world.stored.status.reason) == ("NotReady", "RepositoryMissing")
    assert "init" not in world.verbs


def test_a_doubt_by_a_clock_that_is_ahead_asks_once_when_its_time_has_come(world: FakeRepositoryWorld) -> None:
    world.exists("old")
    world.add(status={**PINNED, "phase": "Ready", "checkedAt": world.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")})
    world.clock.advance(60)
    world.doubted = world.clock.now() + datetime.timedelta(seconds=300)
    assert world.reconcile() == again_in(300)
    world.clock.advance(300)
    world.look()
    world.reconcile()
    assert world.verbs == ["cat config"]


def test_one_that_was_just_found_gone_is_looked_at_at_once_when_it_is_given_up(world: FakeRepositoryWorld) -> None:
    world.add(status={**PINNED, "checkedAt": world.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")})
    assert world.reconcile() == again_in(NOT_READY_RETRY_SECONDS)
    annotate(world, "old")
    world.look()
    assert world.stored.status.phase == "Ready"


@pytest.mark.parametrize(
    ("phase", "reason", "repository", "counts"),
    [
        pytest.param("Failed", "WrongPassword", "shop", True, id="a capture found a wrong password"),
        pytest.param("Failed", "BackendUnreachable", "shop", False, id="the store was away"),
        pytest.param("Failed", "WrongPassword", "till", False, id="in another repository"),
        pytest.param("Completed", "", "shop", False, id="all was well"),
    ],
)
def test_whose_trouble_makes_a_repository_doubtful(phase: str, reason: str, repository: str, counts: bool) -> None:
    spec = PodVolumeBackupSpec(repository=repository, repo_identifier="s3:x")
    status = PodVolumeBackupStatus(phase=phase, reason=reason, completion_timestamp=NOON)
    of = named("shop")
    assert doubted_at(of, [PodVolumeBackup(spec=spec, status=status)], []) == (NOON if counts else None)


def named(name: str, **status: Any) -> ResticRepository:
    return ResticRepository(metadata=ObjectMeta(name=name), status=ResticRepositoryStatus(**status))


def test_a_job_makes_it_doubtful_too() -> None:
    run = MaintenanceRun(verb="prune", phase="Failed", reason="ForeignRepository", completion_timestamp=NOON)
    assert doubted_at(named("shop", maintenance=(run,)), [], []) == NOON
    assert doubted_at(named("shop", verification=Verification(runs=(run,))), [], []) == NOON


@pytest.mark.parametrize(
    ("status", "generation"),
    [
        pytest.param({}, 1, id="never opened: a kit with several generations in a new cluster"),
        pytest.param(
            PINNED | {"repositoryID": "id-1", "passwordGeneration": 2, "fastKeyID": "of the old"},
            1,
            id="the key of the pinned is gone",
        ),
    ],
)
def test_the_generation_that_opens_it_is_found_and_pinned(
    world: FakeRepositoryWorld, status: JsonObject, generation: int
) -> None:
    secret(world, repository_password="first", repository_password_2="second", repository_password_10="tenth")
    world.exists("id-1", password="first")
    world.add(status=status)
    world.look()
    found = world.stored.status
    assert (found.phase, found.repository_id, found.password_generation) == ("Ready", "id-1", generation)
    assert found.fast_key_id == ""


def test_a_new_repository_gets_the_newest_password(world: FakeRepositoryWorld) -> None:
    secret(world, repository_password="first", repository_password_2="second")
    world.add(initialize=True)
    world.look()
    assert world.stored.status.password_generation == 2
    assert world.restic.repositories[world.place].password == "second"


def test_a_password_that_opens_nothing_is_told_as_that(world: FakeRepositoryWorld) -> None:
    secret(world, repository_password="first", repository_password_2="second")
    world.exists("id-1", password="another")
    world.add(initialize=True)
    world.look()
    assert (world.stored.status.phase, world.stored.status.reason) == ("NotReady", "WrongPassword")
    assert world.verbs == ["cat config", "cat config"]
