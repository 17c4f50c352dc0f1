from __future__ import annotations

import threading

import pytest

from pkg.apis.core import Node, Pod
from pkg.apis.meta import JsonObject, Object, ObjectMeta
from pkg.kube.errors import TransportError, status_error
from pkg.kube.refs import EVENTS
from pkg.kube.stop import StopToken
from pkg.manager.events import BURST, QUEUE_LIMIT, EventRecorder
from pkg.testing.fakeapi import FakeApi
from pkg.testing.fakeclock import FakeClock

LONG_SECONDS = 30.0
POD = Pod(metadata=ObjectMeta(name="web", namespace="app", uid="u1"))


class World:
    def __init__(self) -> None:
        self.api = FakeApi()
        self.clock = FakeClock(automatic=True)
        self.recorder = EventRecorder(self.api.client, "ark", self.clock)

    def flush(self) -> None:
        """Sends what is queued, as at the stop of the process."""
        stop = StopToken()
        stop.cancel()
        self.recorder.run(stop)

    @property
    def events(self) -> list[JsonObject]:
        return self.api.list(EVENTS)


def test_an_event_names_its_object_and_its_source() -> None:
    world = World()
    world.recorder.event(POD, "BackedUp", "volume data was captured")
    world.flush()
    (event,) = world.events
    assert event["involvedObject"] == {
        "apiVersion": "v1",
        "kind": "Pod",
        "namespace": "app",
        "name": "web",
        "uid": "u1",
    }
    said = {key: event[key] for key in ("type", "reason", "message", "count", "source")}
    assert said == {
        "type": "Normal",
        "reason": "BackedUp",
        "message": "volume data was captured",
        "count": 1,
        "source": {"component": "ark"},
    }
    assert event["firstTimestamp"] == event["lastTimestamp"] == "2026-01-01T00:00:00Z"


def test_a_warning_is_one() -> None:
    world = World()
    world.recorder.event(POD, "Failed", "no", warning=True)
    world.flush()
    assert world.events[0]["type"] == "Warning"


@pytest.mark.parametrize(
    ("obj", "api_version", "kind", "namespace"),
    [
        pytest.param(POD, "v1", "Pod", "app", id="a struct of a list names its kind itself"),
        pytest.param(Node(metadata=ObjectMeta(name="n1", uid="u2")), "v1", "Node", "default", id="cluster scope"),
        pytest.param(
            Object(kind="Thing", api_version="x/v2", metadata=ObjectMeta(name="t", namespace="a")),
            "x/v2",
            "Thing",
            "a",
            id="an object that says what it is",
        ),
    ],
)
def test_where_an_event_is_and_what_it_says_of_its_object(
    obj: Object, api_version: str, kind: str, namespace: str
) -> None:
    world = World()
    world.recorder.event(obj, "R", "m")
    world.flush()
    (event,) = world.events
    about, metadata = event["involvedObject"], event["metadata"]
    assert isinstance(about, dict)
    assert isinstance(metadata, dict)
    assert (about["apiVersion"], about["kind"], metadata["namespace"]) == (api_version, kind, namespace)


def test_the_same_again_is_counted_on_the_same_event() -> None:
    world = World()
    for _ in range(3):
        world.recorder.event(POD, "R", "same")
        world.flush()
        world.clock.advance(60)
    world.recorder.event(POD, "R", "other")
    world.flush()
    assert sorted((str(event["message"]), event["count"]) for event in world.events) == [("other", 1), ("same", 3)]
    same = next(event for event in world.events if event["message"] == "same")
    assert (same["firstTimestamp"], same["lastTimestamp"]) == ("2026-01-01T00:00:00Z", "2026-01-01T00:02:00Z")


def test_an_event_that_is_gone_is_made_anew() -> None:
    world = World()
    world.recorder.event(POD, "R", "same")
    world.flush()
    name = str(world.events[0]["metadata"]["name"])  # type: ignore[call-overload,index]  # JSON
    world.api.client.delete(EVENTS, "app", name)
    world.recorder.event(POD, "R", "same")
    world.flush()
    assert [event["count"] for event in world.events] == [1]


def test_recording_never_blocks_and_what_is_too_much_is_dropped() -> None:
    world = World()
    for number in range(QUEUE_LIMIT + 5):
        world.recorder.event(POD, "R", f"message {number}")
    assert world.recorder.dropped == 5


def test_an_object_that_says_too_much_is_silenced_and_others_are_not() -> None:
    world = World()
    other = Pod(metadata=ObjectMeta(name="db", namespace="app", uid="u9"))
    for number in range(BURST + 5):
        world.recorder.event(POD, "R", f"message {number}")
    world.recorder.event(other, "R", "hello")
    world.flush()
    assert len(world.events) == BURST + 1
    assert world.recorder.dropped == 5
    world.clock.advance(300)
    world.recorder.event(POD, "R", "allowed again")
    world.recorder.event(POD, "R", "not yet")
    world.flush()
    assert len(world.events) == BURST + 2


def test_a_long_message_is_cut() -> None:
    world = World()
    world.recorder.event(POD, "R", "x" * 5000)
    world.flush()
    assert len(str(world.events[0]["message"])) == 1024


def test_an_event_that_is_refused_is_lost_and_the_next_is_sent() -> None:
    world = World()
    world.api.fail_next(status_error("namespace is terminating", code=403), ref=EVENTS)
    world.recorder.event(POD, "R", "refused")
    world.recorder.event(POD, "R", "sent")
    world.flush()
    assert [event["message"] for event in world.events] == ["sent"]


def test_the_flush_gives_up_on_a_server_that_does_not_answer() -> None:
    world = World()
    for _ in range(5):
        world.api.fail_next(TransportError("down"), ref=EVENTS)
        world.recorder.event(POD, "R", "lost")
    world.flush()
    assert world.api.count("POST", EVENTS) == 1


def test_the_thread_sends_while_it_runs_and_tries_again_what_got_no_answer() -> None:
    world, stop = World(), StopToken()
    world.api.fail_next(TransportError("down"), ref=EVENTS)
    thread = threading.Thread(target=world.recorder.run, args=(stop,), daemon=True)
    thread.start()
    world.recorder.event(POD, "R", "kept")
    for _ in range(1000):
        if world.events:
            break
        thread.join(0.01)
    assert [event["message"] for event in world.events] == ["kept"]
    stop.cancel()
    thread.join(LONG_SECONDS)
    assert not thread.is_alive()
