from __future__ import annotations

import threading

import pytest
from structlog.testing import capture_logs

from pkg.kube.stop import StopToken
from pkg.manager.operations import Crashed, Operations, Running, Succeeded
from pkg.testing.fakeclock import FakeClock
from pkg.workqueue.key import Key

KEY, OTHER = Key("ns", "a"), Key("ns", "b")
LONG_SECONDS = 30.0


class World:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.finished: list[Key] = []
        self.go_on = threading.Event()
        self.operations: Operations[str] = Operations("volume", clock=self.clock, on_finished=self.finished.append)

    def wait(self, stop: StopToken) -> str:
        self.go_on.wait(LONG_SECONDS)
        return "result"

    def until_cancelled(self, stop: StopToken) -> str:
        stop.wait(LONG_SECONDS)
        return stop.reason

    def settle(self) -> None:
        self.go_on.set()
        assert self.operations.wait_all(LONG_SECONDS) == []


def test_it_runs_is_observed_and_its_end_wakes_the_key() -> None:
    world = World()
    world.clock.advance(7)
    assert world.operations.observe(KEY) is None
    assert world.operations.start(KEY, world.wait)
    assert world.operations.observe(KEY) == Running(7)
    world.settle()
    assert world.operations.observe(KEY) == Succeeded("result")
    assert world.finished == [KEY]


def test_the_outcome_can_be_seen_when_the_key_is_woken() -> None:
    world, seen = World(), []
    operations: Operations[str] = Operations(
        "volume", clock=world.clock, on_finished=lambda key: seen.append(operations.observe(key))
    )
    operations.start(KEY, lambda stop: "x")
    operations.wait_all(LONG_SECONDS)
    assert seen == [Succeeded("x")]


def test_one_key_has_one_operation_and_none_beside_an_unread_outcome() -> None:
    world = World()
    world.operations.start(KEY, world.wait)
    assert not world.operations.start(KEY, world.wait)
    assert world.operations.start(OTHER, world.wait)
    world.settle()
    assert not world.operations.start(KEY, world.wait)
    world.operations.forget(KEY)
    assert world.operations.observe(KEY) is None
    assert world.operations.start(KEY, world.wait)
    world.settle()


def test_forgetting_leaves_a_running_operation_alone() -> None:
    world = World()
    world.operations.start(KEY, world.wait)
    world.operations.forget(KEY)
    assert isinstance(world.operations.observe(KEY), Running)
    world.settle()
    assert world.operations.observe(KEY) == Succeeded("result")


def test_a_cancelled_operation_learns_the_reason_and_others_go_on() -> None:
    world = World()
    world.operations.start(KEY, world.until_cancelled)
    world.operations.start(OTHER, world.wait)
    world.operations.cancel(KEY, "Canceled")
    world.settle()
    assert world.operations.observe(KEY) == Succeeded("Canceled")
    assert world.operations.observe(OTHER) == Succeeded("result")


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(3)], ids=["an exception", "an exit"])
def test_a_crash_is_an_outcome_and_logged_once_with_its_key(error: BaseException) -> None:
    def crash(stop: StopToken) -> str:
        raise error

    world = World()
    with capture_logs() as logs:
        world.operations.start(KEY, crash)
        world.settle()
    assert world.operations.observe(KEY) == Crashed(error)
    assert world.finished == [KEY]
    assert [(entry["event"], entry["key"]) for entry in logs] == [("Operation crashed", "ns/a")]


def test_cancelling_all_ends_what_runs_and_starts_no_more() -> None:
    world = World()
    world.operations.start(KEY, world.until_cancelled)
    world.operations.cancel_all("shutdown")
    world.settle()
    assert world.operations.observe(KEY) == Succeeded("shutdown")
    assert not world.operations.start(OTHER, world.wait)


def test_the_threads_that_do_not_end_in_time_are_named() -> None:
    world = World()
    world.operations.start(KEY, world.wait)
    assert [thread.name for thread in world.operations.wait_all(0)] == ["volume:ns/a"]
    world.settle()


def test_waiting_for_all_includes_that_the_key_was_woken() -> None:
    release = threading.Event()
    woken: list[Key] = []

    def slow(key: Key) -> None:
        release.wait(LONG_SECONDS)
        woken.append(key)

    operations: Operations[str] = Operations("volume", clock=FakeClock(), on_finished=slow)
    operations.start(KEY, lambda stop: "x")
    while not isinstance(operations.observe(KEY), Succeeded):
        operations.wait_all(0.001)
    assert operations.wait_all(0) != []
    release.set()
    assert operations.wait_all(LONG_SECONDS) == []
    assert woken == [KEY]
