"""DeleteBackupRequest: judged, begun, carried out as an operation, and recorded.

A request that was begun stays InProgress until nothing is left, over restarts of the server, or until something could
not be deleted; then it says what, and the Backup stays. Processed requests are kept for a day, as in 0.9.
"""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from pkg.apis.ark import Backup, DeleteBackupRequest, Restore
from pkg.apis.meta import JsonObject
from pkg.apis.names import (
    BACKUP_NAME_LABEL,
    BACKUP_UID_LABEL,
    DELETION_CONFIRMED_ANNOTATION,
    SCHEDULE_LABEL,
)
from pkg.apis.reasons import Reason, RequestPhase
from pkg.controllers.deletion_facts import is_refused
from pkg.controllers.deletion_gate import DeletionGate
from pkg.controllers.deletion_plan import DeletionStep, DeletionView, decide_deletion, same_backup
from pkg.controllers.deletion_run import DeletionJob, DeletionOutcome, run_deletion
from pkg.controllers.deletion_unlisted import UnlistedSnapshots
from pkg.controllers.gc_plan import count_unexpired
from pkg.controllers.gc_reconciler import SCHEDULE_INDEX
from pkg.controllers.ownership import is_ours
from pkg.controllers.status import patch_status, timestamp
from pkg.controllers.stores import Stores
from pkg.informers.lister import Lister
from pkg.kube.client import Client
from pkg.kube.clock import Clock
from pkg.kube.errors import NotFoundError
from pkg.kube.refs import BACKUPS, DELETE_BACKUP_REQUESTS
from pkg.manager.events import EventRecorder
from pkg.manager.operations import Crashed, Operations, Running, Succeeded
from pkg.manager.reconciler import Result, again_in, done
from pkg.manager.slots import Slots
from pkg.volumes.naming import label_value
from pkg.workqueue.key import Key

KEPT_SECONDS = 24 * 3600.0
AT_ONCE = 4
SLOT_RETRY_SECONDS = 2.0
HELD_RETRY_SECONDS = 60.0

log = structlog.get_logger()


