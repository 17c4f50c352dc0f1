"""When a schedule runs: every line that 0.9 read, both clock changes, and no text that stops the server."""

from __future__ import annotations

import datetime
from datetime import UTC, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pkg.apis.ark import Schedule, ScheduleSpec
from pkg.apis.meta import ObjectMeta
from pkg.controllers.cron import Timetable, TimetableError, next_run, parse, timetable_of

NEW_YEAR = datetime.datetime(2026, 1, 1, tzinfo=UTC)  # a Thursday


def at(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text).replace(tzinfo=UTC)


def runs(spec: ScheduleSpec, after: datetime.datetime, count: int) -> list[str]:
    found = []
    for _ in range(count):
        following = next_run(spec, after)
        assert following is not None
        assert following > after
        after = following
        found.append(f"{after:%m-%d %H:%M}")
    return found


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param("0 9 * * *", ["01-01 09:00", "01-02 09:00"], id="five fields"),
        pytest.param("  0   9 * * *\t", ["01-01 09:00"], id="blanks do not count"),
        pytest.param("*/20 * * * *", ["01-01 00:20", "01-01 00:40", "01-01 01:00"], id="a star with a step"),
        pytest.param("*/7 * * * *", ["01-01 00:07", "01-01 00:14"], id="a step that does not divide the hour"),
        pytest.param("50/5 * * * *", ["01-01 00:50", "01-01 00:55", "01-01 01:50"], id="a number with a step goes on"),
        pytest.param("5-5/2 0 * * *", ["01-01 00:05", "01-02 00:05"], id="a range of one with a step does not"),
        pytest.param("10-30/10 0 * * *", ["01-01 00:10", "01-01 00:20", "01-01 00:30", "01-02 00:10"], id="a range"),
        pytest.param("0 6,18 * * *", ["01-01 06:00", "01-01 18:00"], id="a list"),
        pytest.param("0 0 1 JAN,jul *", ["07-01 00:00", "01-01 00:00"], id="months by name"),
        pytest.param("0 0 * Mar-May mon", ["03-02 00:00"], id="a range of names"),
        pytest.param("0 0 * * 7", ["01-04 00:00", "01-11 00:00"], id="weekday 7 is Sunday"),
        pytest.param("0 0 * * 0", ["01-04 00:00"], id="weekday 0 is Sunday"),
        pytest.param(
            "0 0 * * 5-7", ["01-02 00:00", "01-03 00:00", "01-04 00:00", "01-09 00:00"], id="Friday to Sunday"
        ),
        pytest.param("0 0 * * 1/2", ["01-02 00:00", "01-05 00:00", "01-07 00:00"], id="1/2 ends on Saturday"),
        pytest.param("0 0 * * */3", ["01-03 00:00", "01-04 00:00", "01-07 00:00"], id="every third weekday"),
        pytest.param("0 0 ? * 1", ["01-05 00:00"], id="a question mark is a star"),
        pytest.param("0 0 13 * 5", ["01-02 00:00", "01-09 00:00", "01-13 00:00"], id="day or weekday"),
        pytest.param("0 0 13 * ?", ["01-13 00:00"], id="day and any weekday"),
        pytest.param("0 0 13,* * 5", ["01-02 00:00", "01-09 00:00"], id="a list with a star holds every day"),
        pytest.param("0 0 */2 * 5", ["01-09 00:00", "01-23 00:00"], id="a star with a step joins by and, as in 0.9"),
        pytest.param("0 0 29 2 *", ["02-29 00:00"], id="a leap day"),
        pytest.param("0 0 L * *", ["01-31 00:00", "02-28 00:00"], id="the last day"),
        pytest.param("0 0 * * 5L", ["01-30 00:00"], id="the last Friday"),
        pytest.param("0 0 * * 5#2", ["01-09 00:00"], id="the second Friday"),
        pytest.param("*/100 0 * * *", ["01-02 00:00"], id="a step longer than the hour"),
        pytest.param("@hourly", ["01-01 01:00"], id="hourly"),
        pytest.param("@daily", ["01-02 00:00"], id="daily"),
        pytest.param("@midnight", ["01-02 00:00"], id="midnight"),
        pytest.param("@weekly", ["01-04 00:00"], id="weekly"),
        pytest.param("@monthly", ["02-01 00:00"], id="monthly"),
        pytest.param("@yearly", ["01-01 00:00"], id="yearly"),
        pytest.param("@annually", ["01-01 00:00"], id="annually"),
        pytest.param("@Daily", ["01-02 00:00"], id="a capital letter"),
        pytest.param("@every 1h30m", ["01-01 01:30", "01-01 03:00"], id="every ninety minutes"),
        pytest.param("CRON_TZ=Asia/Tokyo 0 9 * * *", ["01-02 00:00"], id="a time zone before the line"),
        pytest.param("TZ=Asia/Tokyo\t@daily", ["01-01 15:00"], id="and in its older form"),
        pytest.param("TZ=UTC @every 1h", ["01-01 01:00"], id="a time zone that changes nothing"),
    ],
)
def test_a_line_runs_when_it_says(line: str, expected: list[str]) -> None:
    assert runs(ScheduleSpec(schedule=line), NEW_YEAR, len(expected)) == expected


