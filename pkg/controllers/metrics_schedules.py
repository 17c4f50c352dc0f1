"""Last success, last status and ages of each schedule, computed from the objects at each scrape (operators.md 26).

A counter begins anew with the server and says nothing of a backup that never ran. An age needs no history: it grows
while nothing happens, is the same after a restart and on a standby, and ends with its Schedule. Before a schedule's
first success its age counts from the Schedule's creation, so that one which never worked is late too.
"""

from __future__ import annotations

import datetime
import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from pkg.apis.ark import Backup, Schedule
from pkg.apis.names import SCHEDULE_LABEL
from pkg.apis.reasons import TERMINAL_PHASES, BackupPhase, Reason
from pkg.controllers.cron import Timetable, TimetableError, timetable_of
from pkg.controllers.ownership import is_imported, is_ours
from pkg.informers.lister import Lister
from pkg.kube.clock import Clock
from pkg.volumes.naming import label_value

_GAUGES = {
    "ark_backup_last_successful_timestamp": "Start of the newest Completed backup, in seconds since 1970.",
    "ark_backup_last_successful_age_seconds": "Time since then; before the first success, since the schedule was made.",
    "ark_backup_last_status": "1 when the newest backup that ended is Completed, else 0.",
    "ark_backup_running_age_seconds": "Time since the oldest backup that has not ended was made.",
    "ark_schedule_next_run_timestamp": "When the next run is due, in seconds since 1970.",
    "ark_schedule_interval_seconds": "The longest time between two runs in the week to come.",
    "ark_schedule_held": "1 while the schedule is paused or the server only restores, else 0.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One value of one gauge."""

    gauge: str
    schedule: str
    value: float


class ScheduleCollector(Collector):
    """Answers each scrape from the caches."""

    def __init__(self, schedules: Lister[Schedule], backups: Lister[Backup], *, cluster_id: str, clock: Clock) -> None:
        self._schedules = schedules
        self._backups = backups
        self._cluster_id = cluster_id
        self._clock = clock

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The gauges of all schedules, and how many there are in each phase."""
        schedules, now = self._schedules.list(), self._clock.now()
        own = [one for one in self._backups.list() if not is_imported(one) or is_ours(one, self._cluster_id)]
        families = {name: GaugeMetricFamily(name, text, labels=["schedule"]) for name, text in _GAUGES.items()}
        for reading in readings(schedules, own, now):
            families[reading.gauge].add_metric([reading.schedule], reading.value)
        yield from families.values()
        phases = GaugeMetricFamily("ark_schedules", "Schedules in each phase.", labels=["phase"])
        for phase in ("New", "Enabled", "FailedValidation"):
            phases.add_metric([phase], sum((one.status.phase or "New") == phase for one in schedules))
        yield phases


def readings(schedules: Iterable[Schedule], backups: Iterable[Backup], now: datetime.datetime) -> list[Reading]:
    """Every value; backups that no schedule made, or none that still exists, count under the empty label."""
    by_label = {label_value(one.metadata.name): one for one in schedules}
    of_label: dict[str, list[Backup]] = {label: [] for label in by_label}
    for backup in backups:
        label = backup.metadata.label(SCHEDULE_LABEL)
        of_label.setdefault(label if label in by_label else "", []).append(backup)
    found = []
    for label, own in of_label.items():
        values = _of_backups(own, by_label.get(label), now)
        if label in by_label:
            values |= _of_timetable(by_label[label], now)
        found += [Reading(gauge=gauge, schedule=label, value=value) for gauge, value in values.items()]
    return found


def _of_backups(backups: list[Backup], schedule: Schedule | None, now: datetime.datetime) -> dict[str, float]:
    values: dict[str, float] = {}
    ended = [one for one in backups if one.status.phase in TERMINAL_PHASES]
    good = [moment for one in ended if one.status.phase == BackupPhase.COMPLETED and (moment := _moment(one))]
    since = max(good, default=schedule.metadata.creation_timestamp if schedule else None)
    if good:
        values["ark_backup_last_successful_timestamp"] = max(good).timestamp()
    if since:
        values["ark_backup_last_successful_age_seconds"] = _age(since, now)
    newest = max(ended, key=lambda one: _moment(one) or _LONG_AGO, default=None)
    if newest:
        values["ark_backup_last_status"] = float(newest.status.phase == BackupPhase.COMPLETED)
    running = [one.metadata.creation_timestamp for one in backups if one.status.phase in _OPEN and not is_imported(one)]
    values["ark_backup_running_age_seconds"] = max((_age(one, now) for one in running if one), default=0.0)
    return values


def _of_timetable(schedule: Schedule, now: datetime.datetime) -> dict[str, float]:
    status = schedule.status
    held = schedule.spec.paused or status.reason in (Reason.PAUSED.value, Reason.RESTORE_ONLY.value)
    values = {"ark_schedule_held": float(held)}
    if status.next_backup:
        values["ark_schedule_next_run_timestamp"] = status.next_backup.timestamp()
    try:
        table = timetable_of(schedule)
    except TimetableError:
        return values
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return values | {"ark_schedule_interval_seconds": _longest_gap(table, today)}


@functools.lru_cache(maxsize=1024)
def _longest_gap(table: Timetable, day: datetime.datetime) -> float:
    return table.longest_gap(day).total_seconds()


_LONG_AGO = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_OPEN = frozenset({"", BackupPhase.NEW.value, BackupPhase.IN_PROGRESS.value})


def _moment(backup: Backup) -> datetime.datetime | None:
    """The moment whose state a backup holds: when it began."""
    return backup.status.start_timestamp or backup.metadata.creation_timestamp


def _age(moment: datetime.datetime, now: datetime.datetime) -> float:
    return max(0.0, (now - moment).total_seconds())
