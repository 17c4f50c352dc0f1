"""The order of store and notifications, and what is not a change."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pkg.apis.meta import Object, ObjectMeta
from pkg.informers.decode import EventType, ObjectEvent, Undecodable
from pkg.informers.distributor import Distributor
from pkg.informers.listener import Listener
from pkg.informers.store import Store
from pkg.kube.stop import StopToken
from pkg.testing.fakeclock import FakeClock

WAIT_SECONDS = 30.0


def made(name: str, version: str = "1") -> Object:
    return Object(metadata=ObjectMeta(namespace="ns", name=name, resource_version=version))


def broken(name: str, version: str = "2", error: str = "bad") -> Undecodable:
    return Undecodable(key=f"ns/{name}", resource_version=version, error=error)


def an_event(event_type: EventType, item: Object | Undecodable) -> ObjectEvent[Object]:
    return ObjectEvent(type=event_type, object=item, resource_version="9")


class Recorder:
    """A handler that notes each call together with what the store held at that moment."""

    def __init__(self, store: Store[Object]) -> None:
        self._store = store
        self._changed = threading.Condition()
        self.calls: list[str] = []
        self.stored: list[list[str]] = []

    def on_add(self, obj: Object, initial: bool) -> None:
        self._note(f"add {obj.metadata.name}{' initial' if initial else ''}")

    def on_update(self, old: Object, new: Object) -> None:
        self._note(f"update {new.metadata.name} {old.metadata.resource_version}>{new.metadata.resource_version}")

    def on_delete(self, obj: Object, final_state_known: bool) -> None:
        self._note(f"delete {obj.metadata.name}{'' if final_state_known else ' unknown'}")

    def _note(self, call: str) -> None:
        with self._changed:
            self.calls.append(call)
            self.stored.append(sorted(obj.metadata.name for obj in self._store.list()))
            self._changed.notify_all()

    def wait_for(self, count: int) -> list[str]:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.calls) >= count, WAIT_SECONDS), self.calls
            return list(self.calls)


class Bench:
    def __init__(self) -> None:
        self.stop = StopToken()
        self.clock = FakeClock()
        self.store: Store[Object] = Store()
        self.distributor = Distributor(self.store, "test")
        self.listeners: list[Listener[Object]] = []

    def recorder(self) -> Recorder:
        recorder = Recorder(self.store)
        listener = Listener(recorder, name="test", stop=self.stop, clock=self.clock)
        self.listeners.append(listener)
        listener.start()
        self.distributor.join(listener)
        return recorder

    def close(self) -> None:
        self.stop.cancel()
        for listener in self.listeners:
            assert listener.join(WAIT_SECONDS)


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.close()


def test_a_list_stores_first_then_tells_deletes_then_adds_and_updates_in_its_order(bench: Bench) -> None:
    bench.distributor.replace([made("gone"), made("stays"), made("changes")])
    recorder = bench.recorder()
    recorder.wait_for(3)
    bench.distributor.replace([made("new"), made("changes", "2"), made("stays"), made("newer")])
    calls = recorder.wait_for(7)
    assert calls[3:] == ["delete gone unknown", "add new", "update changes 1>2", "add newer"]
    assert recorder.stored[3] == ["changes", "new", "newer", "stays"]


def test_what_a_relist_shows_unchanged_is_no_update(bench: Bench) -> None:
    bench.distributor.replace([made("a")])
    recorder = bench.recorder()
    bench.distributor.replace([made("a")])
    bench.distributor.apply(an_event(EventType.MODIFIED, made("a")))
    bench.distributor.apply(an_event(EventType.MODIFIED, made("a", "2")))
    assert recorder.wait_for(2) == ["add a initial", "update a 1>2"]


def test_only_the_first_list_is_initial(bench: Bench) -> None:
    recorder = bench.recorder()
    bench.distributor.replace([made("a")])
    bench.distributor.replace([made("a"), made("b")])
    assert recorder.wait_for(2) == ["add a initial", "add b"]


def test_a_deletion_that_was_seen_carries_the_final_state(bench: Bench) -> None:
    bench.distributor.replace([made("a")])
    recorder = bench.recorder()
    bench.distributor.apply(an_event(EventType.DELETED, made("a", "5")))
    assert recorder.wait_for(2)[1] == "delete a"
    assert bench.store.list() == []


def test_an_object_that_stops_decoding_keeps_its_last_state_until_it_is_deleted(bench: Bench) -> None:
    bench.distributor.replace([made("a"), made("b")])
    recorder = bench.recorder()
    bench.distributor.apply(an_event(EventType.MODIFIED, broken("a")))
    bench.distributor.replace([broken("a"), made("b")])
    bench.distributor.apply(an_event(EventType.DELETED, broken("a")))
    assert sorted(recorder.wait_for(3)[:2]) == ["add a initial", "add b initial"]
    assert recorder.calls[2:] == ["delete a unknown"]


def test_an_object_that_never_decoded_is_nothing_to_a_handler(bench: Bench) -> None:
    recorder = bench.recorder()
    bench.distributor.replace([broken("a"), made("b")])
    bench.distributor.apply(an_event(EventType.DELETED, broken("a")))
    bench.distributor.apply(an_event(EventType.ADDED, made("c")))
    assert recorder.wait_for(2) == ["add b initial", "add c"]


def test_a_broken_object_is_counted_each_time_and_known_until_it_decodes(bench: Bench) -> None:
    bench.distributor.replace([broken("a")])
    bench.distributor.apply(an_event(EventType.MODIFIED, broken("a")))
    assert bench.distributor.undecodable.total == 2
    assert list(bench.distributor.undecodable.current) == ["ns/a"]
    bench.distributor.apply(an_event(EventType.MODIFIED, made("a", "3")))
    assert list(bench.distributor.undecodable.current) == []


def test_a_broken_object_that_a_list_does_not_show_any_more_is_forgotten(bench: Bench) -> None:
    bench.distributor.replace([broken("a")])
    bench.distributor.replace([])
    assert list(bench.distributor.undecodable.current) == []


def test_a_handler_that_joins_late_is_told_what_is_there_and_is_synced_after_it(bench: Bench) -> None:
    bench.distributor.replace([made("a")])
    bench.distributor.apply(an_event(EventType.ADDED, made("b")))
    recorder = bench.recorder()
    assert bench.listeners[0].wait_synced(StopToken(), WAIT_SECONDS)
    assert sorted(recorder.calls) == ["add a initial", "add b initial"]


@settings(max_examples=10, deadline=None)
@given(st.lists(st.sampled_from(["put", "delete", "list", "join"]), min_size=5, max_size=30))
def test_whenever_a_handler_joins_it_ends_up_with_exactly_what_is_stored(steps: list[str]) -> None:
    bench = Bench()
    recorders = [bench.recorder()]
    changing = threading.Thread(target=lambda: play(bench, steps))
    changing.start()
    recorders += [bench.recorder() for step in steps if step == "join"]
    changing.join(WAIT_SECONDS)
    bench.distributor.apply(an_event(EventType.ADDED, made("last", "9999")))
    stored = {obj.metadata.name for obj in bench.store.list()}
    for recorder in recorders:
        assert replayed(recorder) == stored
    bench.close()


def play(bench: Bench, steps: list[str]) -> None:
    for number, step in enumerate(steps):
        name = f"o{number % 3}"
        if step == "put":
            bench.distributor.apply(an_event(EventType.ADDED, made(name, str(number))))
        elif step == "delete" and bench.store.get(f"ns/{name}"):
            bench.distributor.apply(an_event(EventType.DELETED, made(name, str(number))))
        elif step == "list":
            bench.distributor.replace([made(name, str(number))])


def replayed(recorder: Recorder) -> set[str]:
    """What the calls add up to; an add of what is there, or another call for what is not, is a defect."""
    with recorder._changed:
        assert recorder._changed.wait_for(
            lambda: recorder.calls[-1:] == ["add last"] or any("last" in c for c in recorder.calls), WAIT_SECONDS
        )
    there: set[str] = set()
    for call in recorder.calls:
        verb, name = call.split()[:2]
        assert (name in there) == (verb != "add"), recorder.calls
        if verb == "add":
            there.add(name)
        elif verb == "delete":
            there.remove(name)
    return there
