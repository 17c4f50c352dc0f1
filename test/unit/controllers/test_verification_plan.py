"""Which part is read next, when, and whether the cluster's budget has room for it."""

from __future__ import annotations

import datetime
import hashlib
from typing import Any

import pytest

from pkg.apis.meta import ObjectMeta
from pkg.apis.volumes import ResticRepository, ResticRepositoryStatus, Verification
from pkg.controllers.maintenance_options import OptionsMap, limits_of, parse_limits
from pkg.controllers.maintenance_times import DAY
from pkg.controllers.verification_plan import (
    LONGEST_INTERVAL_DAYS,
    MOST_PARTS,
    Part,
    VerificationLimits,
    choose,
    fits,
    interval_of,
    next_part,
    parse_part,
    rate_text,
)

GIB = 1 << 30
NOON = datetime.datetime(2026, 5, 4, 12, tzinfo=datetime.UTC)
DEFAULT = VerificationLimits()


def repository(name: str = "shop", **fields: Any) -> ResticRepository:
    return ResticRepository(
        metadata=ObjectMeta(name=name, uid=name, creation_timestamp=NOON - 30 * DAY),
        status=ResticRepositoryStatus(verification=Verification(**fields)),
    )


def test_the_parts_of_a_round_are_everything_once() -> None:
    packs = [hashlib.sha256(bytes([number])).hexdigest() for number in range(256)]
    for of in (1, 3, 100, 256):
        held = [pack for number in range(1, of + 1) for pack in packs if Part(number=number, of=of).holds(pack)]
        assert sorted(held) == sorted(packs)


@pytest.mark.parametrize(
    ("total_bytes", "limits", "days"),
    [
        pytest.param(0, DEFAULT, 100, id="one percent a day"),
        pytest.param(500 * GIB, DEFAULT, 100, id="as much as the cluster may"),
        pytest.param(2048 * GIB, DEFAULT, 409.6, id="five gibibytes a day are less than one percent"),
        pytest.param(
            100 * GIB, VerificationLimits(percent_a_day=10), 20, id="more percent do not lift the other limit"
        ),
        pytest.param(1, VerificationLimits(percent_a_day=100), 1, id="everything every day"),
    ],
)
def test_in_how_many_days_everything_is_read(total_bytes: int, limits: VerificationLimits, days: float) -> None:
    assert limits.days(total_bytes) == pytest.approx(days)


@pytest.mark.parametrize(
    "limits",
    [
        pytest.param(VerificationLimits(bytes_a_day=1), id="a byte a day"),
        pytest.param(VerificationLimits(percent_a_day=1e-12), id="next to nothing in percent"),
    ],
)
def test_limits_that_come_to_never_stop_nothing(limits: VerificationLimits) -> None:
    large = repository(size_bytes=1 << 44)
    read = repository("till", size_bytes=1 << 44, read_at=NOON - DAY, read_bytes=1 << 44)
    assert choose(large, [read], limits, NOON).part is None


def test_the_rate_is_told_in_whole_days() -> None:
    assert rate_text(99.5) == "all data read in 100 days at this rate"
    assert rate_text(1.0) == "all data read in 1 day at this rate"


@pytest.mark.parametrize(
    ("seen", "days", "part"),
    [
        pytest.param({"size_bytes": 100 * GIB}, 100, "1/100", id="a round begins"),
        pytest.param({"size_bytes": 100 * GIB, "part": 7, "parts": 100}, 100, "8/100", id="it goes on"),
        pytest.param({"size_bytes": 9 * GIB, "part": 7, "parts": 20}, 100, "8/20", id="with the parts it began with"),
        pytest.param({"size_bytes": 100 * GIB, "part": 20, "parts": 20}, 100, "1/100", id="the next round has its own"),
        pytest.param({"size_bytes": 9000 * GIB}, 1800, "1/256", id="restic knows no more than 256"),
        pytest.param({"size_bytes": 40 * GIB}, 100, "1/34", id="a small one is read every third day"),
        pytest.param({"size_bytes": 1 << 20}, 100, "1/15", id="and a tiny one once a week"),
        pytest.param({"size_bytes": 1 << 20}, 1, "1/1", id="where everything is read, in one part"),
        pytest.param({"part": 9, "parts": 5, "size_bytes": GIB * 100}, 100, "1/100", id="nonsense begins anew"),
        pytest.param({"part": 9, "parts": 999, "size_bytes": GIB * 100}, 100, "1/100", id="parts restic would refuse"),
    ],
)
def test_the_next_part(seen: dict[str, Any], days: float, part: str) -> None:
    assert str(next_part(Verification(**seen), days)) == part


@pytest.mark.parametrize("size_bytes", [0, 1, 1 << 20, GIB, 50 * GIB, 5000 * GIB])
@pytest.mark.parametrize(
    "limits", [DEFAULT, VerificationLimits(percent_a_day=0.1), VerificationLimits(percent_a_day=7)]
)
def test_a_round_takes_the_days_that_are_told(size_bytes: int, limits: VerificationLimits) -> None:
    days = limits.days(size_bytes)
    part = next_part(Verification(size_bytes=size_bytes), days)
    assert 1 <= part.of <= MOST_PARTS
    taken = part.of * interval_of(days, part.of) / DAY
    assert taken <= days + 1, "a day at least lies between two parts"
    assert size_bytes / taken <= 1.01 * limits.bytes_a_day


