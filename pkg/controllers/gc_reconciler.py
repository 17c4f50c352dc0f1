"""Deletion by age: an expired Backup gets a DeleteBackupRequest, or a condition that says what keeps it.

Nothing is deleted here. The request has a name derived from the Backup's UID, so there is one at a time; one that
failed stays for a day and then makes room for the next attempt.
"""

from __future__ import annotations

from collections.abc import Iterable

import structlog

from pkg.apis.ark import Backup, DeleteBackupRequest, Restore, Schedule
from pkg.apis.meta import JsonObject
from pkg.apis.names import BACKUP_NAME_LABEL, BACKUP_UID_LABEL, DELETION_HELD_CONDITION, SCHEDULE_LABEL
from pkg.apis.reasons import BackupPhase, Reason
from pkg.controllers.conditions import find_condition, with_condition, without_condition
from pkg.controllers.deletion_gate import DeletionGate
from pkg.controllers.gc_plan import GcDecision, GcStep, GcView, decide_gc, expiry
from pkg.controllers.ownership import is_ours
from pkg.controllers.status import patch_status
from pkg.informers.lister import Lister
from pkg.kube.client import Client
from pkg.kube.clock import Clock
from pkg.kube.errors import AlreadyExistsError
from pkg.kube.refs import BACKUPS, DELETE_BACKUP_REQUESTS
from pkg.manager.events import EventRecorder
from pkg.manager.reconciler import Result, again_in, done
from pkg.volumes.naming import deletion_name, label_value
from pkg.workqueue.key import Key

SCHEDULE_INDEX = "schedule-label"
ALARMING = frozenset({Reason.MASS_DELETION_HELD, Reason.SUSPICIOUS_SHRINK})

log = structlog.get_logger()


def schedule_label(backup: Backup) -> Iterable[str]:
    """The index that gathers the backups of one schedule."""
    label = backup.metadata.label(SCHEDULE_LABEL)
    return (label,) if label else ()


class GcReconciler:
    """Looks at one Backup."""

    def __init__(
        self,
        client: Client,
        *,
        backups: Lister[Backup],
        schedules: Lister[Schedule],
        requests: Lister[DeleteBackupRequest],
        restores: Lister[Restore],
        gate: DeletionGate,
        cluster_id: str,
        events: EventRecorder,
        clock: Clock,
    ) -> None:
        self._client = client
        self._backups = backups
        self._schedules = schedules
        self._requests = requests
        self._restores = restores
        self._gate = gate
        self._cluster_id = cluster_id
        self._events = events
        self._clock = clock

    def reconcile(self, key: Key) -> Result:
        """Asks for the deletion of an expired backup, or says why it stays."""
        backup = self._backups.get(key.namespace, key.name)
        if backup is None or backup.metadata.deletion_timestamp is not None:
            return done()
        expiration = expiry(backup, self._cluster_id)
        if expiration is None and backup.status.phase != BackupPhase.DELETING:
            self._clear(backup)
            return done()
        return self._carry_out(backup, decide_gc(backup, self._view(backup)))

    def _view(self, backup: Backup) -> GcView:
        namespace = backup.metadata.namespace
        group = self._group(backup)
        return GcView(
            now=self._clock.now(),
            cluster_id=self._cluster_id,
            backups=self._backups.list(namespace),
            group=group,
            requests=self._requests.list(namespace),
            restores=self._restores.list(namespace),
            min_keep=self._min_keep(backup),
            frozen=self._gate.frozen(),
            restore_only=self._gate.restore_only(),
        )

    def _group(self, backup: Backup) -> list[Backup]:
        label = backup.metadata.label(SCHEDULE_LABEL)
        if not label:
            return []
        alike = self._backups.by_index(SCHEDULE_INDEX, label)
        return [one for one in alike if is_ours(one, self._cluster_id)]

    def _min_keep(self, backup: Backup) -> int | None:
        label, namespace = backup.metadata.label(SCHEDULE_LABEL), backup.metadata.namespace
        named = (one for one in self._schedules.list(namespace) if label_value(one.metadata.name) == label)
        schedule = next(named, None)
        return schedule.spec.min_keep if schedule is not None else None

    def _carry_out(self, backup: Backup, decision: GcDecision) -> Result:
        period = self._gate.period_seconds()
        match decision.step:
            case GcStep.KEEP | GcStep.WAIT:
                self._clear(backup)
            case GcStep.HOLD:
                self._hold(backup, decision)
            case GcStep.DELETE:
                self._request(backup)
        if decision.step is GcStep.KEEP and decision.look_at is None:
            return done()
        if decision.look_at is None:
            return again_in(period)
        left = (decision.look_at - self._clock.now()).total_seconds()
        return again_in(min(max(left, 1.0), period))  # not longer, because clocks are set

    def _hold(self, backup: Backup, decision: GcDecision) -> None:
        reason = decision.reason or Reason.EXPIRATION_HELD
        before = find_condition(backup.status.conditions, DELETION_HELD_CONDITION)
        if before is not None and (before.reason, before.message) == (reason.value, decision.message):
            return
        conditions = with_condition(
            backup.status.conditions,
            DELETION_HELD_CONDITION,
            reason=reason.value,
            message=decision.message,
            now=self._clock.now(),
        )
        patch_status(self._client, BACKUPS, backup, {"conditions": conditions})
        log.info("Expired backup held", key=backup.metadata.key, reason=reason.value, message=decision.message)
        self._events.event(backup, reason.value, decision.message, warning=reason in ALARMING)

    def _clear(self, backup: Backup) -> None:
        if find_condition(backup.status.conditions, DELETION_HELD_CONDITION) is None:
            return
        conditions = without_condition(backup.status.conditions, DELETION_HELD_CONDITION)
        patch_status(self._client, BACKUPS, backup, {"conditions": conditions})

    def _request(self, backup: Backup) -> None:
        meta = backup.metadata
        labels: JsonObject = {BACKUP_NAME_LABEL: label_value(meta.name), BACKUP_UID_LABEL: meta.uid}
        body: JsonObject = {
            "metadata": {"name": deletion_name(meta.name, meta.uid), "labels": labels},
            "spec": {"backupName": meta.name, "backupUID": meta.uid},
        }
        try:
            self._client.create(DELETE_BACKUP_REQUESTS, meta.namespace, body, DeleteBackupRequest)
        except AlreadyExistsError:
            log.debug("Deletion was asked for already", key=meta.key)
            return
        log.info("Backup expired, its deletion is asked for", key=meta.key)
        self._events.event(backup, "Expired", "the backup has expired; its deletion is asked for")
