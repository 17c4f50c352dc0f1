from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs
from structlog.typing import EventDict

from pkg.apis.label_selector import parse_selector
from pkg.apis.meta import JsonObject, Object
from pkg.informers.factory import InformerFactory
from pkg.kube.errors import ConflictError, ServerError
from pkg.kube.refs import CONFIG_MAPS
from pkg.kube.stop import StopToken
from pkg.manager.controller import Controller
from pkg.manager.controller_metrics import ControllerMetrics
from pkg.manager.predicates import labelled
from pkg.manager.reconciler import Result, TerminalError, again_in, done
from pkg.manager.time_limit import reconcile_token
from pkg.testing.fakeapi import FakeApi
from pkg.testing.fakeclock import FakeClock
from pkg.workqueue.delaying import Timer
from pkg.workqueue.key import Key
from pkg.workqueue.metrics import QueueMetrics

KEY, OTHER = Key("ns", "a"), Key("ns", "b")
LONG_SECONDS = 30.0


class ConfigMap(Object, frozen=True, kw_only=True):
    data: dict[str, str] | None = None


class Scripted:
    """Does what the test says and notes every key."""

    def __init__(self, script: Callable[[Key], Result] = lambda key: done()) -> None:
        self.script = script
        self.seen: list[Key] = []
        self._changed = threading.Condition()

    def reconcile(self, key: Key) -> Result:
        with self._changed:
            self.seen.append(key)
            self._changed.notify_all()
        return self.script(key)

    def wait_for(self, count: int) -> list[Key]:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.seen) >= count, LONG_SECONDS), self.seen
            return list(self.seen)


class World:
    def __init__(
        self, script: Callable[[Key], Result] = lambda key: done(), workers: int = 1, reconcile_seconds: float = 0.0
    ) -> None:
        self.clock = FakeClock()
        self.timer = Timer(self.clock)
        self.registry = CollectorRegistry()
        self.reconciler = Scripted(script)
        self.controller = Controller(
            "demo",
            self.reconciler,
            timer=self.timer,
            clock=self.clock,
            queue_metrics=QueueMetrics(self.registry),
            metrics=ControllerMetrics(self.registry),
            workers=workers,
            reconcile_seconds=reconcile_seconds,
        )

    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)
        for call in self.timer.take_due():
            call()

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"controller_runtime_{name}", {"controller": "demo", **labels})

    def end(self) -> None:
        self.controller.stop_taking()
        assert self.controller.drain(LONG_SECONDS)
        self.controller.shut_down()
        assert self.controller.join(LONG_SECONDS) == []


def fails(error: BaseException) -> Callable[[Key], Result]:
    def script(key: Key) -> Result:
        raise error

    return script


@pytest.mark.parametrize(
    ("script", "comes_again_at", "failures", "label", "more"),
    [
        pytest.param(lambda key: done(), None, 0, "success", {}, id="done forgets"),
        pytest.param(lambda key: again_in(30), 30, 0, "requeue_after", {}, id="again_in forgets and waits"),
        pytest.param(
            fails(ServerError("no", code=500)), 0.04, 4, "error", {"reconcile_errors": 1}, id="an error waits longer"
        ),
        pytest.param(
            fails(TerminalError("never")),
            None,
            3,
            "error",
            {"reconcile_errors": 1, "terminal_reconcile_errors": 1},
            id="a terminal error does nothing to the queue",
        ),
        pytest.param(
            fails(KeyError("bug")),
            0.04,
            4,
            "error",
            {"reconcile_errors": 1, "reconcile_panics": 1},
            id="a bug is an error and a panic",
        ),
        pytest.param(
            fails(SystemExit(1)),
            0.04,
            4,
            "error",
            {"reconcile_errors": 1, "reconcile_panics": 1},
            id="an exit does not end the worker",
        ),
    ],
)
def test_what_a_reconcile_ends_with_decides_what_the_queue_does(
    script: Callable[[Key], Result],
    comes_again_at: float | None,
    failures: int,
    label: str,
    more: dict[str, float],
) -> None:
    world = World(script)
    queue = world.controller._queue
    for _ in range(3):
        queue.add_rate_limited(KEY)
    world.advance(1)
    queue.get(0)
    queue.done(KEY)
    world.controller.process(KEY)
    assert queue.num_requeues(KEY) == failures
    assert world.value("reconcile_total", result=label) == 1
    counted = {"reconcile_errors": 0.0, "terminal_reconcile_errors": 0.0, "reconcile_panics": 0.0} | more
    assert {name: world.value(f"{name}_total") for name in counted} == counted
    if comes_again_at is None:
        world.advance(2000)
        assert len(queue) == 0
        return
    world.advance(comes_again_at * 0.99)
    assert len(queue) == 0
    world.advance(comes_again_at * 0.02)
    assert len(queue) == 1


