from __future__ import annotations

import threading
from collections.abc import Callable

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from prometheus_client import CollectorRegistry

from pkg.testing.fakeclock import FakeClock
from pkg.workqueue.deduplicating import Queue
from pkg.workqueue.metrics import QueueMetrics

LONG_SECONDS = 30.0


def make(clock: FakeClock | None = None, registry: CollectorRegistry | None = None) -> Queue[str]:
    return Queue(clock or FakeClock(), QueueMetrics(registry or CollectorRegistry()).of("q"))


def in_thread(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def test_a_key_that_waits_is_there_once() -> None:
    queue = make()
    queue.add("a")
    queue.add("b")
    queue.add("a")
    assert [queue.get(0), queue.get(0), queue.get(0)] == ["a", "b", None]


def test_a_key_is_never_given_to_two_workers_at_once() -> None:
    queue = make()
    queue.add("a")
    assert queue.get(0) == "a"
    queue.add("a")
    assert queue.get(0) is None
    queue.done("a")
    assert queue.get(0) == "a"


def test_many_adds_during_work_cost_one_more() -> None:
    queue = make()
    queue.add("a")
    queue.get(0)
    for _ in range(5):
        queue.add("a")
    queue.done("a")
    assert queue.get(0) == "a"
    queue.done("a")
    assert queue.get(0) is None


def test_shut_down_refuses_new_keys_and_gives_out_the_old() -> None:
    queue = make()
    queue.add("a")
    queue.shut_down()
    queue.add("b")
    assert [queue.get(), queue.get()] == ["a", None]


def test_shut_down_wakes_every_worker() -> None:
    queue = make()
    threads = [in_thread(lambda: queue.get()) for _ in range(3)]
    queue.shut_down()
    for thread in threads:
        thread.join(LONG_SECONDS)
    assert not any(thread.is_alive() for thread in threads)


def test_a_drain_waits_for_the_work_that_goes_on_and_what_it_queued_again() -> None:
    queue = make()
    queue.add("a")
    queue.get(0)
    queue.add("a")
    drained: list[bool] = []
    thread = in_thread(lambda: drained.append(queue.shut_down_with_drain(LONG_SECONDS)))
    while not queue.shutting_down:
        thread.join(0.001)
    queue.done("a")
    assert queue.get(LONG_SECONDS) == "a"
    assert thread.is_alive()
    queue.done("a")
    thread.join(LONG_SECONDS)
    assert drained == [True]


def test_shut_down_ends_the_wait_of_a_drain() -> None:
    queue = make()
    queue.add("a")
    queue.get(0)
    drained: list[bool] = []
    thread = in_thread(lambda: drained.append(queue.shut_down_with_drain(LONG_SECONDS)))
    while not queue.shutting_down:
        thread.join(0.001)
    queue.shut_down()
    thread.join(LONG_SECONDS)
    assert drained == [False]


def test_a_drain_does_not_take_the_wake_up_of_a_worker() -> None:
    queue = make()
    queue.add("a")
    queue.get(0)
    queue.add("a")
    drainer = in_thread(lambda: queue.shut_down_with_drain(LONG_SECONDS))
    while not queue.shutting_down:
        drainer.join(0.001)
    queue.done("a")
    assert queue.get(LONG_SECONDS) == "a"
    queue.done("a")
    drainer.join(LONG_SECONDS)
    assert not drainer.is_alive()


def test_four_workers_see_the_last_state_of_every_key_and_never_share_one() -> None:
    queue = make()
    wanted = {f"k{number}": 0 for number in range(20)}
    seen = dict.fromkeys(wanted, -1)
    busy: set[str] = set()
    shared: list[str] = []

    def work() -> None:
        while (key := queue.get()) is not None:
            if key in busy:
                shared.append(key)
            busy.add(key)
            seen[key] = wanted[key]
            busy.discard(key)
            queue.done(key)

    workers = [in_thread(work) for _ in range(4)]
    for _ in range(100):
        for key in wanted:
            wanted[key] += 1
            queue.add(key)
    assert queue.shut_down_with_drain(LONG_SECONDS)
    for worker in workers:
        worker.join(LONG_SECONDS)
    assert shared == []
    assert seen == wanted


def test_the_metrics_follow_a_key_through_the_queue() -> None:
    clock, registry = FakeClock(), CollectorRegistry()
    queue = make(clock, registry)

    def value(name: str) -> float | None:
        return registry.get_sample_value(f"workqueue_{name}", {"name": "q"})

    queue.add("a")
    queue.add("b")
    assert value("depth") == 2
    clock.advance(3)
    queue.get(0)
    clock.advance(4)
    assert (value("depth"), value("adds_total")) == (1, 2)
    assert (value("unfinished_work_seconds"), value("longest_running_processor_seconds")) == (4, 4)
    queue.done("a")
    assert (value("queue_duration_seconds_sum"), value("work_duration_seconds_sum")) == (3, 4)
    assert value("unfinished_work_seconds") == 0


class QueueAgainstModel(RuleBasedStateMachine):
    """client-go's rules, written down a second time with plain lists."""

    keys = st.sampled_from("abc")

    priorities = st.sampled_from([-100, 0, 7])

    def __init__(self) -> None:
        super().__init__()
        self.queue = make()
        self.order: list[str] = []
        self.dirty: dict[str, int] = {}
        self.processing: list[str] = []
        self.down = False

    @rule(key=keys, priority=priorities)
    def add(self, key: str, priority: int) -> None:
        self.queue.add(key, priority=priority)
        if self.down:
            return
        waits = key in self.order
        if priority > self.dirty.get(key, priority) and waits:
            self.order.remove(key)
            waits = False
        self.dirty[key] = max(priority, self.dirty.get(key, priority))
        if not waits and key not in self.processing:
            self.order.append(key)

    @rule()
    def get(self) -> None:
        expected = max(self.order, key=self.dirty.__getitem__) if self.order else None
        assert self.queue.get(0) == expected
        if expected is not None:
            self.order.remove(expected)
            assert self.queue.priority_of(expected) == self.dirty.pop(expected)
            self.processing.append(expected)

    @precondition(lambda self: bool(self.processing))
    @rule(data=st.data())
    def done(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(self.processing))
        self.processing.remove(key)
        self.queue.done(key)
        if key in self.dirty:
            self.order.append(key)

    @rule()
    def shut_down(self) -> None:
        self.queue.shut_down()
        self.down = True

    @invariant()
    def same_length(self) -> None:
        assert len(self.queue) == len(self.order)


QueueAgainstModel.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
test_any_sequence_of_calls_does_what_client_go_does = QueueAgainstModel.TestCase
