"""What an agent does next with a volume."""

import datetime
from typing import Any

import pytest

from pkg.apis.core import ContainerState, ContainerStateRunning, ContainerStatus, Pod, PodStatus
from pkg.apis.meta import ObjectMeta
from pkg.apis.names import RESTIC_WAIT_CONTAINER
from pkg.apis.reasons import Reason
from pkg.controllers.interruptions import MAX_ATTEMPTS, MAX_INTERRUPTIONS, RunCounts
from pkg.controllers.volume_plan import Step, VolumeView, Work, decide, restic_wait_runs

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def pod(*, uid: str = "uid-1", deleting: bool = False, waiting: bool = False) -> Pod:
    running = ContainerState(running=ContainerStateRunning(started_at=NOW))
    statuses = (
        ContainerStatus(name="other", state=ContainerState()),
        ContainerStatus(name=RESTIC_WAIT_CONTAINER, state=running if waiting else ContainerState()),
    )
    return Pod(
        metadata=ObjectMeta(name="web", namespace="app", uid=uid, deletion_timestamp=NOW if deleting else None),
        status=PodStatus(init_container_statuses=statuses),
    )


def view(**changes: Any) -> VolumeView:
    defaults: dict[str, Any] = {
        "phase": "",
        "attempts": 0,
        "next_run": RunCounts(attempts=1),
        "work": Work.NONE,
        "cancel": False,
        "pod": pod(),
        "pod_uid": "uid-1",
        "pod_key": "app/web",
    }
    return VolumeView(**{**defaults, **changes})


@pytest.mark.parametrize(
    ("changes", "step"),
    [
        pytest.param({}, Step.CLAIM, id="a new volume of a running pod is claimed"),
        pytest.param({"phase": "New"}, Step.CLAIM, id="phase New counts as new"),
        pytest.param(
            {"phase": "InProgress", "attempts": 1}, Step.CLAIM, id="a claim of a holder that is gone is taken over"
        ),
        pytest.param(
            {"phase": "InProgress", "attempts": 3, "next_run": RunCounts(attempts=MAX_ATTEMPTS)},
            Step.CLAIM,
            id="the third attempt is made",
        ),
        pytest.param(
            {"phase": "InProgress", "attempts": 3, "next_run": RunCounts(attempts=MAX_ATTEMPTS + 1)},
            Step.FAIL,
            id="the fourth attempt is not made",
        ),
        pytest.param(
            {"phase": "InProgress", "attempts": 1, "next_run": RunCounts(attempts=1, interruptions=MAX_INTERRUPTIONS)},
            Step.CLAIM,
            id="a volume is taken over after ten interruptions",
        ),
        pytest.param(
            {"phase": "InProgress", "attempts": 1, "next_run": RunCounts(attempts=1, interruptions=11)},
            Step.FAIL,
            id="a volume with which its agent ended eleven times is given up",
        ),
        pytest.param({"work": Work.RUNNING}, Step.WATCH, id="a running transfer is watched"),
        pytest.param({"work": Work.RUNNING, "seconds_left": 0.5}, Step.WATCH, id="it has some time left"),
        pytest.param({"work": Work.RUNNING, "seconds_left": 0.0}, Step.CANCEL, id="a transfer whose time is over"),
        pytest.param({"work": Work.FINISHED}, Step.RECORD, id="a finished transfer is recorded"),
        pytest.param({"phase": "Completed"}, Step.IGNORE, id="a completed volume is left alone"),
        pytest.param({"phase": "Failed"}, Step.IGNORE, id="a failed volume is left alone"),
        pytest.param({"phase": "Completed", "work": Work.FINISHED}, Step.FORGET, id="what was recorded is forgotten"),
        pytest.param(
            {"phase": "Failed", "work": Work.RUNNING},
            Step.CANCEL,
            id="a transfer that the server gave up is stopped and keeps its slot until then",
        ),
        pytest.param({"hold": True}, Step.HOLD, id="a volume whose pod is to be frozen is claimed with the pod's slot"),
        pytest.param({"hold": True, "held": True, "attempts": 1}, Step.WAIT, id="a held volume waits for the freeze"),
        pytest.param({"held": True, "attempts": 1}, Step.RUN, id="a held volume runs when its pod is frozen"),
        pytest.param(
            {"held": True, "attempts": MAX_ATTEMPTS}, Step.RUN, id="the last attempt is made when the pod is frozen"
        ),
        pytest.param(
            {"hold": True, "phase": "InProgress", "attempts": 1},
            Step.HOLD,
            id="a claim of a holder that died before the freeze is taken over",
        ),
        pytest.param(
            {"hold": True, "held": True, "cancel": True}, Step.FAIL, id="a held volume that is canceled fails"
        ),
        pytest.param({"cancel": True, "work": Work.RUNNING}, Step.CANCEL, id="a canceled transfer is stopped"),
        pytest.param({"cancel": True}, Step.FAIL, id="a canceled volume that never ran fails"),
        pytest.param(
            {"cancel": True, "work": Work.FINISHED}, Step.RECORD, id="a transfer that ended before the cancel counts"
        ),
        pytest.param({"pod": None}, Step.FAIL, id="a pod that is gone fails its volume"),
        pytest.param({"pod": None, "needs_wait": True}, Step.WAIT, id="a restore waits for a pod that is not seen yet"),
        pytest.param({"needs_wait": True}, Step.WAIT, id="a restore waits for restic-wait to run"),
        pytest.param(
            {"needs_wait": True, "pod": pod(waiting=True)}, Step.CLAIM, id="a restore starts when restic-wait runs"
        ),
        pytest.param(
            {"needs_wait": True, "phase": "InProgress", "attempts": 1},
            Step.CLAIM,
            id="an interrupted restore goes on although restic-wait may have ended",
        ),
        pytest.param({"pod": pod(deleting=True), "work": Work.RUNNING}, Step.CANCEL, id="a pod that goes away wins"),
    ],
)
def test_the_next_step(changes: dict[str, Any], step: Step) -> None:
    assert decide(view(**changes)).step is step


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        pytest.param({"cancel": True}, Reason.CANCELED, id="canceled"),
        pytest.param(
            {"cancel": True, "cancel_reason": Reason.FREEZE_EXCEEDED}, Reason.FREEZE_EXCEEDED, id="frozen for too long"
        ),
        pytest.param({"pod": None}, Reason.POD_GONE, id="pod gone"),
        pytest.param({"pod": pod(uid="uid-2")}, Reason.POD_GONE, id="pod replaced by one of the same name"),
        pytest.param({"pod": pod(deleting=True)}, Reason.POD_DELETED, id="pod being deleted"),
        pytest.param({"next_run": RunCounts(attempts=4)}, Reason.ATTEMPTS_EXHAUSTED, id="attempts exhausted"),
        pytest.param(
            {"next_run": RunCounts(attempts=1, interruptions=11)},
            Reason.ATTEMPTS_EXHAUSTED,
            id="interrupted without an end",
        ),
    ],
)
def test_a_failure_names_its_reason_and_the_pod(changes: dict[str, Any], reason: Reason) -> None:
    decision = decide(view(**changes))
    assert decision.step is Step.FAIL
    assert decision.reason is reason
    assert decision.message


def test_restic_wait_is_found_at_any_position() -> None:
    assert restic_wait_runs(pod(waiting=True))
    assert not restic_wait_runs(pod())
    assert not restic_wait_runs(None)
