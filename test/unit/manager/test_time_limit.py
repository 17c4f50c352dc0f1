"""A reconcile that takes too long is counted, logged with its stack, and told."""

from __future__ import annotations

import threading

import pytest
from structlog.testing import capture_logs

from pkg.kube.stop import StopToken
from pkg.manager.time_limit import TimeLimit, reconcile_token
from pkg.testing.fakeclock import FakeClock
from pkg.workqueue.delaying import Timer
from pkg.workqueue.key import Key

KEY = Key("ns", "a")
LONG_SECONDS = 30.0


class World:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.timer = Timer(self.clock)
        self.overdue = 0
        self.limit = TimeLimit(60, self.timer, self.clock, self.count)

    def count(self) -> None:
        self.overdue += 1

    def passes(self, seconds: float) -> None:
        self.clock.advance(seconds)
        for call in self.timer.take_due():
            call()


@pytest.fixture
def world() -> World:
    return World()


def test_within_the_time_nothing_happens(world: World) -> None:
    for _ in range(5):
        with world.limit.over(KEY):
            world.passes(59)
            assert not reconcile_token().cancelled
    assert world.overdue == 0


def test_beyond_it_the_token_is_cancelled_and_it_is_counted_and_logged_once(world: World) -> None:
    with capture_logs() as logs, world.limit.over(KEY):
        token = reconcile_token()
        world.passes(61)
        assert token.cancelled
        world.passes(600)
    assert world.overdue == 1
    assert [(entry["event"], entry["key"]) for entry in logs] == [("Reconcile takes too long", "ns/a")]
    assert "test_beyond_it" in logs[0]["stack"]


def test_the_next_reconcile_has_its_own_time(world: World) -> None:
    with world.limit.over(KEY):
        world.passes(61)
    world.passes(30)
    with world.limit.over(KEY):
        world.passes(59)
        assert not reconcile_token().cancelled
        world.passes(2)
        assert reconcile_token().cancelled
    assert world.overdue == 2


def test_a_reconcile_that_began_while_the_timer_was_set_is_not_cut_short(world: World) -> None:
    with world.limit.over(KEY):
        world.passes(50)
    with world.limit.over(KEY):
        world.passes(11)
        assert not reconcile_token().cancelled
        world.passes(50)
        assert reconcile_token().cancelled


def test_the_token_ends_a_wait_in_the_reconciler(world: World) -> None:
    waiting, reasons = StopToken(), []

    def reconcile() -> None:
        with world.limit.over(KEY):
            waiting.cancel()
            reconcile_token().wait(LONG_SECONDS)
            reasons.append(reconcile_token().reason)

    thread = threading.Thread(target=reconcile)
    thread.start()
    assert waiting.wait(LONG_SECONDS)
    world.passes(60)
    thread.join(LONG_SECONDS)
    assert reasons == ["the reconcile takes too long"]


def test_outside_a_limited_reconcile_the_token_is_never_cancelled(world: World) -> None:
    with world.limit.over(KEY):
        world.passes(61)
    assert not reconcile_token().cancelled