@pytest.mark.parametrize(
    ("spec", "cause"),
    [
        pytest.param(ScheduleSpec(), "non-empty", id="nothing"),
        pytest.param(ScheduleSpec(schedule="  \n"), "non-empty", id="blanks"),
        pytest.param(ScheduleSpec(schedule="* * * *"), "4 fields and not 5", id="four fields"),
        pytest.param(ScheduleSpec(schedule="0 0 0 * * *"), "6 fields and not 5", id="seconds"),
        pytest.param(ScheduleSpec(schedule="61 * * * *"), "minute 61 is not between 0 and 59", id="minute 61"),
        pytest.param(ScheduleSpec(schedule="0 24 * * *"), "hour 24", id="hour 24"),
        pytest.param(ScheduleSpec(schedule="0 0 0 * *"), "day 0", id="day 0"),
        pytest.param(ScheduleSpec(schedule="0 0 * 13 *"), "month 13", id="month 13"),
        pytest.param(ScheduleSpec(schedule="0 0 * * 8"), "weekday 8", id="weekday 8"),
        pytest.param(ScheduleSpec(schedule="0 0 * * foo"), 'weekday "foo" is not known', id="an unknown name"),
        pytest.param(ScheduleSpec(schedule="0 0 30 2 *"), "a day that none of its months has", id="30 February"),
        pytest.param(ScheduleSpec(schedule="30-10 * * * *"), "ends before it begins", id="a range backwards"),
        pytest.param(ScheduleSpec(schedule="*/0 * * * *"), "step of 0", id="a step of 0"),
        pytest.param(ScheduleSpec(schedule="1-2-3 * * * *"), 'minute "1-2-3"', id="two hyphens"),
        pytest.param(ScheduleSpec(schedule="*-5 * * * *"), "begins with a star", id="a range that begins with a star"),
        pytest.param(ScheduleSpec(schedule="1//2 * * * *"), 'minute "1//2"', id="two slashes"),
        pytest.param(ScheduleSpec(schedule=", * * * *"), 'minute ""', id="a list of nothing"),
        pytest.param(ScheduleSpec(schedule="9" * 5000), "5000 characters", id="a line without end"),
        pytest.param(ScheduleSpec(schedule="@reboot"), "not one of", id="an unknown descriptor"),
        pytest.param(ScheduleSpec(schedule="@every"), "invalid duration", id="every nothing"),
        pytest.param(ScheduleSpec(schedule="@every 0s"), "more than nothing", id="every 0 seconds"),
        pytest.param(ScheduleSpec(schedule="@every -5m"), "more than nothing", id="every minus five minutes"),
        pytest.param(ScheduleSpec(schedule=f"@every {'9' * 900}h"), "ten years", id="every eternity"),
        pytest.param(ScheduleSpec(schedule="@daily", time_zone="Mars/Base"), "Mars/Base", id="an unknown time zone"),
        pytest.param(ScheduleSpec(schedule="@daily", time_zone="Europe"), "Europe", id="a directory of time zones"),
        pytest.param(ScheduleSpec(schedule="@daily", time_zone="../etc"), "IANA", id="a path for a time zone"),
        pytest.param(ScheduleSpec(schedule="@daily", time_zone="a\0b"), "IANA", id="a null byte in it"),
        pytest.param(ScheduleSpec(schedule="TZ=UTC @daily", time_zone="UTC"), "twice", id="two time zones"),
        pytest.param(ScheduleSpec(schedule="TZ=UTC"), "0 fields", id="a time zone alone"),
        pytest.param(ScheduleSpec(schedule="@daily", jitter="soon"), "invalid jitter", id="a jitter that is none"),
        pytest.param(ScheduleSpec(schedule="@daily", jitter="-1m"), "invalid jitter", id="a negative jitter"),
        pytest.param(ScheduleSpec(schedule="@daily", jitter="25h"), "invalid jitter", id="a jitter over a day"),
    ],
)
def test_a_line_that_does_not_parse_is_told_with_its_cause(spec: ScheduleSpec, cause: str) -> None:
    with pytest.raises(TimetableError) as caught:
        parse(spec)
    assert cause in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("line", "zone", "after", "expected"),
    [
        pytest.param(
            "30 2 * * *", "Europe/Berlin", "2026-03-28T00:00", ["03-28 01:30", "03-29 01:00", "03-30 00:30"],
            id="a time that spring leaps over runs when the leap is done",
        ),
        pytest.param(
            "0,30 2 * * *", "Europe/Berlin", "2026-03-29T00:00", ["03-29 01:00", "03-30 00:00"],
            id="two such times run once",
        ),
        pytest.param(
            "30 2 * * *", "Europe/Berlin", "2026-10-24T12:00", ["10-25 00:30", "10-26 01:30"],
            id="a time that autumn has twice runs the first time",
        ),
        pytest.param(
            "30 2 * * *", "Europe/Berlin", "2026-10-25T01:15", ["10-26 01:30"],
            id="asked in the second of the two hours it is over",
        ),
        pytest.param(
            "*/30 * * * *", "Europe/Berlin", "2026-10-25T00:00", ["10-25 00:30", "10-25 01:00", "10-25 01:30"],
            id="every half hour counts real time in autumn",
        ),
        pytest.param(
            "*/30 * * * *", "Europe/Berlin", "2026-03-29T00:30", ["03-29 01:00", "03-29 01:30"],
            id="and in spring",
        ),
        pytest.param(
            "0 0 * * *", "America/New_York", "2026-03-08T00:00", ["03-08 05:00", "03-09 04:00"],
            id="midnight keeps to the clock on the wall",
        ),
        pytest.param(
            "30 2 * * *", "Australia/Lord_Howe", "2026-04-04T12:00", ["04-04 16:00", "04-05 16:00"],
            id="a change of half an hour",
        ),
        pytest.param("0 1 * * *", "Asia/Kathmandu", "2026-01-01T00:00", ["01-01 19:15"], id="an odd offset"),
        pytest.param("0 12 * * *", "Pacific/Apia", "2026-01-01T00:00", ["01-01 23:00"], id="beyond the date line"),
    ],
)  # fmt: skip
def test_clock_changes(line: str, zone: str, after: str, expected: list[str]) -> None:
    assert runs(ScheduleSpec(schedule=line, time_zone=zone), at(after), len(expected)) == expected


