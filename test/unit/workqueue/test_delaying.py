from __future__ import annotations

import threading
from functools import partial

from pkg.kube.stop import StopToken
from pkg.testing.fakeclock import FakeClock
from pkg.workqueue.delaying import HEARTBEAT_SECONDS, Timer


def test_a_call_is_due_when_its_time_has_come_and_only_once() -> None:
    clock, made = FakeClock(), []
    timer = Timer(clock)
    timer.call_after("slot", 5, lambda: made.append("call"))
    clock.advance(4.9)
    assert timer.take_due() == []
    clock.advance(0.1)
    for call in timer.take_due():
        call()
    assert made == ["call"]
    clock.advance(100)
    assert timer.take_due() == []


def test_a_second_wish_moves_a_call_only_earlier() -> None:
    clock = FakeClock()
    timer = Timer(clock)
    for seconds in (5, 9, 2, 7):
        timer.call_after("slot", seconds, lambda: None)
    clock.advance(2)
    assert len(timer.take_due()) == 1
    clock.advance(100)
    assert timer.take_due() == []


def test_a_wish_after_the_call_counts_anew() -> None:
    clock = FakeClock()
    timer = Timer(clock)
    timer.call_after("slot", 1, lambda: None)
    clock.advance(1)
    timer.take_due()
    timer.call_after("slot", 9, lambda: None)
    clock.advance(9)
    assert len(timer.take_due()) == 1


def test_slots_do_not_hide_each_other_and_come_in_time_order() -> None:
    clock = FakeClock()
    made: list[str] = []
    timer = Timer(clock)
    for name, seconds in (("late", 3), ("early", 1), ("middle", 2)):
        timer.call_after(name, seconds, partial(made.append, name))
    clock.advance(3)
    for call in timer.take_due():
        call()
    assert made == ["early", "middle", "late"]


def test_the_thread_makes_an_earlier_call_while_it_waits_for_a_later_one() -> None:
    clock, stop = FakeClock(), StopToken()
    timer = Timer(clock)
    made = threading.Event()
    thread = threading.Thread(target=timer.run, args=(stop,), daemon=True)
    thread.start()
    timer.call_after("late", 1000, lambda: None)
    clock.wait_for_waiters()
    timer.call_after("early", 1, made.set)
    while clock.waits[-1] != 1:
        assert not made.wait(0.01)
    clock.advance(1)
    made.wait(10)
    assert made.is_set()
    stop.cancel()
    thread.join(10)
    assert not thread.is_alive()


def test_a_call_that_raises_does_not_end_the_thread() -> None:
    clock, stop = FakeClock(), StopToken()
    timer = Timer(clock)
    made = threading.Event()

    def broken() -> None:
        raise RuntimeError("broken")

    timer.call_after("broken", 0, broken)
    timer.call_after("good", 0, made.set)
    thread = threading.Thread(target=timer.run, args=(stop,), daemon=True)
    thread.start()
    assert made.wait(10)
    stop.cancel()
    thread.join(10)
    assert not thread.is_alive()


def test_it_looks_up_at_least_every_heartbeat() -> None:
    clock, stop = FakeClock(), StopToken()
    timer = Timer(clock)
    thread = threading.Thread(target=timer.run, args=(stop,), daemon=True)
    thread.start()
    clock.wait_for_waiters()
    assert clock.waits == [HEARTBEAT_SECONDS]
    stop.cancel()
    thread.join(10)
