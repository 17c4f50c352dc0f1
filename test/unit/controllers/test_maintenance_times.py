"""When a repository's turn is."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkg.controllers.maintenance_times import DAY, SHORTEST, WEEK, last_turn, parse_window, period_of

UTC = datetime.UTC
MOMENTS = st.datetimes(
    min_value=datetime.datetime(2020, 1, 1), max_value=datetime.datetime(2040, 1, 1), timezones=st.just(UTC)
)


def at(hour: int, minute: int = 0) -> datetime.datetime:
    return datetime.datetime(2026, 5, 4, hour, minute, tzinfo=UTC)


@pytest.mark.parametrize(
    ("window", "moment", "open_"),
    [
        pytest.param("22:00-06:00", at(23), True, id="over midnight, before it"),
        pytest.param("22:00-06:00", at(5, 59), True, id="over midnight, after it"),
        pytest.param("22:00-06:00", at(6), False, id="its end is outside"),
        pytest.param("22:00-06:00", at(12), False, id="at noon"),
        pytest.param("1:30 - 2:30", at(1, 30), True, id="its beginning is inside"),
        pytest.param("1:30-2:30", at(2, 30), False, id="a short one ends"),
        pytest.param("00:00-00:00", at(13), True, id="the whole day"),
    ],
)
def test_a_window_is_a_part_of_each_day(window: str, moment: datetime.datetime, open_: bool) -> None:
    parsed = parse_window(window)
    assert parsed is not None
    assert parsed.contains(moment) is open_


@pytest.mark.parametrize("text", ["22-06", "25:00-06:00", "22:00", "22:60-06:00", "night"])
def test_what_is_no_window_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="maintenanceWindow"):
        parse_window(text)


def test_no_window_is_any_time() -> None:
    assert parse_window(" ") is None


@pytest.mark.parametrize(
    ("frequency", "period"),
    [
        pytest.param("24h0m0s", DAY, id="0.9's default"),
        pytest.param("168h0m0s", WEEK, id="ours"),
        pytest.param("", WEEK, id="nothing"),
        pytest.param("0s", WEEK, id="0.9's zero"),
        pytest.param("-1h", WEEK, id="negative"),
        pytest.param("soon", WEEK, id="nonsense"),
        pytest.param("1s", SHORTEST, id="never more often than hourly"),
    ],
)
def test_the_period_is_the_repositorys(frequency: str, period: datetime.timedelta) -> None:
    assert period_of(frequency) == period


@given(st.text(min_size=1, max_size=20), st.sampled_from([DAY, WEEK, datetime.timedelta(hours=5)]), MOMENTS)
def test_turns_are_one_period_apart_and_the_last_one_is_not_older_than_that(
    name: str, period: datetime.timedelta, now: datetime.datetime
) -> None:
    turn = last_turn(name, period, now)
    assert turn <= now < turn + period
    assert last_turn(name, period, turn) == turn
    assert last_turn(name, period, turn + period) == turn + period


def test_repositories_spread_over_the_week() -> None:
    turns = [last_turn(f"ns-{number}", WEEK, at(12)) for number in range(200)]
    assert len({(turn.weekday(), turn.hour) for turn in turns}) > 60
