"""client-go's shared informer, case by case, in front of a real API server that fails on demand.

Unit tests hold the cases that need a fake clock or that no server takes part in: a resync to the handlers that are
due (test_informer.py), indexes under random operations (test_store.py), transforms and undecodable objects
(test_decode.py, test_distributor.py), mutation detection (test_mutation.py), the warning about a slow handler
(test_listener.py). Handlers that join while many write are in test_informers.py, everything at once in test_soak.py.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from pkg.apis.meta import Object
from pkg.informers.informer import SharedInformer
from pkg.kube.stop import StopToken
from pkg.testing.faultbench import WAIT_SECONDS, BriskClock, FaultBench
from pkg.testing.faultproxy_faults import Kind
from pkg.testing.faultproxy_request import Verb
from pkg.testing.witness import Witness

LIST, WATCH = Verb.LIST, Verb.WATCH


class Recorder:
    """Notes each call with what the store held at that moment."""

    def __init__(self, informer: SharedInformer[Object]) -> None:
        self._informer = informer
        self._changed = threading.Condition()
        self.calls: list[str] = []
        self.stored: list[set[str]] = []

    def on_add(self, obj: Object, initial: bool) -> None:
        self._note(f"{'initial' if initial else 'add'} {obj.metadata.name}")

    def on_update(self, old: Object, new: Object) -> None:
        self._note(f"update {new.metadata.name}")

    def on_delete(self, obj: Object, final_state_known: bool) -> None:
        self._note(f"{'delete' if final_state_known else 'tombstone'} {obj.metadata.name}")

    def _note(self, call: str) -> None:
        with self._changed:
            self.calls.append(call)
            self.stored.append({obj.metadata.name for obj in self._informer.lister.list()})
            self._changed.notify_all()

    def wait_for(self, *calls: str) -> None:
        with self._changed:
            self._changed.wait_for(lambda: len(self.calls) >= len(calls), WAIT_SECONDS)
            assert self.calls == list(calls)


class Gate:
    """A handler that waits at its first call until it may go on."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.opened = threading.Event()
        self.names: list[str] = []

    def on_add(self, obj: Object, initial: bool) -> None:
        self.entered.set()
        assert self.opened.wait(WAIT_SECONDS)
        self.names.append(obj.metadata.name)

    def on_update(self, old: Object, new: Object) -> None:
        raise NotImplementedError

    def on_delete(self, obj: Object, final_state_known: bool) -> None:
        raise NotImplementedError


class Started:
    """One informer behind the proxy."""

    def __init__(self, faults: FaultBench, *, stream_lists: bool) -> None:
        self.stop = StopToken()
        self.clock = BriskClock()
        self.informer = SharedInformer(
            faults.client, faults.selection(), Object, clock=self.clock, stream_lists=stream_lists
        )

    def start(self) -> None:
        self.informer.start(self.stop)
        assert self.informer.wait_synced(self.stop, WAIT_SECONDS)
        self.wait_for(lambda: self.informer.reflector.watches > 0)

    def wait_for(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + WAIT_SECONDS
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.01)


@pytest.fixture(params=[False, True], ids=["pages", "streamed"])
def started(faults: FaultBench, request: pytest.FixtureRequest) -> Iterator[Started]:
    made = Started(faults, stream_lists=request.param)
    yield made
    assert made.informer.stop(WAIT_SECONDS)


def break_watch(faults: FaultBench) -> None:
    """Ends the session, so that the next thing is a list."""
    faults.fault(Kind.ERROR, WATCH, code=410, reason="Expired").wait_for_hits()


def test_what_happened_unseen_is_told_from_the_list_store_first_then_deletes_then_the_rest(
    faults: FaultBench, started: Started
) -> None:
    for name in ("changes", "goes", "stays"):
        faults.create(name)
    recorder = Recorder(started.informer)
    started.informer.add_handler(recorder)
    started.start()
    with unseen(faults):
        faults.change("changes", "2")
        faults.delete("goes")
        faults.create("comes")
    initial = ["initial changes", "initial goes", "initial stays"]
    recorder.wait_for(*initial, "tombstone goes", "update changes", "add comes")
    assert recorder.stored[3:] == [{"changes", "comes", "stays"}] * 3


@contextlib.contextmanager
def unseen(faults: FaultBench) -> Iterator[None]:
    """Breaks the watch and lets the next list wait for what is done meanwhile."""
    with faults.fault(Kind.HANG, LIST, WATCH, times=0) as held:
        break_watch(faults)
        held.wait_for_hits()
        yield


def test_a_tombstone_holds_the_last_state_that_was_seen(faults: FaultBench, started: Started) -> None:
    seen = faults.create("goes")
    witness = Witness()
    started.informer.add_handler(witness)
    started.start()
    with unseen(faults):
        faults.change("goes", "unseen")
        faults.delete("goes")
    witness.wait_for({})
    assert witness.deleted == [(f"{faults.namespace}/goes", seen, False)]


