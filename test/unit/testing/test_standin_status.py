"""What a kubelet would write at each stage of a pod."""

import datetime

import msgspec
import pytest

from pkg.apis.core import Container, PodStatus
from pkg.testing.standin_kinds import Pod, PodSpec, ProgramContainer
from pkg.testing.standin_status import Progress, Stage, status_of

STARTED = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)
POD = Pod(
    spec=PodSpec(
        containers=(ProgramContainer(name="app", image="app:1"),),
        init_containers=(Container(name="first"), Container(name="restic-wait")),
    )
)


def status(stage: Stage, **known: int | bool) -> PodStatus:
    """The status as the product decodes it."""
    progress = msgspec.convert({"stage": stage, "started": STARTED, **known}, Progress)
    return msgspec.convert(status_of(POD, progress), PodStatus)


@pytest.mark.parametrize(
    ("stage", "exit_code", "phase"),
    [
        (Stage.WAITING, 0, "Pending"),
        (Stage.INITIALIZING, 0, "Pending"),
        (Stage.BACKING_OFF, 1, "Pending"),
        (Stage.RUNNING, 0, "Running"),
        (Stage.ENDED, 0, "Succeeded"),
        (Stage.ENDED, 3, "Failed"),
    ],
)
def test_the_phase_follows_from_the_stage(stage: Stage, exit_code: int, phase: str) -> None:
    assert status(stage, exit_code=exit_code).phase == phase


@pytest.mark.parametrize(
    ("stage", "ready", "expected"),
    [
        pytest.param(Stage.RUNNING, True, "True", id="a running pod is ready"),
        pytest.param(Stage.RUNNING, False, "False", id="a running pod may be told not to be ready"),
        pytest.param(Stage.INITIALIZING, True, "False", id="a pod that initializes is not ready"),
        pytest.param(Stage.ENDED, True, "False", id="a pod that has ended is not ready"),
    ],
)
def test_readiness(stage: Stage, ready: bool, expected: str) -> None:
    conditions = {one.type: one.status for one in status(stage, ready=ready).conditions or ()}
    assert conditions["Ready"] == conditions["ContainersReady"] == expected


def test_init_containers_are_done_running_and_waiting_in_order() -> None:
    statuses = status(Stage.INITIALIZING, init_done=1).init_container_statuses or ()
    states = [(one.name, one.state) for one in statuses]
    assert [name for name, _ in states] == ["first", "restic-wait"]
    assert states[0][1].terminated
    assert states[1][1].running


def test_an_init_container_that_failed_waits_for_its_restart() -> None:
    first, *_ = status(Stage.BACKING_OFF, exit_code=1, restarts=2).init_container_statuses or ()
    assert first.state.waiting
    assert not first.state.running


def test_containers_wait_until_the_init_containers_are_done() -> None:
    (app,) = status(Stage.INITIALIZING).container_statuses or ()
    assert app.state.waiting
    (app,) = status(Stage.RUNNING, init_done=2).container_statuses or ()
    assert app.state.running
    assert app.state.running.started_at == STARTED