def test_no_interval_of_a_small_repository_is_longer_than_a_week_more_than_it_must() -> None:
    part = next_part(Verification(size_bytes=1), 100)
    assert interval_of(100, part.of) <= LONGEST_INTERVAL_DAYS * DAY


@pytest.mark.parametrize(
    ("fields", "due"),
    [
        pytest.param({"read_at": NOON - 2 * DAY}, True, id="not today"),
        pytest.param({"read_at": NOON}, False, id="just now"),
        pytest.param({}, True, id="never, and old enough"),
        pytest.param({"read_at": NOON - 9 * DAY, "suspect": "3/100"}, False, id="a suspicion is looked into first"),
    ],
)
def test_when_a_part_is_due(fields: dict[str, Any], due: bool) -> None:
    one = repository(size_bytes=100 * GIB, **fields)
    assert (choose(one, [one], DEFAULT, NOON).part is not None) is due


def test_a_new_repository_waits_for_its_turn() -> None:
    born = ResticRepository(metadata=ObjectMeta(name="shop", uid="u", creation_timestamp=NOON))
    assert choose(born, [born], DEFAULT, NOON).part is None
    assert choose(born, [born], DEFAULT, NOON + 2 * DAY).part is not None


def test_other_repositories_slow_it_down() -> None:
    one, large = repository(size_bytes=100 * GIB), repository("large", size_bytes=2400 * GIB)
    choice = choose(one, [one, large], DEFAULT, NOON)
    assert choice.part is not None
    assert choice.part.of == 100
    assert interval_of(DEFAULT.days(2500 * GIB), 100) == 5 * DAY, "5 GiB of 2,500 a day are 500 days"


@pytest.mark.parametrize(
    ("part_gib", "read", "room"),
    [
        pytest.param(1, [], True, id="nothing was read"),
        pytest.param(1, [(4, 1)], True, id="up to the limit"),
        pytest.param(2, [(4, 1)], False, id="over it"),
        pytest.param(2, [(4, 25)], True, id="what was read yesterday is forgotten"),
        pytest.param(8, [], True, id="a part that is larger than a day's budget"),
        pytest.param(8, [(4, 1)], True, id="which is not kept from its turn by small ones"),
        pytest.param(1, [(8, 30)], False, id="but uses the budget of the next day as well"),
        pytest.param(1, [(8, 39)], True, id="and not of the day after"),
        pytest.param(8, [(8, 30)], False, id="nor do two such parts come together"),
    ],
)
def test_the_budget_of_the_cluster(part_gib: int, read: list[tuple[int, int]], room: bool) -> None:
    others = [
        Verification(read_bytes=size * GIB, read_at=NOON - datetime.timedelta(hours=hours)) for size, hours in read
    ]
    assert fits(part_gib * GIB, others, DEFAULT, NOON) is room


def test_a_repository_that_finds_no_room_is_read_later() -> None:
    one = repository(size_bytes=400 * GIB)
    other = repository("other", size_bytes=90 * GIB, read_bytes=4 * GIB, read_at=NOON)
    assert choose(one, [one, other], DEFAULT, NOON).part is None
    assert choose(one, [one, other], DEFAULT, NOON + DAY).part is not None


@pytest.mark.parametrize(
    ("text", "part"), [("7/100", "7/100"), ("", "1/1"), ("0/5", "1/1"), ("6/5", "1/1"), ("x/y", "1/1")]
)
def test_a_part_is_read_back(text: str, part: str) -> None:
    assert str(parse_part(text)) == part


def test_the_limits_of_the_config_map() -> None:
    data = {"verifyPercentPerDay": "0.5", "verifyBytesPerDay": "20Gi", "verifyColdClasses": "true"}
    assert parse_limits(data) == VerificationLimits(percent_a_day=0.5, bytes_a_day=20 * GIB, cold_classes=True)
    assert limits_of([]) == DEFAULT
    assert limits_of([OptionsMap(metadata=ObjectMeta(name="m"))]) == DEFAULT


@pytest.mark.parametrize(
    "data",
    [
        pytest.param({"verifyPercentPerDay": "101"}, id="more than all"),
        pytest.param({"verifyPercentPerDay": "-1"}, id="less than nothing"),
        pytest.param({"verifyPercentPerDay": "nan"}, id="no number"),
        pytest.param({"verifyBytesPerDay": "lots"}, id="no quantity"),
        pytest.param({"verifyColdClasses": "maybe"}, id="neither yes nor no"),
        pytest.param({"verifyPercent": "1"}, id="a key that does not exist"),
    ],
)
def test_limits_that_mean_nothing_are_told_with_their_config_map(data: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"ConfigMap heptio-ark/m: .*verify"):
        limits_of([OptionsMap(metadata=ObjectMeta(name="m", namespace="heptio-ark"), data=data)])
