"""Slots: how many at once, for whom, and what is kept for small work."""

from __future__ import annotations

import random

import pytest

from pkg.manager.slots import SMALL_SECONDS, WAITING_SECONDS, Holder, Slots, has_room, kept_for_small
from pkg.testing.fakeclock import FakeClock

SMALL, LARGE, UNKNOWN = 5.0, 3600.0, None


class Limit:
    """A limit that changes."""

    def __init__(self, slots: int) -> None:
        self.slots = slots

    def __call__(self) -> int:
        return self.slots


def test_there_are_as_many_as_the_limit_and_taking_again_changes_nothing() -> None:
    slots = Slots(2, clock=FakeClock())
    assert [slots.try_take(holder, "ns") for holder in ("a", "b", "a", "c")] == [True, True, True, False]
    assert slots.in_use == 2
    slots.release("a")
    slots.release("a")
    assert slots.try_take("c", "ns")


def test_a_lower_limit_takes_no_slot_away_and_gives_none_until_it_is_reached() -> None:
    limit = Limit(3)
    slots = Slots(limit, clock=FakeClock())
    for holder in ("a", "b", "c"):
        slots.try_take(holder, "ns")
    limit.slots = 1
    assert slots.in_use == 3
    slots.release("a")
    slots.release("b")
    assert not slots.try_take("d", "ns")
    slots.release("c")
    assert slots.try_take("d", "ns")


def test_a_higher_limit_counts_at_once() -> None:
    limit = Limit(1)
    slots = Slots(limit, clock=FakeClock())
    slots.try_take("a", "ns")
    assert not slots.try_take("b", "ns")
    limit.slots = 2
    assert slots.try_take("b", "ns")


def test_a_group_with_many_holders_does_not_starve_another() -> None:
    slots = Slots(2, clock=FakeClock())
    slots.try_take("big-1", "big")
    slots.try_take("big-2", "big")
    assert not slots.try_take("small-1", "small")
    slots.release("big-1")
    assert not slots.try_take("big-3", "big")
    assert slots.try_take("small-1", "small")


def test_a_waiter_that_never_comes_back_holds_nobody_back_for_long() -> None:
    clock = FakeClock()
    slots = Slots(2, clock=clock)
    slots.try_take("big-1", "big")
    slots.try_take("big-2", "big")
    slots.try_take("deleted", "small")
    slots.release("big-1")
    assert not slots.try_take("big-3", "big")
    clock.advance(WAITING_SECONDS + 1)
    assert slots.try_take("big-3", "big")


def test_who_gives_up_waiting_says_so_by_releasing() -> None:
    slots = Slots(2, clock=FakeClock())
    slots.try_take("big-1", "big")
    slots.try_take("big-2", "big")
    slots.try_take("small-1", "small")
    slots.release("small-1")
    slots.release("big-1")
    assert slots.try_take("big-3", "big")


@pytest.mark.parametrize(
    ("limit", "holding", "asking", "expected"),
    [
        pytest.param(4, [], LARGE, True, id="large work begins while its half is free"),
        pytest.param(4, [LARGE], LARGE, True, id="large work fills its half"),
        pytest.param(4, [LARGE, LARGE], LARGE, False, id="large work leaves the other half alone"),
        pytest.param(4, [LARGE, LARGE], UNKNOWN, False, id="what never ran may be large"),
        pytest.param(4, [LARGE, LARGE], SMALL, True, id="small work begins in the kept half"),
        pytest.param(4, [SMALL, SMALL, SMALL], SMALL, True, id="small work may have every slot"),
        pytest.param(4, [SMALL, SMALL, SMALL], LARGE, True, id="large work is not held back by small work"),
        pytest.param(4, [UNKNOWN, UNKNOWN, UNKNOWN], UNKNOWN, True, id="a first backup uses every slot"),
        pytest.param(4, [SMALL, SMALL, SMALL, SMALL], SMALL, False, id="nothing begins where all are taken"),
        pytest.param(1, [], LARGE, True, id="of one slot nothing is kept"),
        pytest.param(2, [LARGE], LARGE, False, id="of two slots one is kept"),
        pytest.param(3, [LARGE], LARGE, True, id="of three slots one is kept and two are not"),
        pytest.param(3, [LARGE, LARGE], LARGE, False, id="of three slots the third is kept"),
        pytest.param(4, [SMALL_SECONDS, SMALL_SECONDS], SMALL_SECONDS, False, id="a minute is large"),
        pytest.param(2, [SMALL, SMALL, SMALL], SMALL, False, id="nothing begins above a lowered limit"),
    ],
)
def test_half_of_the_slots_is_kept_for_small_work(
    limit: int, holding: list[float | None], asking: float | None, expected: bool
) -> None:
    holders = [Holder(group="ns", since=100.0, last_seconds=last) for last in holding]
    asked = Holder(group="ns", since=100.0, last_seconds=asking)
    assert has_room(asked, holders, limit=limit, keep=True, now=100.0) is expected


def test_without_the_rule_large_work_may_have_every_slot() -> None:
    holders = [Holder(group="ns", since=0.0, last_seconds=LARGE)] * 3
    assert has_room(holders[0], holders, limit=4, keep=False, now=0.0)


@pytest.mark.parametrize("first", [SMALL, UNKNOWN], ids=["its last run was short", "it never ran"])
def test_work_that_goes_on_for_a_minute_counts_as_large(first: float | None) -> None:
    clock = FakeClock()
    slots = Slots(2, keep_for_small=True, clock=clock)
    assert slots.try_take("grows", "ns", first)
    clock.advance(SMALL_SECONDS)
    assert not slots.try_take("large", "ns", LARGE)
    assert slots.try_take("small", "ns", SMALL)


def test_large_work_that_waits_for_its_half_does_not_hold_small_work_back() -> None:
    slots = Slots(4, keep_for_small=True, clock=FakeClock())
    for name in ("a", "b"):
        assert slots.try_take(name, "busy", LARGE)
    assert not slots.try_take("c", "other", LARGE)
    assert slots.try_take("d", "busy", SMALL)


def test_who_waits_is_counted_until_it_gives_up() -> None:
    clock = FakeClock()
    slots = Slots(1, clock=clock)
    slots.try_take("a", "ns")
    slots.try_take("b", "ns")
    assert slots.waiting == 1
    clock.advance(WAITING_SECONDS + 1)
    assert slots.waiting == 0


@pytest.mark.parametrize(("limit", "kept"), [(1, 0), (2, 1), (3, 1), (4, 2), (8, 4)])
def test_half_is_rounded_down(limit: int, kept: int) -> None:
    assert kept_for_small(limit) == kept


@pytest.mark.parametrize("seed", range(50))
def test_whoever_asks_again_and_again_gets_a_slot_in_the_end(seed: int) -> None:
    chance, clock = random.Random(seed), FakeClock()
    limit = Limit(chance.randint(1, 5))
    slots = Slots(limit, keep_for_small=True, clock=clock)
    waiting = {f"w{number}": (chance.choice("abc"), chance.choice((SMALL, LARGE, UNKNOWN))) for number in range(20)}
    running: list[str] = []
    for _ in range(len(waiting)):
        for name in chance.sample(sorted(waiting), len(waiting)):
            if slots.try_take(name, *waiting[name]):
                running.append(name)
                del waiting[name]
        assert slots.in_use == len(running)
        assert running, "somebody waits, and nobody runs"
        clock.advance(chance.choice((1.0, SMALL_SECONDS)))
        slots.release(running.pop(chance.randrange(len(running))))
        limit.slots = chance.randint(1, 5)
    assert waiting == {}
