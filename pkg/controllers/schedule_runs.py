"""Which run of a valid schedule is due, and what becomes of it: pure.

A run is known by its time on the timetable and its backup by a name derived from that time, so whoever decides again,
after a crash or beside a second server, decides the same and makes nothing twice. A run that is late is made up for
only within half of the time to the next one; what is left out is told, and never made later. A clock that was set back
makes nothing again, and one that was far ahead does not silence the schedule until that time comes.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass

from msgspec.structs import replace

from pkg.apis.ark import Backup, Schedule, ScheduleStatus
from pkg.apis.reasons import BackupPhase, Reason
from pkg.controllers.cron import Timetable
from pkg.controllers.ownership import is_imported

_OPEN = frozenset({"", BackupPhase.NEW.value, BackupPhase.IN_PROGRESS.value})
_LONG_AGO = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleView:
    """What the decision rests on.

    Attributes:
        backups: Those that carry the schedule's label, whoever made them.
        restore_only: The server must not write backups.
        taken: The name of a backup that is there and is not the schedule's.
    """

    schedule: Schedule
    now: datetime.datetime
    backups: tuple[Backup, ...] = ()
    restore_only: bool = False
    taken: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulePlan:
    """What to do.

    Attributes:
        status: What the status should say; the same as it says when nothing is to be written.
        run: The time of the run whose backup is to be made; None for none.
        left: Runs were left out for this reason; `note` tells which.
        wake_at: When to decide again; None: when the object changes.
    """

    status: ScheduleStatus
    run: datetime.datetime | None = None
    left: Reason | None = None
    note: str = ""
    wake_at: datetime.datetime | None = None


def backup_name(schedule: str, run: datetime.datetime) -> str:
    """The name of the backup of a run: 0.9's form, in UTC."""
    return f"{schedule}-{run.astimezone(datetime.UTC):%Y%m%d%H%M%S}"


def plan_runs(view: ScheduleView, status: ScheduleStatus, table: Timetable) -> SchedulePlan:
    """The next step of a schedule that may run.

    Args:
        view: The object, its backups and the time.
        status: Its status so far, as that of a valid schedule.
        table: Its timetable.
    """
    return _Runs(view=view, status=status, table=table).plan()


def unfinished(backups: tuple[Backup, ...]) -> Backup | None:
    """A backup that has not ended yet; what was found in a bucket never runs."""
    return next((one for one in backups if one.status.phase in _OPEN and not is_imported(one)), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Runs:
    view: ScheduleView
    status: ScheduleStatus
    table: Timetable

    def plan(self) -> SchedulePlan:
        newest = max((run for run in self._made() if run <= self.view.now), default=None)
        base = self._base()
        if newest is not None and newest >= base and newest != self.status.last_backup:
            return self._recorded(newest)
        first = self._first(base)
        if first is None or first > self.view.now:
            return SchedulePlan(status=replace(self._sane(), next_backup=first), wake_at=first)
        run = first if self._is_first_of_all(first) else self.table.latest(first, self.view.now) or first
        earlier = f"no server made the runs from {_text(first)} until before {_text(run)}" if run != first else ""
        return self._decide(run, earlier)

    def _decide(self, run: datetime.datetime, earlier: str) -> SchedulePlan:
        name, now = backup_name(self._name, run), self.view.now
        if run in self._made():
            return self._recorded(run)
        if now - run >= self.table.gap_after(run) / 2 and not self._is_first_of_all(run):
            late = str(now - run).partition(".")[0]
            return self._left_out(
                run, Reason.MISSED, f"it is late by {late}, more than half of the time to the next run"
            )
        if name == self.view.taken or any(one.metadata.name == name for one in self.view.backups):
            return self._left_out(run, Reason.NAME_TAKEN, f"there is a backup {name} that this schedule did not make")
        running = unfinished(self.view.backups)
        if running is not None:
            return self._left_out(run, Reason.OVERLAP, f"backup {running.metadata.name} has not ended")
        made = self._after(run, last_backup=run, last_backup_name=name, message=earlier)
        left = Reason.MISSED if earlier else None
        return SchedulePlan(status=made.status, run=run, left=left, note=earlier, wake_at=made.wake_at)

    @property
    def _name(self) -> str:
        return self.view.schedule.metadata.name

    @property
    def _created(self) -> datetime.datetime:
        return self.view.schedule.metadata.creation_timestamp or _LONG_AGO

    def _made(self) -> set[datetime.datetime]:
        """The runs whose backups are there."""
        own = (one for one in self.view.backups if not is_imported(one))
        return {run for one in own if (run := run_of(self._name, one.metadata.name)) is not None}

    def _base(self) -> datetime.datetime:
        """The moment after which the first run is due."""
        return max((moment for moment in self._moments() if moment <= self._horizon()), default=self.view.now)

    def _moments(self) -> list[datetime.datetime]:
        status = self.status
        known = (self._created, status.last_backup, status.last_skipped, status.counts_from)
        return [moment for moment in known if moment is not None]

    def _horizon(self) -> datetime.datetime:
        """What lies beyond it was written by a clock that was wrong."""
        following = self.table.next_after(self.view.now) or self.view.now
        return following + self.table.gap_after(following)

    def _sane(self) -> ScheduleStatus:
        """The status without what a wrong clock wrote, so that the time is counted from now on."""
        beyond = self._horizon()
        status = self.status
        if status.last_skipped is not None and status.last_skipped > beyond:
            status = replace(status, last_skipped=None)
        if all(moment > beyond for moment in self._moments()):
            status = replace(status, counts_from=self.view.now.replace(microsecond=0))
        return status

    def _first(self, base: datetime.datetime) -> datetime.datetime | None:
        if self._is_first_of_all(self._created):
            return self._created
        return self.table.next_after(base)

    def _is_first_of_all(self, run: datetime.datetime) -> bool:
        """Whether it is the run of `runOnCreate`, which is due at once and never too late."""
        ran = self.status.last_backup or self.status.last_skipped
        return self.view.schedule.spec.run_on_create and ran is None and run == self._created

    def _recorded(self, run: datetime.datetime) -> SchedulePlan:
        """A backup that was made before its run was written down, as when the server died between the two."""
        return self._after(run, last_backup=run, last_backup_name=backup_name(self._name, run))

    def _left_out(self, run: datetime.datetime, left: Reason, cause: str) -> SchedulePlan:
        note = f"the run of {_text(run)} was left out: {cause}"
        plan = self._after(run, last_skipped=run, reason=left.value, message=note)
        return SchedulePlan(status=plan.status, left=left, note=note, wake_at=plan.wake_at)

    def _after(self, run: datetime.datetime, **fields: object) -> SchedulePlan:
        following = self.table.next_after(run)
        status = replace(self._sane(), **({"next_backup": following, "reason": "", "message": ""} | fields))
        return SchedulePlan(status=status, wake_at=following)


def run_of(schedule: str, backup: str) -> datetime.datetime | None:
    """The time in a backup's name; None for a name of another form."""
    prefix, digits = backup[:-14], backup[-14:]
    if prefix != f"{schedule}-" or not digits.isascii() or not digits.isdecimal():
        return None
    try:
        return datetime.datetime.strptime(digits, "%Y%m%d%H%M%S").replace(tzinfo=datetime.UTC)
    except ValueError:
        return None


def _text(moment: datetime.datetime) -> str:
    return f"{moment.astimezone(datetime.UTC):%Y-%m-%dT%H:%M:%SZ}"
