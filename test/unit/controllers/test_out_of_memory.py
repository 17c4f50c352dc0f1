"""A volume for which restic was killed for want of memory: once more, alone, and then never again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pkg.apis.meta import JsonObject
from pkg.apis.reasons import Reason
from pkg.apis.volumes import PodVolumeBackupStatus
from pkg.controllers.out_of_memory import failure_text, runs_alone_next
from pkg.controllers.volume_reconciler import VolumeOutcome, failed_status
from pkg.restic.classify import error_from
from pkg.restic.errors import ResticError
from pkg.restic.finished import Finished
from pkg.testing.fakeapi import FakeApi
from pkg.testing.fakevolume import CAPTURED, VolumeWorld, until_stopped
from pkg.workqueue.key import Key

KILLED = error_from(Finished(verb="backup", repository="r", exit_code=137, killed_because="900 of 1000 MiB"))
SHOT = error_from(Finished(verb="backup", repository="r", exit_code=137, was_short_of_memory=False))
LOCKED = error_from(Finished(verb="backup", repository="r", exit_code=11))


@pytest.mark.parametrize(
    ("error", "status", "alone"),
    [
        pytest.param(KILLED, PodVolumeBackupStatus(attempts=1), True, id="the first time"),
        pytest.param(KILLED, PodVolumeBackupStatus(attempts=2, out_of_memory=1), False, id="it was alone already"),
        pytest.param(KILLED, PodVolumeBackupStatus(attempts=3), False, id="no attempt is left"),
        pytest.param(SHOT, PodVolumeBackupStatus(attempts=1), False, id="somebody else killed it"),
        pytest.param(LOCKED, PodVolumeBackupStatus(attempts=1), False, id="another failure"),
    ],
)
def test_when_it_runs_alone(error: ResticError, status: PodVolumeBackupStatus, alone: bool) -> None:
    assert runs_alone_next(error, status) is alone


def test_a_failure_for_good_says_what_to_do() -> None:
    text = failure_text(KILLED, PodVolumeBackupStatus(attempts=2, out_of_memory=1))
    assert text == "restic backup: 900 of 1000 MiB; it ran alone on its node: raise the memory limit of the agents"
    assert failure_text(LOCKED, PodVolumeBackupStatus()) == str(LOCKED)


@pytest.fixture
def world() -> Iterator[VolumeWorld]:
    made = VolumeWorld(slots=4)
    yield made
    made.operations.cancel_all("the test is over")


def test_it_runs_again_with_nobody_beside_it(world: VolumeWorld) -> None:
    large, other = world.add("large"), world.add("other")
    world.kind.work = lambda stop: VolumeOutcome(status=None, again="900 of 1000 MiB", alone=True)
    world.reconcile(large)
    world.await_end()
    world.reconcile(large)
    status = world.stored(large).status
    assert (status.phase, status.attempts, status.out_of_memory) == ("InProgress", 2, 1)
    assert status.message == "it runs again, alone on its node: 900 of 1000 MiB"

    world.kind.work = until_stopped
    world.reconcile(large)
    world.reconcile(other)
    assert [ran.metadata.name for ran in world.kind.ran] == ["large", "large"]
    assert world.agent.solitude.kept


def test_who_began_before_goes_on_and_is_waited_for(world: VolumeWorld) -> None:
    other = world.add("other")
    large = world.add("large", status={"phase": "InProgress", "holder": "agent-1", "attempts": 2, "outOfMemory": 1})
    world.kind.work = until_stopped
    world.reconcile(other)
    world.reconcile(large)
    assert [ran.metadata.name for ran in world.kind.ran] == ["other"]
    world.operations.cancel(other, Reason.CANCELED)
    world.await_end()
    world.reconcile(other)
    world.reconcile(large)
    assert [ran.metadata.name for ran in world.kind.ran] == ["other", "large"]


def test_the_next_agent_runs_it_alone_too() -> None:
    api = FakeApi()
    status: JsonObject = {"phase": "InProgress", "holder": "agent-1", "attempts": 2, "outOfMemory": 1}
    large = VolumeWorld(api).add("large", status=status)
    successor = VolumeWorld(api, holder="agent-2", slots=4)
    other = successor.add("other")
    successor.kind.work = until_stopped
    successor.reconcile(large)
    successor.reconcile(other)
    assert [ran.metadata.name for ran in successor.kind.ran] == ["large"]
    successor.operations.cancel_all("the test is over")


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(CAPTURED, id="it was captured"),
        pytest.param(failed_status(Reason.OUT_OF_MEMORY, "again", "2026-01-01T00:00:00Z"), id="it failed for good"),
    ],
)
def test_after_its_end_the_others_go_on(world: VolumeWorld, end: JsonObject) -> None:
    large = world.add("large", status={"phase": "InProgress", "holder": "agent-1", "attempts": 2, "outOfMemory": 1})
    other: Key = world.add("other")
    world.kind.work = lambda stop: VolumeOutcome(status=end)
    world.reconcile(large)
    world.await_end()
    world.reconcile(large)
    world.reconcile(other)
    assert [ran.metadata.name for ran in world.kind.ran] == ["large", "other"]
    assert world.stored(large).status.phase == end["phase"]
