from __future__ import annotations

from pkg.manager.slots import WAITING_SECONDS, Slots
from pkg.testing.fakeclock import FakeClock


def test_there_are_as_many_as_the_limit_and_taking_again_changes_nothing() -> None:
    slots = Slots(2, clock=FakeClock())
    assert [slots.try_take(holder, "ns") for holder in ("a", "b", "a", "c")] == [True, True, True, False]
    assert slots.in_use == 2
    slots.release("a")
    slots.release("a")
    assert slots.try_take("c", "ns")


def test_a_lower_limit_takes_no_slot_away_and_gives_none_until_it_is_reached() -> None:
    slots = Slots(3, clock=FakeClock())
    for holder in ("a", "b", "c"):
        slots.try_take(holder, "ns")
    slots.set_limit(1)
    assert slots.in_use == 3
    slots.release("a")
    slots.release("b")
    assert not slots.try_take("d", "ns")
    slots.release("c")
    assert slots.try_take("d", "ns")


def test_a_higher_limit_counts_at_once() -> None:
    slots = Slots(1, clock=FakeClock())
    slots.try_take("a", "ns")
    assert not slots.try_take("b", "ns")
    slots.set_limit(2)
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