def test_every_series_is_there_from_the_start() -> None:
    world = World(workers=3)
    for result in ("success", "requeue_after", "requeue", "error"):
        assert world.value("reconcile_total", result=result) == 0
    assert world.value("max_concurrent_reconciles") == 3
    assert world.value("active_workers") == 0
    for failures in ("reconcile_errors", "terminal_reconcile_errors", "reconcile_panics", "reconcile_timeouts"):
        assert world.value(f"{failures}_total") == 0


def errors_of(script: Callable[[Key], Result]) -> list[EventDict]:
    world = World(script)
    with capture_logs() as logs:
        world.controller.process(KEY)
    return [entry for entry in logs if entry["log_level"] == "error"]


def test_a_bug_is_logged_once_and_with_its_stack() -> None:
    error = KeyError("bug")
    assert [entry["exc_info"] for entry in errors_of(fails(error))] == [error]


def test_a_server_error_is_logged_without_a_stack_and_a_conflict_not_at_all() -> None:
    assert [entry["exc_info"] for entry in errors_of(fails(ServerError("no", code=500)))] == [None]
    assert errors_of(fails(ConflictError("stale", code=409))) == []


def test_workers_go_on_after_an_error() -> None:
    def script(key: Key) -> Result:
        if key == KEY:
            raise KeyError("bug")
        return done()

    world = World(script)
    world.controller.start()
    world.controller.enqueue(KEY)
    world.controller.enqueue(OTHER)
    assert world.reconciler.wait_for(2) == [KEY, OTHER]
    world.controller.shut_down()
    assert world.controller.join(LONG_SECONDS) == []


def test_at_the_stop_only_keys_enqueued_by_name_are_still_reconciled() -> None:
    busy, go_on = threading.Event(), threading.Event()

    def script(key: Key) -> Result:
        if key.name == "busy":
            busy.set()
            go_on.wait(LONG_SECONDS)
        return done()

    world = World(script)
    world.controller.start()
    world.controller.enqueue(Key("ns", "busy"))
    assert busy.wait(LONG_SECONDS)
    world.controller.enqueue_after(KEY, 0)
    world.controller.stop_taking()
    world.controller.enqueue(OTHER)
    assert not world.controller.drain(0)
    go_on.set()
    world.end()
    assert world.reconciler.seen == [Key("ns", "busy"), OTHER]


def test_a_record_that_fails_at_the_stop_is_tried_again_before_the_workers_end() -> None:
    tries: list[Key] = []

    def script(key: Key) -> Result:
        tries.append(key)
        if len(tries) == 1:
            raise ConflictError("stale", code=409)
        return done()

    world = World(script)
    stop = StopToken()
    thread = threading.Thread(target=world.timer.run, args=(stop,), daemon=True)
    thread.start()
    world.controller.start()
    world.controller.stop_taking()
    world.controller.enqueue(KEY)
    while not world.controller.drain(0.01):
        world.clock.advance(1)
    assert tries == [KEY, KEY]
    world.end()
    stop.cancel()
    thread.join(LONG_SECONDS)


def test_shutting_down_gives_up_what_is_left() -> None:
    world = World()
    world.controller.enqueue(KEY)
    world.controller.enqueue(OTHER)
    world.controller.shut_down()
    world.controller.start()
    assert world.controller.join(LONG_SECONDS) == []
    assert world.reconciler.seen == []


def config_map(name: str, **data: str) -> JsonObject:
    return {"metadata": {"name": name, "namespace": "ns"}, "data": dict(data)}