class DeletionReconciler:
    """Takes one step for one request; runs in one worker, so that requests are let through one by one."""

    def __init__(
        self,
        client: Client,
        *,
        requests: Lister[DeleteBackupRequest],
        backups: Lister[Backup],
        restores: Lister[Restore],
        stores: Stores,
        gate: DeletionGate,
        operations: Operations[DeletionOutcome],
        unlisted: UnlistedSnapshots,
        events: EventRecorder,
        clock: Clock,
    ) -> None:
        self._client = client
        self._requests = requests
        self._backups = backups
        self._restores = restores
        self._stores = stores
        self._gate = gate
        self._operations = operations
        self._unlisted = unlisted
        self._events = events
        self._clock = clock
        self._slots = Slots(AT_ONCE, clock=clock)
        self._begun: dict[str, DeleteBackupRequest] = {}  # by UID, until the cache shows them as begun

    def reconcile(self, key: Key) -> Result:
        """Takes one step."""
        request = self._requests.get(key.namespace, key.name)
        if request is None:
            return self._let_go(key)
        if request.status.phase == RequestPhase.PROCESSED:
            self._forget(key)
            return self._expire(request)
        match self._operations.observe(key):
            case Running():
                return done()
            case Succeeded(result=outcome):
                return self._record(key, request, outcome)
            case Crashed(error=error):
                text = f"internal error: {type(error).__name__}: {error}"
                return self._record(key, request, DeletionOutcome(errors=(text,), reason=Reason.INTERNAL))
            case None:
                return self._judge(key, request)

    def _let_go(self, key: Key) -> Result:
        """The request was deleted: what it began is stopped between two steps; deletion by age takes it up again."""
        self._operations.cancel(key, Reason.CANCELED)
        if not isinstance(self._operations.observe(key), Running):
            self._forget(key)
        return done()

    def _forget(self, key: Key) -> None:
        self._operations.forget(key)
        self._slots.release(str(key))

    def _expire(self, request: DeleteBackupRequest) -> Result:
        meta, now = request.metadata, self._clock.now()
        ended = request.status.completion_timestamp or meta.creation_timestamp or now
        left = KEPT_SECONDS - (now - ended).total_seconds()
        if left > 0:
            return again_in(left)
        self._remove(request)
        return done()

    def _remove(self, request: DeleteBackupRequest) -> None:
        meta = request.metadata
        try:
            self._client.delete(DELETE_BACKUP_REQUESTS, meta.namespace, meta.name, uid=meta.uid)
        except NotFoundError:
            log.debug("Deletion request was gone", key=meta.key)

    def _judge(self, key: Key, request: DeleteBackupRequest) -> Result:
        backup = self._live(request)
        view = self._view(request, backup)
        decision = decide_deletion(request, view)
        match decision.step:
            case DeletionStep.REFUSE:
                self._finish(request, (decision.message,), decision.reason, "refused")
            case DeletionStep.FINISHED:
                self._finish(request, (), None, "deleted")
            case DeletionStep.WAIT:
                return again_in(HELD_RETRY_SECONDS)
            case DeletionStep.HOLD:
                self._hold(request, decision.reason, decision.message, backup)
                return again_in(HELD_RETRY_SECONDS)
            case DeletionStep.START if backup is not None:
                return self._start(key, request, backup, view.requests)
        return again_in(KEPT_SECONDS)

    def _live(self, request: DeleteBackupRequest) -> Backup | None:
        """The Backup as the API server has it: a cache may not know yet what the request is about."""
        if not request.spec.backup_name:
            return None
        try:
            return self._client.get(BACKUPS, request.metadata.namespace, request.spec.backup_name, Backup)
        except NotFoundError:
            return None

    def _view(self, request: DeleteBackupRequest, backup: Backup | None) -> DeletionView:
        namespace = request.metadata.namespace
        now, cluster_id = self._clock.now(), self._stores.cluster_id
        label = backup.metadata.label(SCHEDULE_LABEL) if backup is not None else ""
        group = [one for one in self._backups.by_index(SCHEDULE_INDEX, label) if is_ours(one, cluster_id)]
        return DeletionView(
            now=now,
            cluster_id=cluster_id,
            backup=backup,
            requests=[self._newest(one) for one in self._requests.list(namespace)],
            restores=self._restores.list(namespace),
            unexpired=count_unexpired(group, cluster_id, now),
            frozen=self._gate.frozen(),
            restore_only=self._gate.restore_only(),
        )

    def _newest(self, seen: DeleteBackupRequest) -> DeleteBackupRequest:
        """What was begun counts as begun, also while the cache does not show it."""
        begun = self._begun.get(seen.metadata.uid)
        if begun is not None and seen.status.phase in (RequestPhase.IN_PROGRESS, RequestPhase.PROCESSED):
            del self._begun[seen.metadata.uid]
            begun = None
        return begun or seen

    def _start(
        self, key: Key, request: DeleteBackupRequest, backup: Backup, requests: Sequence[DeleteBackupRequest]
    ) -> Result:
        if not self._slots.try_take(str(key), key.namespace):
            return again_in(SLOT_RETRY_SECONDS)
        try:
            self._begun[request.metadata.uid] = self._begin(request, backup)
            for other in same_backup(request, requests):
                if other.metadata.uid != request.metadata.uid:
                    self._remove(other)
            job = DeletionJob(
                client=self._client,
                backup=backup,
                force=request.spec.force,
                stores=self._stores.owned,
                hold=self._gate.why,
                clock=self._clock,
                unlisted=self._unlisted,
            )
            started = self._operations.start(key, lambda stop: run_deletion(job, stop))
        except BaseException:
            self._slots.release(str(key))
            raise
        if not started:
            self._slots.release(str(key))
        return done()

    def _begin(self, request: DeleteBackupRequest, backup: Backup) -> DeleteBackupRequest:
        """Labels the request, as 0.9 did, and with its schedule, by which it counts; then it is InProgress."""
        meta = backup.metadata
        labels: JsonObject = {BACKUP_NAME_LABEL: label_value(meta.name), BACKUP_UID_LABEL: meta.uid}
        if meta.label(SCHEDULE_LABEL) and not is_refused(backup):
            labels[SCHEDULE_LABEL] = meta.label(SCHEDULE_LABEL)
        confirmed = meta.annotation(DELETION_CONFIRMED_ANNOTATION)
        annotations: JsonObject = {DELETION_CONFIRMED_ANNOTATION: confirmed} if confirmed else {}
        own = request.metadata
        if any(own.label(name) != value for name, value in labels.items()) or annotations:
            change: JsonObject = {
                "metadata": {
                    "uid": own.uid,
                    "resourceVersion": own.resource_version,
                    "labels": labels,
                    "annotations": annotations,
                }
            }
            request = self._client.patch(DELETE_BACKUP_REQUESTS, own.namespace, own.name, change, DeleteBackupRequest)
        if request.status.phase != RequestPhase.IN_PROGRESS or request.status.reason:
            begun: JsonObject = {"phase": RequestPhase.IN_PROGRESS.value, "reason": "", "message": ""}
            request = patch_status(self._client, DELETE_BACKUP_REQUESTS, request, begun)
        log.info("Deletion begins", key=own.key, backup=meta.name, force=request.spec.force)
        return request

    def _record(self, key: Key, request: DeleteBackupRequest, outcome: DeletionOutcome) -> Result:
        if outcome.retry_seconds is not None:
            self._forget(key)
            self._hold(request, outcome.reason, outcome.message, None)
            return again_in(max(outcome.retry_seconds, 1.0))
        self._finish(request, outcome.errors, outcome.reason, outcome.message)
        self._forget(key)
        return again_in(KEPT_SECONDS)

    def _finish(
        self, request: DeleteBackupRequest, errors: tuple[str, ...], reason: Reason | None, message: str
    ) -> None:
        change: JsonObject = {
            "phase": RequestPhase.PROCESSED.value,
            "errors": list(errors),
            "reason": reason.value if reason else "",
            "message": message,
            "completionTimestamp": timestamp(self._clock.now()),
        }
        patch_status(self._client, DELETE_BACKUP_REQUESTS, request, change)
        self._begun.pop(request.metadata.uid, None)
        level = log.warning if errors else log.info
        level("Deletion ends", key=request.metadata.key, backup=request.spec.backup_name, errors="; ".join(errors))
        if errors:
            self._tell(request, reason, "; ".join(errors))

    def _hold(self, request: DeleteBackupRequest, reason: Reason | None, message: str, backup: Backup | None) -> None:
        status, text = request.status, reason.value if reason else ""
        if (status.reason, status.message) == (text, message):
            return
        patch_status(self._client, DELETE_BACKUP_REQUESTS, request, {"reason": text, "message": message})
        log.info("Deletion waits", key=request.metadata.key, reason=text, message=message)
        if backup is not None and reason is not None:
            self._tell(request, reason, message)

    def _tell(self, request: DeleteBackupRequest, reason: Reason | None, message: str) -> None:
        """An Event on the Backup, where people look for it."""
        backup = self._backups.get(request.metadata.namespace, request.spec.backup_name)
        if backup is not None:
            self._events.event(backup, reason.value if reason else "DeletionFailed", message, warning=True)


def keys_of_backup(requests: Lister[DeleteBackupRequest], backup: Backup) -> list[Key]:
    """The open requests that a change of a Backup may set free."""
    found = requests.list(backup.metadata.namespace)
    return [
        Key(one.metadata.namespace, one.metadata.name)
        for one in found
        if one.spec.backup_name == backup.metadata.name and one.status.phase != RequestPhase.PROCESSED
    ]
