"""Schedule: makes a Backup when a run is due, and says what is next, what was last and what was left out.

The plan is made from the cache; before a Backup is made, it is made again from the object as the API server has it, so
that a pause counts at once and the spec is the template as it stands there, also where this program does not know a
field. The Backup's name is derived from the run: whoever dies between making it and writing it down finds it later.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import msgspec
import structlog

from pkg.apis.ark import Backup, Schedule, ScheduleStatus
from pkg.apis.meta import JsonObject
from pkg.apis.names import SCHEDULE_LABEL
from pkg.apis.reasons import SchedulePhase
from pkg.controllers.metrics import ServerMetrics
from pkg.controllers.ownership import is_imported
from pkg.controllers.schedule_plan import plan_schedule
from pkg.controllers.schedule_runs import SchedulePlan, ScheduleView, backup_name
from pkg.controllers.status import patch_status, to_json
from pkg.informers.lister import Lister
from pkg.kube.client import Client
from pkg.kube.clock import Clock
from pkg.kube.errors import AlreadyExistsError, NotFoundError
from pkg.kube.refs import BACKUPS, SCHEDULES
from pkg.manager.events import EventRecorder
from pkg.manager.reconciler import Result, again_in, done
from pkg.volumes.naming import label_value
from pkg.workqueue.key import Key

log = structlog.get_logger()


class ScheduleReconciler:
    """Runs schedules.

    Args:
        restore_only: Whether the server must not write backups now.
        look_seconds: How long until a schedule is looked at again at the latest, because the clock may be set.
    """

    def __init__(
        self,
        client: Client,
        schedules: Lister[Schedule],
        backups: Lister[Backup],
        *,
        restore_only: Callable[[], bool],
        look_seconds: Callable[[], float],
        metrics: ServerMetrics,
        events: EventRecorder,
        clock: Clock,
    ) -> None:
        self._client = client
        self._schedules = schedules
        self._backups = backups
        self._restore_only = restore_only
        self._look_seconds = look_seconds
        self._metrics = metrics
        self._events = events
        self._clock = clock

    def reconcile(self, key: Key) -> Result:
        """Takes one step for the schedule of that key."""
        schedule = self._schedules.get(key.namespace, key.name)
        if schedule is None:
            self._metrics.schedule_gone(label_value(key.name))
            return done()
        if schedule.metadata.deletion_timestamp is not None:
            return done()
        self._metrics.schedule_seen(label_value(key.name))
        plan = plan_schedule(self._view(schedule))
        return self._record(schedule, plan) if plan.run is None else self._run(key)

    def _run(self, key: Key) -> Result:
        """Plans again from what the API server holds, and makes the backup if it is still due."""
        try:
            raw = self._client.get_raw(SCHEDULES, key.namespace, key.name)
        except NotFoundError:
            return done()
        schedule = msgspec.convert(raw, Schedule)
        view = self._with_last(self._view(schedule))
        plan = plan_schedule(view)
        if plan.run is not None:
            name = backup_name(key.name, plan.run)
            if not self._make(key.namespace, name, schedule, raw):
                plan = plan_schedule(replace(view, taken=name))
        return self._record(schedule, plan)

    def _view(self, schedule: Schedule) -> ScheduleView:
        own = tuple(one for one in self._backups.list(schedule.metadata.namespace) if _made_by(schedule, one))
        return ScheduleView(schedule=schedule, now=self._clock.now(), backups=own, restore_only=self._restore_only())

    def _with_last(self, view: ScheduleView) -> ScheduleView:
        """The view with the last backup, which the cache may not hold yet."""
        meta, last = view.schedule.metadata, view.schedule.status.last_backup_name
        if not last or any(one.metadata.name == last for one in view.backups):
            return view
        try:
            found = self._client.get(BACKUPS, meta.namespace, last, Backup)
        except NotFoundError:
            return view
        return replace(view, backups=(*view.backups, found))

    def _make(self, namespace: str, name: str, schedule: Schedule, raw: JsonObject) -> bool:
        """Makes the Backup of a run, or finds that it was made; False when another one has its name."""
        spec = raw.get("spec")
        template = spec.get("template") if isinstance(spec, dict) else None
        backup: JsonObject = {
            "metadata": {"name": name, "labels": {SCHEDULE_LABEL: label_value(schedule.metadata.name)}},
            "spec": template or {},
        }
        try:
            self._client.create_raw(BACKUPS, namespace, backup)
        except AlreadyExistsError:
            found = self._client.get(BACKUPS, namespace, name, Backup)
            return _made_by(schedule, found) and not is_imported(found)
        log.info("Scheduled backup made", key=schedule.metadata.key, backup=name)
        return True

    def _record(self, schedule: Schedule, plan: SchedulePlan) -> Result:
        change = status_change(schedule.status, plan.status)
        if change:
            self._tell(patch_status(self._client, SCHEDULES, schedule, change), schedule.status, plan)
        look = self._look_seconds()
        if plan.wake_at is None:
            return again_in(look)
        return again_in(min(look, max(0.0, (plan.wake_at - self._clock.now()).total_seconds())))

    def _tell(self, schedule: Schedule, before: ScheduleStatus, plan: SchedulePlan) -> None:
        """Events, log and counters of what was written down just now."""
        status, key = plan.status, schedule.metadata.key
        if plan.run is not None:
            self._events.event(schedule, "BackupCreated", f"backup {status.last_backup_name} was made")
        if plan.left is not None:
            self._metrics.run_left_out(label_value(schedule.metadata.name), plan.left)
            self._events.event(schedule, plan.left.value, plan.note, warning=True)
            log.warning("Scheduled run left out", key=key, reason=plan.left.value, message=plan.note)
        if status.phase == SchedulePhase.FAILED_VALIDATION and status.message != before.message:
            self._events.event(schedule, SchedulePhase.FAILED_VALIDATION.value, status.message, warning=True)
            log.warning("Schedule refused", key=key, errors=status.message)


def status_change(before: ScheduleStatus, after: ScheduleStatus) -> JsonObject:
    """The merge patch from one status to another; empty when they say the same."""
    old, new = to_json(before), to_json(after)
    return {name: new.get(name) for name in sorted({*old, *new}) if old.get(name) != new.get(name)}


def _made_by(schedule: Schedule, backup: Backup) -> bool:
    return backup.metadata.label(SCHEDULE_LABEL) == label_value(schedule.metadata.name)
