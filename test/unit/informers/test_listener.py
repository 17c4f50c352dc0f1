"""A handler's thread: it may be slow, it may raise, it may be removed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest
import structlog

from pkg.apis.meta import Object, ObjectMeta
from pkg.informers.listener import HIGH_WATER, Added, Deleted, InitialEnd, Listener, Updated
from pkg.kube.stop import StopToken
from pkg.testing.fakeclock import FakeClock

WAIT_SECONDS = 30.0


def made(name: str) -> Object:
    return Object(metadata=ObjectMeta(name=name))


class Handler:
    """Calls `on_call` with each object's name."""

    def __init__(self, on_call: Callable[[str], None] = lambda name: None) -> None:
        self._on_call = on_call
        self._changed = threading.Condition()
        self.names: list[str] = []

    def on_add(self, obj: Object, initial: bool) -> None:
        self._handle(obj.metadata.name)

    def on_update(self, old: Object, new: Object) -> None:
        self._handle(f"{old.metadata.name}>{new.metadata.name}")

    def on_delete(self, obj: Object, final_state_known: bool) -> None:
        self._handle(f"-{obj.metadata.name}")

    def _handle(self, name: str) -> None:
        with self._changed:
            self.names.append(name)
            self._changed.notify_all()
        self._on_call(name)

    def wait_for(self, count: int) -> list[str]:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.names) >= count, WAIT_SECONDS), self.names
            return list(self.names)


@pytest.fixture
def stop() -> Iterator[StopToken]:
    token = StopToken()
    yield token
    token.cancel()


def started(handler: Handler, stop: StopToken, clock: FakeClock | None = None) -> Listener[Object]:
    listener = Listener(handler, name="test", stop=stop, clock=clock or FakeClock())
    listener.start()
    return listener


def test_notifications_come_in_order(stop: StopToken) -> None:
    handler = Handler()
    listener = started(handler, stop)
    listener.put(Added(made("a"), initial=False))
    listener.put(Updated(made("a"), made("b")))
    listener.put(Deleted(made("b"), final_state_known=True))
    assert handler.wait_for(3) == ["a", "a>b", "-b"]


def test_a_slow_handler_delays_only_itself(stop: StopToken) -> None:
    release = threading.Event()
    slow, fast = Handler(lambda name: assert_set(release)), Handler()
    listeners = [started(slow, stop), started(fast, stop)]
    for number in range(HIGH_WATER + 5):
        for listener in listeners:
            listener.put(Added(made(str(number)), initial=False))
    fast.wait_for(HIGH_WATER + 5)
    slow.wait_for(1)
    assert slow.names == ["0"]
    assert listeners[0].pending == HIGH_WATER + 4
    release.set()
    slow.wait_for(HIGH_WATER + 5)


@pytest.mark.parametrize(("seconds", "warnings"), [(0.5, 0), (1.5, 1)])
def test_a_long_queue_behind_a_long_call_is_said_once(stop: StopToken, seconds: float, warnings: int) -> None:
    release, clock = threading.Event(), FakeClock()
    handler = Handler(lambda name: assert_set(release))
    listener = started(handler, stop, clock)
    listener.put(Added(made("first"), initial=False))
    handler.wait_for(1)
    clock.advance(seconds)
    with structlog.testing.capture_logs() as logged:
        for number in range(HIGH_WATER + 100):
            listener.put(Added(made(str(number)), initial=False))
    assert [entry["event"] for entry in logged] == ["Handler is slow"] * warnings
    release.set()


def assert_set(event: threading.Event) -> None:
    assert event.wait(WAIT_SECONDS)


def test_a_handler_that_raises_loses_that_one_and_gets_the_next_after_a_pause(stop: StopToken) -> None:
    def raise_once(name: str) -> None:
        if name == "a":
            raise RuntimeError(name)

    clock = FakeClock()
    handler = Handler(raise_once)
    listener = started(handler, stop, clock)
    listener.put(Added(made("a"), initial=False))
    listener.put(Added(made("b"), initial=False))
    clock.wait_for_waiters()
    assert handler.names == ["a"]
    clock.advance(1.0)
    assert handler.wait_for(2) == ["a", "b"]


def test_it_is_synced_when_the_handler_has_returned_from_the_initial_adds(stop: StopToken) -> None:
    release = threading.Event()
    listener = started(Handler(lambda name: assert_set(release)), stop)
    listener.put(Added(made("a"), initial=True))
    listener.put(InitialEnd())
    assert not listener.wait_synced(StopToken(), 0.01)
    release.set()
    assert listener.wait_synced(StopToken(), WAIT_SECONDS)
    assert listener.has_synced


def test_waiting_for_the_sync_ends_with_the_token(stop: StopToken) -> None:
    given_up = StopToken()
    given_up.cancel()
    assert not started(Handler(), stop).wait_synced(given_up, WAIT_SECONDS)


def test_stopping_drops_what_is_queued_and_waits_for_the_call_it_is_in(stop: StopToken) -> None:
    release = threading.Event()
    handler = Handler(lambda name: assert_set(release))
    listener = started(handler, stop)
    listener.put(Added(made("a"), initial=False))
    listener.put(Added(made("b"), initial=False))
    handler.wait_for(1)
    listener.stop()
    assert not listener.join(0.01)
    release.set()
    assert listener.join(WAIT_SECONDS)
    assert handler.names == ["a"]


def test_a_handler_may_remove_itself(stop: StopToken) -> None:
    ended: list[bool] = []
    listener: Listener[Object]

    def leave(name: str) -> None:
        listener.stop()
        ended.append(listener.join(WAIT_SECONDS))

    listener = started(Handler(leave), stop)
    listener.put(Added(made("a"), initial=False))
    assert listener.join(WAIT_SECONDS)
    assert ended == [True]