def test_without_a_time_zone_a_line_means_utc() -> None:
    assert next_run(ScheduleSpec(schedule="0 9 * * *"), at("2026-07-01")) == at("2026-07-01T09:00")


def test_a_run_is_later_than_the_moment_even_by_less_than_a_second() -> None:
    spec = ScheduleSpec(schedule="* * * * *")
    assert next_run(spec, at("2026-01-01T00:00:59.999")) == at("2026-01-01T00:01")
    assert next_run(spec, at("2026-01-01T00:01:00")) == at("2026-01-01T00:02")
    assert next_run(spec, at("2026-01-01T00:01:00.001")) == at("2026-01-01T00:02")


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        pytest.param("2026-01-01T00:00:00", "2026-01-01T00:10:07", id="the first is one interval after the creation"),
        pytest.param("2025-12-31T00:00:00", "2026-01-01T00:10:07", id="none is before it"),
        pytest.param("2026-01-01T00:10:07", "2026-01-01T00:20:07", id="then the next"),
        pytest.param("2026-01-01T00:13:00", "2026-01-01T00:20:07", id="a late run does not shift the later ones"),
        pytest.param("2026-03-01T00:00:00", "2026-03-01T00:00:07", id="after months it is the same grid"),
    ],
)
def test_every_counts_from_the_creation(after: str, expected: str) -> None:
    spec = ScheduleSpec(schedule="@every 10m")
    assert next_run(spec, at(after), anchor=at("2026-01-01T00:00:07.250")) == at(expected)


