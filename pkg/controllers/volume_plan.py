"""What an agent does next with a volume, decided from what is seen and from nothing else.

A PodVolumeBackup and a PodVolumeRestore walk the same path: wait, claim with a slot, run, record. The functions
here are pure; the reconcilers beside them carry the decisions out. `holder` names one agent process
(`<pod uid>/<start>`), so a claim by another holder on the same node is a claim by a dead one: a node has one agent.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from pkg.apis.core import Pod
from pkg.apis.names import RESTIC_WAIT_CONTAINER
from pkg.apis.reasons import Reason, VolumePhase
from pkg.controllers.interruptions import RunCounts


class Step(Enum):
    """What to do."""

    IGNORE = "ignore"
    FORGET = "forget"
    WAIT = "wait"
    WATCH = "watch"
    CANCEL = "cancel"
    RECORD = "record"
    CLAIM = "claim"
    HOLD = "hold"
    RUN = "run"
    FAIL = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A step, and why; `reason` and `message` count for CANCEL and FAIL, `again_seconds` for WATCH."""

    step: Step
    reason: Reason = Reason.INTERNAL
    message: str = ""
    again_seconds: float | None = None


class Work(Enum):
    """What this process has to do with the object."""

    NONE = "none"
    RUNNING = "running"
    FINISHED = "finished"


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeView:
    """What the decision rests on.

    Attributes:
        next_run: How a run that begins now would count.
        pod: The pod as this node's cache holds it; None when it is not there.
        pod_uid: The UID that the object names.
        needs_wait: A restore: the pod's restic-wait must be running before anything is written.
        hold: A backup whose pod is not frozen yet.
        freeze: Tells the pod's freeze by one backup from every other; its volumes share a slot.
        held: This process has claimed it and counts it to that slot.
        cancel_reason: What to record of a cancellation.
        seconds_left: What is left of the volume's time; None without a limit.
    """

    phase: str
    attempts: int
    next_run: RunCounts
    work: Work
    cancel: bool
    pod: Pod | None
    pod_uid: str
    pod_key: str
    needs_wait: bool = False
    hold: bool = False
    freeze: str = ""
    held: bool = False
    cancel_reason: Reason = Reason.CANCELED
    seconds_left: float | None = None


def is_open(phase: str) -> bool:
    """Whether an object has not reached its terminal phase."""
    return phase not in (VolumePhase.COMPLETED, VolumePhase.FAILED)


def decide(view: VolumeView) -> Decision:
    """The next step for one object of this node."""
    if not is_open(view.phase):
        return _after_the_end(view.work)
    if view.work is Work.FINISHED:
        return Decision(step=Step.RECORD)
    end = _must_end(view)
    if end is not None:
        step = Step.CANCEL if view.work is Work.RUNNING else Step.FAIL
        return Decision(step=step, reason=end.reason, message=end.message)
    if view.work is Work.RUNNING:
        return _while_it_runs(view.seconds_left)
    if view.held:
        return Decision(step=Step.WAIT if view.hold else Step.RUN)
    if view.next_run.exhausted:
        return Decision(step=Step.FAIL, reason=Reason.ATTEMPTS_EXHAUSTED, message=view.next_run.exhausted)
    if view.needs_wait and view.attempts == 0 and not restic_wait_runs(view.pod):
        return Decision(step=Step.WAIT)
    return Decision(step=Step.HOLD if view.hold else Step.CLAIM)


def _while_it_runs(seconds_left: float | None) -> Decision:
    if seconds_left is not None and seconds_left <= 0:
        return Decision(step=Step.CANCEL, reason=Reason.TIMED_OUT)
    return Decision(step=Step.WATCH, again_seconds=seconds_left)


def _after_the_end(work: Work) -> Decision:
    match work:
        case Work.NONE:
            return Decision(step=Step.IGNORE)
        case Work.FINISHED:
            return Decision(step=Step.FORGET)
        case Work.RUNNING:  # the server gave this node up; nobody waits for the transfer any more
            return Decision(step=Step.CANCEL, reason=Reason.CANCELED)


_CANCELED = {
    Reason.FREEZE_EXCEEDED: "the application was thawed, for the backup froze it longer than maxFreeze allows",
    Reason.HOOK_FAILED: "the pre hook of its pod failed",
    Reason.THAWED: "the application was thawed before this was complete; it is captured again",
}


def cancel_reason(text: str) -> Reason:
    """The reason that a cancellation names; Canceled where it names none that is known."""
    known = [reason for reason in _CANCELED if reason == text]
    return known[0] if known else Reason.CANCELED


@dataclass(frozen=True, slots=True, kw_only=True)
class _End:
    reason: Reason
    message: str


def _must_end(view: VolumeView) -> _End | None:
    if view.cancel:
        return _End(reason=view.cancel_reason, message=_CANCELED.get(view.cancel_reason, "canceled by spec.cancel"))
    if view.pod is None:
        # A restore's object may arrive before its pod does; a backup's pod was running when it was made.
        if view.needs_wait and view.attempts == 0:
            return None
        return _End(reason=Reason.POD_GONE, message=f"pod {view.pod_key} is not on this node any more")
    if view.pod.metadata.uid != view.pod_uid:
        return _End(reason=Reason.POD_GONE, message=f"pod {view.pod_key} was replaced by another of the same name")
    if view.pod.metadata.deletion_timestamp is not None:
        return _End(reason=Reason.POD_DELETED, message=f"pod {view.pod_key} is being deleted")
    return None


def restic_wait_runs(pod: Pod | None) -> bool:
    """Whether the pod's restic-wait init container is running, at any position."""
    if pod is None:
        return False
    return any(
        status.name == RESTIC_WAIT_CONTAINER and status.state.running is not None
        for status in pod.status.init_container_statuses or ()
    )
