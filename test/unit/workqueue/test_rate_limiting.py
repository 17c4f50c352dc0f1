from __future__ import annotations

from prometheus_client import CollectorRegistry

from pkg.testing.fakeclock import FakeClock
from pkg.workqueue.delaying import Timer
from pkg.workqueue.metrics import QueueMetrics
from pkg.workqueue.rate_limiting import RateLimitingQueue


class Fixture:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.timer = Timer(self.clock)
        self.registry = CollectorRegistry()
        self.metrics = QueueMetrics(self.registry)
        self.queue = self.another("q")

    def another(self, name: str) -> RateLimitingQueue[str]:
        return RateLimitingQueue(self.timer, self.clock, self.metrics.of(name))

    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)
        for call in self.timer.take_due():
            call()


def test_a_key_comes_after_its_time() -> None:
    world = Fixture()
    world.queue.add_after("a", 2)
    assert world.queue.get(0) is None
    world.advance(2)
    assert world.queue.get(0) == "a"


def test_no_time_is_now() -> None:
    world = Fixture()
    world.queue.add_after("a", 0)
    assert world.queue.get(0) == "a"


def test_failures_wait_longer_until_forgotten() -> None:
    world = Fixture()
    waited = []
    for _ in range(3):
        world.queue.add_rate_limited("a")
        elapsed = 0
        while world.queue.get(0) is None:
            world.advance(0.005)
            elapsed += 5
        world.queue.done("a")
        waited.append(elapsed)
    assert waited == [5, 10, 20]
    assert world.queue.num_requeues("a") == 3
    world.queue.forget("a")
    assert world.queue.num_requeues("a") == 0


def test_forgetting_leaves_the_key_in_the_queue() -> None:
    world = Fixture()
    world.queue.add("a")
    world.queue.forget("a")
    assert world.queue.get(0) == "a"


def test_the_same_key_waits_in_two_queues_of_one_timer() -> None:
    world = Fixture()
    other = world.another("other")
    world.queue.add_after("a", 1)
    other.add_after("a", 2)
    world.advance(1)
    assert (world.queue.get(0), other.get(0)) == ("a", None)
    world.advance(1)
    assert other.get(0) == "a"


def test_a_delayed_key_is_dropped_when_its_queue_is_shut_down() -> None:
    world = Fixture()
    world.queue.add_after("a", 1)
    world.queue.shut_down()
    world.queue.add_after("b", 1)
    world.advance(1)
    assert world.queue.get(0) is None


def test_retries_are_counted() -> None:
    world = Fixture()
    world.queue.add_after("a", 1)
    world.queue.add_rate_limited("a")
    assert world.registry.get_sample_value("workqueue_retries_total", {"name": "q"}) == 2