def schedule(uid: str, line: str, jitter: str) -> Schedule:
    metadata = ObjectMeta(name="nightly", uid=uid, creation_timestamp=NEW_YEAR)
    return Schedule(metadata=metadata, spec=ScheduleSpec(schedule=line, jitter=jitter))


@pytest.mark.parametrize("line", ["0 1 * * *", "@every 24h", "0 1 * * 1-5"])
def test_jitter_shifts_every_run_of_a_schedule_by_the_same(line: str) -> None:
    plain, late = (timetable_of(schedule("u-1", line, jitter)) for jitter in ("", "30m"))
    assert 0 < late.delay_seconds <= 1800
    moment = NEW_YEAR
    for _ in range(10):
        exact, shifted = plain.next_after(moment), late.next_after(moment)
        assert exact
        assert shifted == exact + timedelta(seconds=late.delay_seconds)
        moment = exact + timedelta(seconds=1801)


def test_jitter_spreads_schedules_and_never_changes() -> None:
    delays = [timetable_of(schedule(f"u-{number}", "@daily", "1h")).delay_seconds for number in range(200)]
    again = [timetable_of(schedule(f"u-{number}", "@daily", "1h")).delay_seconds for number in range(200)]
    assert delays == again
    assert len(set(delays)) > 150
    assert max(delays) <= 3600
    assert min(delays) < 300
    assert max(delays) > 3300


@pytest.mark.parametrize(
    ("line", "after", "until", "expected"),
    [
        pytest.param("0 1 * * *", "2026-01-01", "2026-01-01T00:30", None, id="none was due"),
        pytest.param("0 1 * * *", "2026-01-01", "2026-01-01T01:00", "2026-01-01T01:00", id="one is due now"),
        pytest.param("0 1 * * *", "2026-01-01", "2026-01-04T00:59", "2026-01-03T01:00", id="the last of three"),
        pytest.param("* * * * *", "2020-01-01", "2026-01-01T00:00:30", "2026-01-01T00:00", id="of three millions"),
        pytest.param("0 0 29 2 *", "2020-03-01", "2026-01-01", "2024-02-29", id="years ago"),
        pytest.param("0 0 29 2 *", "2024-02-29", "2026-01-01", None, id="the one that was made does not count"),
        pytest.param("@every 1s", "2020-01-01", "2026-01-01T00:00:00.500", "2026-01-01T00:00", id="every second"),
    ],
)
def test_the_latest_run_that_is_due(line: str, after: str, until: str, expected: str | None) -> None:
    found = parse(ScheduleSpec(schedule=line)).latest(at(after), at(until))
    assert found == (at(expected) if expected else None)


def test_the_gap_after_a_run() -> None:
    assert parse(ScheduleSpec(schedule="0 1 * * 1-5")).gap_after(at("2026-01-02T01:00")) == timedelta(days=3)
    assert parse(ScheduleSpec(schedule="0 0 1 1 *")).gap_after(at("9999-12-01")) == timedelta(days=365)


