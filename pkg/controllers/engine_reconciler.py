"""The loop that Backup and Restore share: validate, claim, run the engine as an operation, record.

Invariant: after the claim nothing but the engine's outcome sets a terminal phase, and an engine may be run again
after a crash at any line.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import structlog

from pkg.apis.meta import JsonObject, Object
from pkg.apis.reasons import BackupPhase, Reason
from pkg.controllers.config import SettingsError
from pkg.controllers.engine_plan import EngineStep, EngineView, decide_engine
from pkg.controllers.status import patch_status, timestamp
from pkg.controllers.volume_plan import Work
from pkg.informers.lister import Lister
from pkg.kube.client import Client
from pkg.kube.clock import Clock
from pkg.kube.resources import ResourceRef
from pkg.kube.stop import StopToken
from pkg.manager.operations import Crashed, Operations, Running, Succeeded
from pkg.manager.reconciler import Result, again_in, done
from pkg.workqueue.key import Key

INTERRUPTED_RETRY_SECONDS = 5.0

log = structlog.get_logger()

T = TypeVar("T", bound=Object)
T_contra = TypeVar("T_contra", bound=Object, contravariant=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOutcome:
    """How an engine ended; `status` is None when it was interrupted and must be run again."""

    status: JsonObject | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimState:
    """How often an object was claimed so far."""

    epoch: int
    attempts: int


class EngineKind(Protocol[T_contra]):
    """What differs between a Backup and a Restore."""

    ref: ResourceRef

    def view(self, obj: T_contra, work: Work) -> EngineView:
        """What the decision rests on."""
        ...

    def validate(self, obj: T_contra) -> list[str]:
        """Sentences that say why it cannot run; raises SettingsError where Config is the cause."""
        ...

    def claimed_so_far(self, obj: T_contra) -> ClaimState:
        """Its claim."""
        ...

    def first_claim(self, obj: T_contra) -> JsonObject:
        """Status fields that the first claim sets besides the claim itself."""
        ...

    def run(self, obj: T_contra, stop: StopToken) -> EngineOutcome:
        """Does the work; blocks. What goes wrong is in the outcome."""
        ...

    def ended(self, obj: T_contra) -> None:
        """Counts and announces an object that has reached its terminal phase."""
        ...


class EngineReconciler(Generic[T]):
    """Reconciles Backups or Restores."""

    def __init__(
        self,
        client: Client,
        lister: Lister[T],
        kind: EngineKind[T],
        *,
        operations: Operations[EngineOutcome],
        holder: str,
        clock: Clock,
    ) -> None:
        self._client = client
        self._lister = lister
        self._kind = kind
        self._operations = operations
        self._holder = holder
        self._clock = clock
        self._started: dict[Key, str] = {}  # UID of the object that a key's operation belongs to

    def reconcile(self, key: Key) -> Result:
        """Takes one step for the object of that key."""
        obj = self._lister.get(key.namespace, key.name)
        if obj is None or self._started.get(key, obj.metadata.uid) != obj.metadata.uid:
            return self._let_go(key, successor=obj)
        return self._carry_out(key, obj, decide_engine(self._kind.view(obj, self._work(key))))

    def _carry_out(self, key: Key, obj: T, step: EngineStep) -> Result:
        match step:
            case EngineStep.IGNORE | EngineStep.WATCH:
                pass
            case EngineStep.FORGET:
                self._forget(key)
            case EngineStep.CANCEL:
                self._operations.cancel(key, Reason.CANCELED)
            case EngineStep.RECORD:
                return self._record(key, obj)
            case EngineStep.VALIDATE:
                if not self._refuse_invalid(obj):
                    self._claim_and_start(key, obj)
            case EngineStep.TAKE_OVER:
                self._claim_and_start(key, obj)
        return done()

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
        self._started.pop(key, None)
        self._operations.forget(key)

    def _refuse_invalid(self, obj: T) -> bool:
        reason, errors = Reason.INVALID_SPEC, []
        try:
            errors = self._kind.validate(obj)
        except SettingsError as error:
            reason, errors = error.reason, [error.message]
        if not errors:
            return False
        now = timestamp(self._clock.now())
        change: JsonObject = {
            "phase": BackupPhase.FAILED_VALIDATION.value,
            "reason": reason.value,
            "message": "; ".join(errors),
            "validationErrors": list(errors),
            "startTimestamp": now,
            "completionTimestamp": now,
        }
        self._kind.ended(patch_status(self._client, self._kind.ref, obj, change))
        log.warning("Refused", kind=type(obj).__name__, key=obj.metadata.key, errors="; ".join(errors))
        return True

    def _claim_and_start(self, key: Key, obj: T) -> None:
        so_far = self._kind.claimed_so_far(obj)
        change: JsonObject = {
            "phase": BackupPhase.IN_PROGRESS.value,
            "claim": {"holder": self._holder, "epoch": so_far.epoch + 1},
            "attempts": so_far.attempts + 1,
        }
        if so_far.epoch == 0:
            change |= {"startTimestamp": timestamp(self._clock.now()), **self._kind.first_claim(obj)}
        claimed = patch_status(self._client, self._kind.ref, obj, change)
        log.info("Claimed", kind=type(obj).__name__, key=str(key), epoch=so_far.epoch + 1)
        self._started[key] = obj.metadata.uid
        self._operations.start(key, lambda stop: self._kind.run(claimed, stop))

    def _record(self, key: Key, obj: T) -> Result:
        match self._operations.observe(key):
            case Succeeded(result=EngineOutcome(status=None)):
                self._forget(key)
                return again_in(INTERRUPTED_RETRY_SECONDS)
            case Succeeded(result=EngineOutcome(status=status)) if status is not None:
                self._finish(obj, status)
            case Crashed(error=error):
                log.error("Engine crashed", key=str(key), error=str(error))
                self._finish(obj, crashed_status(error, timestamp(self._clock.now())))
            case _:
                return done()
        self._forget(key)
        return done()

    def _finish(self, obj: T, status: JsonObject) -> None:
        if status.get("phase") == BackupPhase.COMPLETED.value and not status.get("message"):
            status = {**status, "message": completed_message(status)}
        finished = patch_status(self._client, self._kind.ref, obj, status)
        log.info(
            "Finished",
            kind=type(obj).__name__,
            key=obj.metadata.key,
            phase=status.get("phase"),
            reason=status.get("reason", ""),
        )
        self._kind.ended(finished)


def completed_message(status: JsonObject) -> str:
    """What a Completed object says of itself; a terminal status always says something."""
    progress, volumes = status.get("progress"), status.get("volumes")
    items = progress.get("itemsDone", 0) if isinstance(progress, dict) else 0
    captured = volumes.get("captured", 0) if isinstance(volumes, dict) else 0
    return f"complete: {items} objects, {captured} volumes"


def crashed_status(error: BaseException, now: str) -> JsonObject:
    """The status after an error that nobody foresaw."""
    return {
        "phase": BackupPhase.FAILED.value,
        "reason": Reason.INTERNAL.value,
        "message": f"internal error: {type(error).__name__}: {error}",
        "completionTimestamp": now,
    }
