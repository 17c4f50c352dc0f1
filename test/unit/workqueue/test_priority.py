"""Live changes overtake what merely exists."""

from __future__ import annotations

import time

import pytest
from prometheus_client import CollectorRegistry

from pkg.testing.fakeclock import FakeClock
from pkg.workqueue.deduplicating import LOW_PRIORITY, Queue
from pkg.workqueue.delaying import Timer
from pkg.workqueue.metrics import QueueMetrics
from pkg.workqueue.ordering import NORMAL_PRIORITY
from pkg.workqueue.rate_limiting import RateLimitingQueue


class World:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.timer = Timer(self.clock)
        metrics = QueueMetrics(CollectorRegistry()).of("q")
        self.queue: RateLimitingQueue[str] = RateLimitingQueue(self.timer, self.clock, metrics)

    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)
        for call in self.timer.take_due():
            call()

    def taken(self) -> list[str]:
        found = []
        while (key := self.queue.get(0)) is not None:
            found.append(key)
        return found


@pytest.fixture
def world() -> World:
    return World()


def test_a_live_change_overtakes_the_keys_of_a_cold_start(world: World) -> None:
    for key in ("a", "b"):
        world.queue.add(key, priority=LOW_PRIORITY)
    world.queue.add("live")
    assert world.taken() == ["live", "a", "b"]


def test_within_one_priority_it_is_first_come_first_served(world: World) -> None:
    for key in "dbca":
        world.queue.add(key, priority=LOW_PRIORITY)
    assert world.taken() == ["d", "b", "c", "a"]


def test_a_key_that_changes_while_it_waits_as_part_of_a_cold_start_is_live(world: World) -> None:
    for key in ("a", "b", "c"):
        world.queue.add(key, priority=LOW_PRIORITY)
    world.queue.add("b")
    assert len(world.queue) == 3
    assert world.taken() == ["b", "a", "c"]


def test_a_resync_does_not_lower_the_priority_of_a_live_change(world: World) -> None:
    world.queue.add("cold", priority=LOW_PRIORITY)
    world.queue.add("live")
    world.queue.add("live", priority=LOW_PRIORITY)
    assert world.taken() == ["live", "cold"]


def test_a_key_that_is_worked_on_comes_again_with_the_highest_priority_it_was_added_with(world: World) -> None:
    world.queue.add("a", priority=LOW_PRIORITY)
    world.queue.get(0)
    world.queue.add("a", priority=LOW_PRIORITY)
    world.queue.add("cold", priority=LOW_PRIORITY)
    world.queue.add("a")
    world.queue.done("a")
    assert world.taken() == ["a", "cold"]


def test_the_priority_of_a_key_is_forgotten_with_its_work(world: World) -> None:
    world.queue.add("a", priority=LOW_PRIORITY)
    world.queue.get(0)
    assert world.queue.priority_of("a") == LOW_PRIORITY
    world.queue.done("a")
    assert world.queue.priority_of("a") == NORMAL_PRIORITY
    world.queue.add("cold", priority=LOW_PRIORITY)
    world.queue.add("a")
    assert world.taken() == ["a", "cold"]


def test_a_delayed_key_comes_at_its_earliest_time_with_its_highest_priority(world: World) -> None:
    world.queue.add_after("a", 5, priority=LOW_PRIORITY)
    world.queue.add_after("a", 10)
    world.queue.add_after("cold", 1, priority=LOW_PRIORITY)
    world.advance(5)
    assert world.taken() == ["a", "cold"]


def test_a_rate_limited_key_keeps_the_priority_it_is_given(world: World) -> None:
    world.queue.add_rate_limited("cold", priority=LOW_PRIORITY)
    world.advance(1)
    world.queue.add("live")
    assert world.taken() == ["live", "cold"]


def test_a_hundred_thousand_cold_keys_that_become_live_take_linear_time() -> None:
    def seconds(count: int) -> float:
        queue: Queue[int] = Queue(FakeClock(), QueueMetrics(CollectorRegistry()).of("q"))
        began = time.process_time()
        for key in range(count):
            queue.add(key, priority=LOW_PRIORITY)
        for key in range(count):
            queue.add(key)
        for _ in range(count):
            queue.get(0)
        return time.process_time() - began

    assert seconds(40_000) < 10 * max(seconds(10_000), 0.05)
