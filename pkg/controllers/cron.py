"""When a schedule runs: pure, and the same answer from every process and after every restart.

Runs lie on a grid that only the Schedule decides: its line, its time zone, a delay derived from its UID, and for
`@every` the moment of its creation. So a run has one time, whoever asks and however late, and its backup one name.

Clock changes (lines with a star as minute or hour count real time, the others the clock on the wall): a time that the
clock jumps over in spring runs when the jump is over, and a time that comes twice in autumn runs once, the first time.
"""

from __future__ import annotations

import datetime
import functools
import hashlib
import math
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from pkg.apis.ark import Schedule, ScheduleSpec
from pkg.apis.duration import parse_duration
from pkg.controllers.cron_line import FORM, MAX_CHARACTERS, CronLineError, plain_line

DAY_SECONDS = 86400
MAX_EVERY_SECONDS = 3650 * DAY_SECONDS
EMPTY = "Schedule must be a non-empty valid Cron expression"
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_GAPS_DAYS, _GAPS_RUNS = 8, 512
_FIRST_REACH = datetime.timedelta(hours=1)


class TimetableError(ValueError):
    """The schedule does not say when it runs; the message is for the person who wrote it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timetable:
    """The moments at which a schedule runs.

    Attributes:
        line: Five fields in cronsim's form; empty for `@every`.
        zone: The time zone of the line.
        every_seconds: Of `@every`; 0 for a line.
        anchor: The moment that `@every` counts from.
        delay_seconds: How much later than its line each run is.
    """

    line: str
    zone: datetime.tzinfo
    every_seconds: int = 0
    anchor: datetime.datetime = _EPOCH
    delay_seconds: int = 0

    def next_after(self, after: datetime.datetime) -> datetime.datetime | None:
        """The first run later than a moment; None when there is none within 50 years."""
        delay = datetime.timedelta(seconds=self.delay_seconds)
        try:
            found = self._every(after - delay) if self.every_seconds else self._by_line(after - delay)
            return found + delay if found else None
        except OverflowError:
            return None

    def latest(self, after: datetime.datetime, until: datetime.datetime) -> datetime.datetime | None:
        """The last run later than one moment and not later than another; None when there is none.

        It looks at the last hour first, then farther back, so that a line of every minute and an absence of a year
        cost no million steps.
        """
        reach, found = _FIRST_REACH, None
        while found is None:
            start = max(after, until - reach)
            found = self._until(start, until)
            if start == after:
                break
            reach *= 4
        while found is not None and (following := self._until(found, until)) is not None:
            found = following
        return found

    def gap_after(self, run: datetime.datetime) -> datetime.timedelta:
        """The time from a run to the next one."""
        following = self.next_after(run)
        return following - run if following else datetime.timedelta(days=365)

    def longest_gap(self, after: datetime.datetime) -> datetime.timedelta:
        """The longest time between two runs in the week to come, as over a weekend."""
        end = after + datetime.timedelta(days=_GAPS_DAYS)
        run, longest = self.next_after(after), datetime.timedelta()
        for _ in range(_GAPS_RUNS):
            if run is None or (run > end and longest):
                break
            longest = max(longest, self.gap_after(run))
            run = self.next_after(run)
        return longest

    def _until(self, after: datetime.datetime, until: datetime.datetime) -> datetime.datetime | None:
        found = self.next_after(after)
        return found if found is not None and found <= until else None

    def _every(self, after: datetime.datetime) -> datetime.datetime:
        every = datetime.timedelta(seconds=self.every_seconds)
        return self.anchor + max(1, (after - self.anchor) // every + 1) * every

    def _by_line(self, after: datetime.datetime) -> datetime.datetime | None:
        for moment in CronSim(self.line, after.astimezone(self.zone)):
            found = moment.astimezone(datetime.UTC)
            if found > after:  # an hour that comes twice is walked through by the clock on the wall
                return found
        return None


def timetable_of(schedule: Schedule) -> Timetable:
    """The timetable of a Schedule in the cluster.

    Raises:
        TimetableError: it does not parse.
    """
    meta = schedule.metadata
    return parse(schedule.spec, uid=meta.uid, anchor=meta.creation_timestamp or _EPOCH)


def next_run(
    spec: ScheduleSpec, after: datetime.datetime, *, uid: str = "", anchor: datetime.datetime = _EPOCH
) -> datetime.datetime | None:
    """The first run later than a moment; None when there is none within 50 years.

    Args:
        spec: Of a Schedule.
        after: Aware.
        uid: The Schedule's, which decides the delay within its jitter.
        anchor: The Schedule's creation, which `@every` counts from.

    Raises:
        TimetableError: it does not parse.
    """
    return parse(spec, uid=uid, anchor=anchor).next_after(after)


def parse(spec: ScheduleSpec, *, uid: str = "", anchor: datetime.datetime = _EPOCH) -> Timetable:
    """The timetable that a spec means.

    Raises:
        TimetableError: the line, the time zone or the jitter does not parse; the message says how to write it.
    """
    return _parsed(spec.schedule, spec.time_zone, spec.jitter, uid, anchor.replace(microsecond=0))


@functools.lru_cache(maxsize=1024)
def _parsed(schedule: str, time_zone: str, jitter: str, uid: str, anchor: datetime.datetime) -> Timetable:
    text, zone_name = _split_zone(schedule.strip(), time_zone.strip())
    zone, delay = _zone(zone_name), _delay_seconds(jitter, uid)
    if text.lower().startswith("@every"):
        every = _every_seconds(text)
        return Timetable(line="", zone=zone, every_seconds=every, anchor=anchor, delay_seconds=delay)
    try:
        line = plain_line(text)
        CronSim(line, _EPOCH)
    except CronLineError as error:
        raise TimetableError(f"invalid schedule: {error}; {FORM}") from error
    except CronSimError as error:
        raise TimetableError(f'invalid schedule: "{text}" names a day that none of its months has; {FORM}') from error
    return Timetable(line=line, zone=zone, delay_seconds=delay)


def _split_zone(text: str, time_zone: str) -> tuple[str, str]:
    """The line without `CRON_TZ=` or `TZ=`, and the name of its time zone."""
    if not text:
        raise TimetableError(f"{EMPTY}; {FORM}")
    if len(text) > MAX_CHARACTERS:
        raise TimetableError(
            f"invalid schedule: it has {len(text)} characters, at most {MAX_CHARACTERS} are read; {FORM}"
        )
    if not text.startswith(("CRON_TZ=", "TZ=")):
        return text, time_zone
    head, *line = text.split(maxsplit=1)
    if time_zone:
        raise TimetableError(
            f'invalid schedule: the time zone stands twice, as {head} and as timeZone "{time_zone[:80]}"; leave one out'
        )
    return "".join(line), head.partition("=")[2]


def _zone(name: str) -> datetime.tzinfo:
    if name in ("", "UTC", "Etc/UTC"):
        return datetime.UTC
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError) as error:
        raise TimetableError(
            f'invalid time zone "{name[:80]}": write an IANA name, such as Europe/Berlin, or nothing for UTC'
        ) from error


def _every_seconds(text: str) -> int:
    try:
        seconds = parse_duration(text[len("@every") :])
    except ValueError as error:
        raise TimetableError(f"invalid schedule: {error}") from error
    if not 0 < seconds <= MAX_EVERY_SECONDS:
        raise TimetableError(f'invalid schedule: "{text[:80]}" must be more than nothing and at most ten years')
    return max(1, math.floor(seconds))


def _delay_seconds(jitter: str, uid: str) -> int:
    """The schedule's own delay, the same for ever."""
    try:
        longest = parse_duration(jitter) if jitter else 0.0
    except ValueError as error:
        raise TimetableError(f"invalid jitter: {error}") from error
    if not 0 <= longest <= DAY_SECONDS:
        raise TimetableError(f'invalid jitter "{jitter[:80]}": it must not be negative, nor longer than 24h')
    number = int.from_bytes(hashlib.sha256(uid.encode(errors="replace")).digest()[:8])
    return number % (int(longest) + 1) if uid else 0