def test_an_informer_names_the_keys_and_a_mapper_other_keys_before_and_after() -> None:
    api, stop = FakeApi(), StopToken()
    api.client.create_raw(CONFIG_MAPS, "ns", config_map("a", owner="one"))
    factory = InformerFactory(api.client)
    informer = factory.informer(CONFIG_MAPS, ConfigMap)
    own, mapped = World(), World()
    own.controller.watch(informer)
    mapped.controller.watch(informer, lambda obj: [Key("", (obj.data or {})["owner"])])
    factory.start(stop)
    for world in (own, mapped):
        assert world.controller.wait_synced(stop)
        world.controller.start()
    assert own.reconciler.wait_for(1) == [KEY]
    assert mapped.reconciler.wait_for(1) == [Key("", "one")]
    api.client.patch_raw(CONFIG_MAPS, "ns", "a", {"data": {"owner": "two"}})
    assert set(mapped.reconciler.wait_for(3)[1:]) == {Key("", "one"), Key("", "two")}
    api.client.delete(CONFIG_MAPS, "ns", "a")
    assert mapped.reconciler.wait_for(4)[3] == Key("", "two")
    stop.cancel()
    assert factory.shutdown(LONG_SECONDS)
    for world in (own, mapped):
        world.end()


def test_waiting_for_the_first_keys_ends_with_the_process() -> None:
    stop, world = StopToken(), World()
    world.controller.watch(InformerFactory(FakeApi().client).informer(CONFIG_MAPS, ConfigMap))
    stop.cancel()
    assert not world.controller.wait_synced(stop)


def test_a_live_change_is_reconciled_before_what_was_there_at_the_start() -> None:
    api, stop = FakeApi(), StopToken()
    for name in ("a", "b"):
        api.client.create_raw(CONFIG_MAPS, "ns", config_map(name))
    factory = InformerFactory(api.client)
    world = World()
    world.controller.watch(factory.informer(CONFIG_MAPS, ConfigMap))
    factory.start(stop)
    assert world.controller.wait_synced(stop)
    api.client.create_raw(CONFIG_MAPS, "ns", config_map("live"))
    while len(world.controller._queue) < 3:
        stop.wait(0.001)
    world.controller.start()
    assert [key.name for key in world.reconciler.wait_for(3)] == ["live", "a", "b"]
    stop.cancel()
    assert factory.shutdown(LONG_SECONDS)
    world.end()


@pytest.mark.parametrize("script", [fails(ServerError("no", code=500)), lambda key: again_in(1)])
def test_a_key_that_comes_again_keeps_its_priority(script: Callable[[Key], Result]) -> None:
    world = World(script)
    queue = world.controller._queue
    queue.add(KEY, priority=-100)
    queue.get(0)
    world.controller.process(KEY)
    queue.done(KEY)
    world.advance(2)
    queue.add(OTHER)
    assert [queue.get(0), queue.get(0)] == [OTHER, KEY]


def test_a_reconcile_that_takes_too_long_is_counted_and_told() -> None:
    def script(key: Key) -> Result:
        if reconcile_token().wait(LONG_SECONDS):
            told.cancel()
        return done()

    told = StopToken()
    world = World(script, reconcile_seconds=30)
    world.controller.start()
    world.controller.enqueue(KEY)
    world.reconciler.wait_for(1)
    world.advance(30)
    assert told.wait(LONG_SECONDS)
    world.end()
    assert world.value("reconcile_timeouts_total") == 1


def test_a_predicate_keeps_changes_out_of_the_queue() -> None:
    api, stop = FakeApi(), StopToken()
    api.client.create_raw(CONFIG_MAPS, "ns", config_map("a"))
    factory = InformerFactory(api.client)
    informer = factory.informer(CONFIG_MAPS, ConfigMap)
    world = World()
    world.controller.watch(informer, predicate=labelled(parse_selector("watched")))
    factory.start(stop)
    assert world.controller.wait_synced(stop)
    obj = config_map("b")
    obj["metadata"] = {"name": "b", "namespace": "ns", "labels": {"watched": "yes"}}
    api.client.create_raw(CONFIG_MAPS, "ns", obj)
    world.controller.start()
    assert world.reconciler.wait_for(1) == [OTHER]
    stop.cancel()
    assert factory.shutdown(LONG_SECONDS)
    world.end()
