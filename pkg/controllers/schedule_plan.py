"""What a Schedule does now: pure, from the object, its backups and the time.

A schedule that is not valid, or is held back, has no next run. When it may run again, only what comes after that
moment is due: nobody who mends a line or ends a pause asks for the runs of last night.
"""

from __future__ import annotations

from msgspec.structs import replace

from pkg.apis.ark import Schedule, ScheduleSpec, ScheduleStatus
from pkg.apis.reasons import Reason, SchedulePhase
from pkg.backup.validation import MAX_NAME_CHARACTERS, template_problems
from pkg.controllers.cron import TimetableError, timetable_of
from pkg.controllers.schedule_runs import SchedulePlan, ScheduleView, plan_runs

MAX_SCHEDULE_NAME_CHARACTERS = MAX_NAME_CHARACTERS - len("-YYYYMMDDhhmmss")
_RESUMING = frozenset({Reason.PAUSED.value, Reason.RESTORE_ONLY.value, Reason.INVALID_SPEC.value})


def problems(schedule: Schedule) -> list[str]:
    """The sentences for `status.validationErrors`; empty when the schedule may run."""
    found = template_problems(schedule.spec.template)
    name = schedule.metadata.name
    if len(name) > MAX_SCHEDULE_NAME_CHARACTERS:
        found.append(
            f"the name is too long: it has {len(name)} characters, and its backups' names leave room for "
            f"{MAX_SCHEDULE_NAME_CHARACTERS}"
        )
    if schedule.spec.min_keep is not None and schedule.spec.min_keep < 0:
        found.append(f"Invalid minKeep {schedule.spec.min_keep}: it is negative; 0 lets the last backup expire too")
    try:
        timetable_of(schedule)
    except TimetableError as error:
        found.insert(0, str(error))
    return found


def plan_schedule(view: ScheduleView) -> SchedulePlan:
    """The next step of a Schedule."""
    schedule, status = view.schedule, view.schedule.status
    found = problems(schedule)
    if found:
        return SchedulePlan(
            status=replace(
                status,
                phase=SchedulePhase.FAILED_VALIDATION.value,
                validation_errors=tuple(found),
                next_backup=None,
                reason=Reason.INVALID_SPEC.value,
                message="; ".join(found),
            )
        )
    if schedule.spec.paused:
        return _held(view, Reason.PAUSED, "it is paused: `ark schedule unpause` lets it run")
    if view.restore_only:
        return _held(view, Reason.RESTORE_ONLY, "the server is in restoreOnly mode, which writes no backups")
    return plan_runs(view, _let_run(view), timetable_of(schedule))


def _held(view: ScheduleView, reason: Reason, message: str) -> SchedulePlan:
    return SchedulePlan(status=replace(_accepted(view), next_backup=None, reason=reason.value, message=message))


def _let_run(view: ScheduleView) -> ScheduleStatus:
    """The status of a schedule that may run; what was not due before a change or a hold is not due after it."""
    status, accepted = view.schedule.status, _accepted(view)
    changed = status.timetable not in ("", accepted.timetable)
    resumed = status.reason in _RESUMING or status.phase == SchedulePhase.FAILED_VALIDATION
    if not changed and not resumed:
        return accepted
    return replace(accepted, counts_from=view.now.replace(microsecond=0), reason="", message="")


def _accepted(view: ScheduleView) -> ScheduleStatus:
    return replace(
        view.schedule.status,
        phase=SchedulePhase.ENABLED.value,
        validation_errors=None,
        timetable=_in_force(view.schedule.spec),
    )


def _in_force(spec: ScheduleSpec) -> str:
    parts = [spec.schedule.strip(), spec.time_zone.strip() or "UTC"]
    return ", ".join([*parts, f"jitter {spec.jitter}"] if spec.jitter else parts)