def test_a_list_that_shows_the_same_again_tells_nothing(faults: FaultBench, started: Started) -> None:
    faults.create("same")
    witness = Witness()
    started.informer.add_handler(witness)
    started.start()
    break_watch(faults)
    started.wait_for(lambda: started.informer.reflector.lists >= 2)
    faults.create("last")
    witness.wait_for(faults.truth())
    assert [len(versions) for versions in witness.told.values()] == [1, 1]


def test_handlers_that_join_while_the_connection_fails_end_up_with_the_truth(
    faults: FaultBench, started: Started
) -> None:
    witnesses: list[Witness] = []
    started.start()
    for number, kind in enumerate((Kind.CUT, Kind.TEAR, Kind.CLOSE, Kind.GARBAGE, Kind.TRUNCATE, Kind.ERROR)):
        switch = faults.fault(kind, WATCH, code=410, reason="Expired")
        witnesses.append(Witness(f"before {kind}"))
        started.informer.add_handler(witnesses[-1])
        faults.create(f"o-{number}")
        while not switch.hits:
            faults.change(f"o-{number}", str(time.monotonic()))
        witnesses.append(Witness(f"after {kind}"))
        started.informer.add_handler(witnesses[-1])
        faults.delete(f"o-{number}") if number % 3 == 2 else None
    truth = faults.truth()
    for witness in witnesses:
        witness.wait_for(truth)


def test_a_slow_handler_delays_only_itself_and_is_synced_when_it_has_returned(
    faults: FaultBench, started: Started
) -> None:
    for name in ("a", "b"):
        faults.create(name)
    gate, witness = Gate(), Witness()
    slow, quick = started.informer.add_handler(gate), started.informer.add_handler(witness)
    started.start()
    assert gate.entered.wait(WAIT_SECONDS)
    assert quick.wait_synced(started.stop, WAIT_SECONDS)
    witness.wait_for(faults.truth())
    assert started.informer.has_synced
    assert not slow.has_synced
    gate.opened.set()
    assert slow.wait_synced(started.stop, WAIT_SECONDS)
    assert sorted(gate.names) == ["a", "b"]


def test_a_removed_handler_is_out_of_its_last_call_and_gets_nothing_more(faults: FaultBench, started: Started) -> None:
    for name in ("a", "b"):
        faults.create(name)
    gate, witness = Gate(), Witness()
    slow = started.informer.add_handler(gate)
    started.informer.add_handler(witness)
    started.start()
    assert gate.entered.wait(WAIT_SECONDS)
    assert not slow.remove(0.01)
    gate.opened.set()
    assert slow.remove(WAIT_SECONDS)
    faults.create("c")
    witness.wait_for(faults.truth())
    assert len(gate.names) == 1


def test_nobody_is_told_that_a_cache_is_synced_which_was_not_read_to_its_end(
    faults: FaultBench, started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pkg.informers.listing.PAGE_LIMIT", 1)
    for name in ("a", "b"):
        faults.create(name)
    pages = faults.fault(Kind.HANG, LIST, path="continue=")
    stream = faults.fault(Kind.STALL, WATCH, path="sendInitialEvents", after_lines=1)
    witness = Witness()
    registration = started.informer.add_handler(witness)
    started.informer.start(started.stop)
    started.wait_for(lambda: pages.hits + stream.hits)
    assert not started.informer.has_synced
    assert not registration.has_synced
    assert not started.informer.lister.list()
    pages.lift()
    stream.lift()
    assert registration.wait_synced(started.stop, WAIT_SECONDS)
    witness.wait_for(faults.truth())


def test_an_index_is_right_after_every_break(faults: FaultBench, started: Started) -> None:
    started.informer.add_index("last letter", lambda obj: (obj.metadata.name[-1],))
    started.start()
    for number, kind in enumerate((Kind.CUT, Kind.GARBAGE, Kind.CLOSE)):
        faults.create(f"o{number}-a")
        faults.create(f"o{number}-b")
        faults.fault(kind, WATCH).wait_for_hits()
        faults.delete(f"o{number}-b")
    version = faults.create("last-a")
    assert started.informer.wait_for_rv(version, WAIT_SECONDS)
    found = {letter: started.informer.lister.by_index("last letter", letter) for letter in "ab"}
    names = {letter: sorted(obj.metadata.name for obj in objects) for letter, objects in found.items()}
    assert names == {"a": ["last-a", "o0-a", "o1-a", "o2-a"], "b": []}


def test_an_informer_stops_at_once_while_the_server_is_silent(faults: FaultBench, started: Started) -> None:
    with faults.fault(Kind.HANG, LIST, WATCH) as held:
        started.informer.start(started.stop)
        held.wait_for_hits()
        assert started.informer.stop(WAIT_SECONDS)