TEXTS = st.one_of(
    st.text(max_size=60),
    st.text(alphabet="0123456789*/,-?LW#@ TZ=every", max_size=60),
    st.lists(st.text(alphabet="0123456789*/,-?L#", min_size=1, max_size=6), min_size=5, max_size=5).map(" ".join),
)


@settings(deadline=None)  # a loaded machine is no finding
@given(
    line=TEXTS, zone=st.one_of(st.just(""), st.text(max_size=20)), jitter=st.one_of(st.just(""), st.text(max_size=8))
)
def test_no_text_does_more_than_be_refused(line: str, zone: str, jitter: str) -> None:
    try:
        timetable = parse(ScheduleSpec(schedule=line, time_zone=zone, jitter=jitter), uid="u")
    except TimetableError:
        return
    following = timetable.next_after(NEW_YEAR)
    assert following is None or following > NEW_YEAR


@st.composite
def fields(draw: st.DrawFn, low: int, high: int) -> tuple[str, frozenset[int]]:
    """A field, and the numbers that it means by the plainest reading."""
    first, last = sorted((draw(st.integers(low, high)), draw(st.integers(low, high))))
    step = draw(st.integers(1, 70))
    return draw(
        st.sampled_from(
            [
                ("*", frozenset(range(low, high + 1))),
                (f"*/{step}", frozenset(range(low, high + 1, step))),
                (f"{first}", frozenset([first])),
                (f"{first}-{last}", frozenset(range(first, last + 1))),
                (f"{first}-{last}/{step}", frozenset(range(first, last + 1, step))),
                (f"{first}/{step}", frozenset(range(first, high + 1, step))),
                (f"{first},{last}", frozenset([first, last])),
            ]
        )
    )


@settings(deadline=None)  # a loaded machine is no finding
@given(
    minute=fields(0, 59),
    hour=fields(0, 23),
    weekday=fields(0, 6),
    start=st.datetimes(min_value=datetime.datetime(2020, 1, 1), max_value=datetime.datetime(2030, 1, 1)),
)
def test_the_next_run_is_the_one_that_trying_every_minute_finds(
    minute: tuple[str, frozenset[int]],
    hour: tuple[str, frozenset[int]],
    weekday: tuple[str, frozenset[int]],
    start: datetime.datetime,
) -> None:
    start = start.replace(tzinfo=UTC)
    moment = start.replace(second=0, microsecond=0) + timedelta(minutes=1)
    while (moment.weekday() + 1) % 7 not in weekday[1] or moment.hour not in hour[1]:
        moment = moment.replace(minute=0) + timedelta(hours=1)
    while (moment.weekday() + 1) % 7 not in weekday[1] or moment.hour not in hour[1] or moment.minute not in minute[1]:
        moment += timedelta(minutes=1)
    assert next_run(ScheduleSpec(schedule=f"{minute[0]} {hour[0]} * * {weekday[0]}"), start) == moment


@settings(deadline=None)  # a loaded machine is no finding
@given(
    zone=st.sampled_from(
        ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "Asia/Beirut"]
    ),
    line=st.sampled_from(
        ["30 2 * * *", "*/20 * * * *", "0 */3 * * *", "15 0,1,2,3 * * *", "0 0 * * *", "*/15 2 * * *"]
    ),
    start=st.datetimes(min_value=datetime.datetime(2024, 1, 1), max_value=datetime.datetime(2028, 1, 1)),
)
def test_in_every_zone_runs_go_forward_and_do_not_depend_on_who_asks(
    zone: str, line: str, start: datetime.datetime
) -> None:
    table: Timetable = parse(ScheduleSpec(schedule=line, time_zone=zone))
    first = table.next_after(start.replace(tzinfo=UTC))
    assert first
    assert first > start.replace(tzinfo=UTC)
    assert first - start.replace(tzinfo=UTC) < timedelta(days=2)
    assert table.next_after(first - timedelta(seconds=1)) == first
