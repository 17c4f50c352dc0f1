"""The loop that a PodVolumeBackup and a PodVolumeRestore share: decide, claim with a slot, run, record.

Invariant: what runs here is claimed in the object's status by this process first, and what ended is recorded before
it is forgotten. Killed at any line, the next agent of the node finds the claim of a dead holder and runs again.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import structlog

from pkg.apis.meta import JsonObject, Object
from pkg.apis.reasons import Reason, VolumePhase
from pkg.controllers.agent import Agent, VolumeStatus
from pkg.controllers.interruptions import MAX_ATTEMPTS, RunCounts
from pkg.controllers.lone_slots import LoneSlots
from pkg.controllers.pod_slots import PodSlots
from pkg.controllers.status import patch_status, timestamp
from pkg.controllers.volume_plan import Decision, Step, VolumeView, Work, decide
from pkg.informers.lister import Lister
from pkg.kube.resources import ResourceRef
from pkg.kube.stop import StopToken
from pkg.manager.operations import Crashed, Operations, Running, Succeeded
from pkg.manager.reconciler import Result, again_in, done
from pkg.manager.slots import Slots
from pkg.workqueue.key import Key

SLOT_POLL_SECONDS = 0.25
SHUTDOWN = "shutdown"

log = structlog.get_logger()

T = TypeVar("T", bound=Object)
T_contra = TypeVar("T_contra", bound=Object, contravariant=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeOutcome:
    """How a transfer ended.

    Attributes:
        status: What to record; None when it is to run again, in the next process if this one is stopping.
        again: Why this process is to run it again, which costs an attempt.
        alone: The next run has nobody beside it on its node, for want of memory.
    """

    status: JsonObject | None
    again: str = ""
    alone: bool = False


class VolumeKind(Protocol[T_contra]):
    """What differs between a backup and a restore of a volume."""

    ref: ResourceRef

    def view(self, obj: T_contra, work: Work) -> VolumeView:
        """What the decision rests on."""
        ...

    def status(self, obj: T_contra) -> VolumeStatus:
        """What became of it so far."""
        ...

    def group(self, obj: T_contra) -> str:
        """The namespace among which slots are shared fairly."""
        ...

    def last_seconds(self, obj: T_contra) -> float | None:
        """How long its slot was needed the last time; None where that is not known."""
        ...

    def run(self, obj: T_contra, stop: StopToken) -> VolumeOutcome:
        """Moves the data; blocks. Never raises for what can go wrong with a volume."""
        ...

    def before_failure(self, obj: T_contra, reason: Reason, message: str) -> None:
        """What must be seen outside the API before a failure is recorded."""
        ...


class VolumeReconciler(Generic[T]):
    """Reconciles the objects of one kind on one node.

    Args:
        agent: What runs here.
        kind: What is special about the kind.
        lister: The objects.
        operations: Run them.
        slots: How many may run.
        wake: Reconciles a key soon; called for those that wait for a slot when one is given back.
    """

    def __init__(
        self,
        agent: Agent,
        kind: VolumeKind[T],
        lister: Lister[T],
        *,
        operations: Operations[VolumeOutcome],
        slots: Slots,
        wake: Callable[[Key], None] = lambda key: None,
    ) -> None:
        self._agent = agent
        self._kind = kind
        self._lister = lister
        self._operations = operations
        self._slots = LoneSlots(PodSlots(slots), agent.solitude, kind.ref.plural)
        self._wake = wake
        self._waiting: dict[Key, None] = {}  # for a slot, in the order of their asking
        self._started: dict[Key, str] = {}  # UID of the object that a key's operation belongs to

    def reconcile(self, key: Key) -> Result:
        """Takes one step for the object of that key."""
        obj = self._lister.get(key.namespace, key.name)
        if obj is None or self._started.get(key, obj.metadata.uid) != obj.metadata.uid:
            return self._let_go(key, successor=obj)
        view = dataclasses.replace(self._kind.view(obj, self._work(key)), held=self._slots.holds(key))
        decision = decide(view)
        log.debug("Decided", kind=type(obj).__name__, key=str(key), step=decision.step.value)
        return self._carry_out(key, obj, decision, view.freeze)

    def _carry_out(self, key: Key, obj: T, decision: Decision, freeze: str) -> Result:
        match decision.step:
            case Step.WAIT:
                return done()
            case Step.WATCH:
                return done() if decision.again_seconds is None else again_in(decision.again_seconds)
            case Step.IGNORE | Step.FORGET:
                self._forget(key)
                return done()
            case Step.CANCEL:
                self._operations.cancel(key, decision.reason)
                return done()
            case Step.FAIL:
                self._fail(obj, decision.reason, decision.message)
                return done()
            case Step.RECORD:
                return self._record(key, obj)
            case Step.CLAIM:
                return self._claim(key, obj)
            case Step.HOLD:
                return self._hold(key, obj, freeze)
            case Step.RUN:
                return self._run_held(key, obj)

    def _work(self, key: Key) -> Work:
        match self._operations.observe(key):
            case None:
                return Work.NONE
            case Running():
                return Work.RUNNING
            case _:
                return Work.FINISHED

    def _let_go(self, key: Key, *, successor: T | None) -> Result:
        """Ends what was done for an object that is gone, before one of the same name gets its turn."""
        if self._work(key) is Work.RUNNING:
            self._operations.cancel(key, Reason.CANCELED)
            return done()  # its end brings the key back
        self._forget(key)
        return done() if successor is None else again_in(0)

    def _forget(self, key: Key) -> None:
        had_run = self._started.pop(key, None) is not None
        self._waiting.pop(key, None)
        self._operations.forget(key)
        self._slots.release(key)
        for waiting in tuple(self._waiting) if had_run else ():
            self._wake(waiting)

    def _try_run(self, key: Key, obj: T) -> bool:
        status = self._kind.status(obj)
        alone = bool(status.out_of_memory) or self._agent.next_run(status).runs_alone
        return self._slots.try_run(key, self._kind.group(obj), self._kind.last_seconds(obj), alone=alone)

    def _claim(self, key: Key, obj: T) -> Result:
        if not self._try_run(key, obj):
            return self._wait_for_slot(key)
        claimed = self._claimed(key, obj)
        self._operations.start(key, lambda stop: self._kind.run(claimed, stop))
        return done()

    def _hold(self, key: Key, obj: T, freeze: str) -> Result:
        """Claims a volume with its pod's slot, for the server to freeze the pod; that costs no attempt twice."""
        if not self._slots.hold(key, freeze, self._kind.group(obj), self._kind.last_seconds(obj)):
            return self._wait_for_slot(key)
        self._claimed(key, obj)
        return done()

    def _run_held(self, key: Key, obj: T) -> Result:
        """Runs a volume whose pod is frozen now; it was claimed before."""
        if not self._try_run(key, obj):
            return self._wait_for_slot(key)
        self._waiting.pop(key, None)
        self._operations.start(key, lambda stop: self._kind.run(obj, stop))
        return done()

    def _wait_for_slot(self, key: Key) -> Result:
        """Whoever gives one back wakes it; it also asks by itself, because limits change and others give up."""
        self._waiting[key] = None
        return again_in(SLOT_POLL_SECONDS)

    def _claimed(self, key: Key, obj: T) -> T:
        try:
            claimed = self._patch_claim(obj)
        except Exception:
            self._slots.release(key)
            raise
        self._started[key] = obj.metadata.uid
        self._waiting.pop(key, None)
        return claimed

    def _patch_claim(self, obj: T) -> T:
        before = self._kind.status(obj)
        counts = self._agent.next_run(before)
        change = claim_status(before, counts, self._agent.holder, timestamp(self._agent.clock.now()))
        claimed = patch_status(self._agent.client, self._kind.ref, obj, change)
        log.info(
            "Volume claimed",
            kind=type(obj).__name__,
            key=obj.metadata.key,
            attempt=counts.attempts,
            interruptions=counts.interruptions,
        )
        return claimed

    def _record(self, key: Key, obj: T) -> Result:
        match self._operations.observe(key):
            case Succeeded(result=outcome):
                if outcome.again:
                    return self._run_again(key, obj, outcome.again, alone=outcome.alone)
                if outcome.status is not None:
                    patch_status(self._agent.client, self._kind.ref, obj, outcome.status)
            case Crashed(error=error):
                log.error("Volume operation crashed", key=str(key), error=str(error))
                self._fail(obj, Reason.INTERNAL, f"internal error: {error}")
            case _:
                return done()
        self._forget(key)
        return done()

    def _run_again(self, key: Key, obj: T, why: str, *, alone: bool) -> Result:
        """Counts the run that follows before it begins; there are three at most."""
        attempts = self._kind.status(obj).attempts
        if attempts >= MAX_ATTEMPTS:
            self._fail(obj, Reason.ATTEMPTS_EXHAUSTED, f"it failed {attempts} times, the last time for this: {why}")
        else:
            how = "again, alone on its node" if alone else "again"
            change: JsonObject = {"attempts": attempts + 1, "message": f"it runs {how}: {why}"}
            change |= {"outOfMemory": 1} if alone else {}
            patch_status(self._agent.client, self._kind.ref, obj, change)
            log.warning("Volume runs again", key=str(key), attempt=attempts + 1, alone=alone, why=why)
        self._forget(key)
        return again_in(SLOT_POLL_SECONDS)

    def _fail(self, obj: T, reason: Reason, message: str) -> None:
        self._kind.before_failure(obj, reason, message)
        change = failed_status(reason, message, timestamp(self._agent.clock.now()))
        patch_status(self._agent.client, self._kind.ref, obj, change)
        log.warning("Volume failed", key=obj.metadata.key, reason=reason.value, message=message)


def claim_status(before: VolumeStatus, counts: RunCounts, holder: str, now: str) -> JsonObject:
    """The status of a volume that a process takes on."""
    change: JsonObject = {
        "phase": VolumePhase.IN_PROGRESS.value,
        "holder": holder,
        "attempts": counts.attempts,
        "slotAt": now,
    }
    if before.attempts == 0:
        change["startTimestamp"] = now
    if counts.interruptions > before.interruptions:
        change["interruptions"] = counts.interruptions
        change["message"] = "it runs again: its agent ended, which costs no attempt"
    elif before.attempts and counts.attempts > before.attempts:
        change["message"] = "it runs again: its agent ran out of memory"
    return change


def failed_status(reason: Reason, message: str, now: str) -> JsonObject:
    """The status of a volume that was not captured or filled."""
    return {
        "phase": VolumePhase.FAILED.value,
        "reason": reason.value,
        "message": message,
        "completionTimestamp": now,
    }
