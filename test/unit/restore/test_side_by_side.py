"""Calls side by side, results one after the other."""

from __future__ import annotations

import functools
import threading

import pytest

from pkg.restore.side_by_side import BACKLOG, WIDTH, SideBySide


def test_results_are_taken_in_the_order_of_the_calls_by_the_thread_that_made_them() -> None:
    first_may_end, taken, takers = threading.Event(), list[int](), set[int]()

    def call(number: int) -> int:
        if number == 0:
            assert first_may_end.wait(30)
        return number

    def take(number: int) -> None:
        taken.append(number)
        takers.add(threading.get_ident())

    with SideBySide[int]() as side_by_side:
        for number in range(WIDTH):
            side_by_side.start(functools.partial(call, number), take)
        assert taken == []
        first_may_end.set()
        side_by_side.finish()
    assert taken == list(range(WIDTH))
    assert takers == {threading.get_ident()}


def test_as_many_calls_run_at_once_as_there_is_width_and_no_more() -> None:
    together = threading.Barrier(WIDTH)
    lock, running, most = threading.Lock(), 0, 0

    def call() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        together.wait(30)
        with lock:
            running -= 1

    with SideBySide[None]() as side_by_side:
        for _ in range(3 * WIDTH):
            side_by_side.start(call, lambda _: None)
        side_by_side.finish()
    assert most == WIDTH


def test_what_a_call_raises_is_raised_and_the_calls_that_have_not_begun_never_do() -> None:
    others_may_end, begun = threading.Event(), list[int]()

    def fail() -> None:
        raise ValueError("refused")

    def wait(number: int) -> None:
        begun.append(number)
        if not others_may_end.wait(30):
            raise AssertionError("never told to end")

    def failing() -> None:
        with SideBySide[None]() as side_by_side:
            side_by_side.start(fail, lambda _: None)
            for number in range(BACKLOG - 1):
                side_by_side.start(functools.partial(wait, number), lambda _: None)
            try:
                side_by_side.finish()
            finally:
                threading.Timer(0.5, others_may_end.set).start()  # when nothing more is begun, which is soon

    with pytest.raises(ValueError, match="refused"):
        failing()
    assert len(begun) < BACKLOG - 1
