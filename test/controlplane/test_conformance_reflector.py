"""client-go's reflector, case by case, in front of a real API server that fails on demand.

Cases that need a clock or a script and no server are unit tests: the backoff's sequence, cap and restart, the
5 to 10 minutes of a watch, synthetic adds that do not move the version, a line that is too long
(test/unit/informers/test_reflector.py, test_streaming.py, test_linesplit.py). A peer that vanishes without a word
(half-open) is test_half_open.py, a server that is killed is test_informers.py.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pkg.testing.faultbench import Account, FaultBench, RunningReflector
from pkg.testing.faultproxy_faults import Kind
from pkg.testing.faultproxy_request import Request, Verb

LIST, WATCH = Verb.LIST, Verb.WATCH
LIST_AGAIN_DELAY = 0.8
STOP_SECONDS = 10.0  # a stalled machine included; a request that is not ended hangs for 30 s and more


def versions(requests: list[Request]) -> list[str]:
    return [request.query.get("resourceVersion", "") for request in requests]


def is_watching(faults: FaultBench, running: RunningReflector) -> None:
    """Waits for the first watch and for an event on it, so that it is not a very short one."""
    faults.wait_for_requests(1, WATCH)
    faults.create("first")
    running.sink.wait_for_last("ADDED first")


def test_a_wide_list_is_read_in_pages_and_the_watch_starts_at_its_version(
    faults: FaultBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pkg.informers.listing.PAGE_LIMIT", 2)
    for name in ("a", "b", "c"):
        faults.create(name)
    with faults.reflector() as running:
        running.sink.wait_for("replace a b c")
        faults.wait_for_requests(1, WATCH)
    lists = faults.requests(LIST)
    assert versions(lists) == ["", ""]
    assert ["continue" in request.query for request in lists] == [False, True]
    (watch,) = faults.requests(WATCH)
    assert watch.query["resourceVersion"] == running.reflector.last_version
    assert watch.query["allowWatchBookmarks"] == "true"
    assert 300 <= int(watch.query["timeoutSeconds"]) <= 600


def test_a_narrow_list_asks_for_any_version_then_for_the_last_then_for_the_newest(faults: FaultBench) -> None:
    faults.create("one")
    with faults.reflector("one") as running:
        running.sink.wait_for("replace one")
        seen = faults.change("one", "2")
        running.sink.wait_for("replace one", "MODIFIED one")
        faults.fault(Kind.STATUS, LIST, code=410, reason="Expired")
        faults.fault(Kind.ERROR, WATCH, code=410, reason="Expired")
        running.sink.wait_for("replace one", "MODIFIED one", "replace one")
    assert versions(faults.requests(LIST)) == ["0", seen, ""]


def test_pages_that_expire_while_they_are_read_are_read_again_in_one_body(
    faults: FaultBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pkg.informers.listing.PAGE_LIMIT", 2)
    for name in ("a", "b", "c"):
        faults.create(name)
    faults.fault(Kind.STATUS, LIST, path="continue=", code=410, reason="Expired")
    with faults.reflector() as running:
        running.sink.wait_for("replace a b c")
    assert [request.query.get("limit") for request in faults.requests(LIST)] == ["2", "2", None]


def test_a_watch_that_expires_backs_off_and_lists(faults: FaultBench) -> None:
    with faults.reflector() as running:
        is_watching(faults, running)
        faults.fault(Kind.ERROR, WATCH, code=410, reason="Expired")
        running.sink.wait_for("replace", "ADDED first", "replace first")
        faults.create("second")
        running.sink.wait_for_last("ADDED second")
    assert running.clock.waits == [LIST_AGAIN_DELAY]


def test_a_clean_close_watches_again_at_once_without_a_list(faults: FaultBench) -> None:
    with faults.reflector() as running:
        is_watching(faults, running)
        faults.fault(Kind.CLOSE, WATCH)
        faults.create("second")
        running.sink.wait_for("replace", "ADDED first", "ADDED second")
    assert running.clock.waits == []
    assert len(faults.requests(LIST)) == 1


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(Kind.CUT, id="a reset"),
        pytest.param(Kind.TEAR, id="a reset in the middle of a line"),
        pytest.param(Kind.TRUNCATE, id="an end in good order in the middle of a line"),
        pytest.param(Kind.HALF_CLOSE, id="a half-closed connection"),
    ],
)
def test_a_watch_that_breaks_goes_on_from_the_last_version_and_loses_nothing(faults: FaultBench, kind: Kind) -> None:
    with faults.reflector() as running:
        is_watching(faults, running)
        switch = faults.fault(kind, WATCH)
        faults.create("second")
        switch.wait_for_hits()
        faults.create("third")
        running.sink.wait_for("replace", "ADDED first", "ADDED second", "ADDED third")
    assert running.clock.waits == []
    assert len(faults.requests(LIST)) == 1


def test_a_watch_that_is_closed_at_once_without_an_event_backs_off_and_lists(
    faults: FaultBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pkg.informers.reflector.SHORT_WATCH_SECONDS", 30.0)  # what a slow machine calls at once
    faults.create("first")
    faults.fault(Kind.CLOSE, WATCH)
    with faults.reflector() as running:
        running.sink.wait_for("replace first", "replace first")
    assert running.clock.waits == [LIST_AGAIN_DELAY]


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        pytest.param(Kind.GARBAGE, {}, id="garbage"),
        pytest.param(Kind.GARBAGE, {"text": '{"type":"ADDED","object":{"kind":"Table"}}'}, id="no object"),
        pytest.param(Kind.ERROR, {"code": 500, "reason": "InternalError"}, id="an internal error"),
        pytest.param(Kind.ERROR, {"code": 403, "reason": "Forbidden"}, id="rights that were taken away"),
    ],
)
def test_what_may_have_lost_an_event_backs_off_and_lists(
    faults: FaultBench, kind: Kind, settings: dict[str, object]
) -> None:
    with faults.reflector() as running:
        is_watching(faults, running)
        faults.fault(kind, WATCH, **settings)
        running.sink.wait_for("replace", "ADDED first", "replace first")
        faults.create("second")
        running.sink.wait_for_last("ADDED second")
    assert running.clock.waits == [LIST_AGAIN_DELAY]


def test_a_bookmark_moves_the_version_and_nothing_else(faults: FaultBench) -> None:
    with faults.reflector() as running:
        is_watching(faults, running)
        faults.delete("first")
        running.sink.wait_for_last("DELETED first")
        ours = running.reflector.last_version
        newer = str(int(ours) + 1)
        bookmark = {"type": "BOOKMARK", "object": {"kind": "ConfigMap", "metadata": {"resourceVersion": newer}}}
        faults.fault(Kind.GARBAGE, WATCH, text=json.dumps(bookmark)).wait_for_hits()
        faults.fault(Kind.CLOSE, WATCH)
        faults.wait_for_requests(2, WATCH)
    assert versions(faults.requests(WATCH))[1] == newer
    assert running.sink.seen == ["replace", "ADDED first", "DELETED first"]


@pytest.mark.parametrize(("seconds", "waits"), [(0, [LIST_AGAIN_DELAY]), (7, [7.0])])
def test_a_watch_that_is_throttled_waits_and_watches_again_without_a_list(
    faults: FaultBench, seconds: int, waits: list[float]
) -> None:
    faults.fault(Kind.STATUS, WATCH, code=429, reason="TooManyRequests", retry_after_seconds=seconds)
    with faults.reflector() as running:
        faults.wait_for_requests(2, WATCH)
        faults.create("first")
        running.sink.wait_for("replace", "ADDED first")
        assert running.clock.waits == waits
        faults.fault(Kind.ERROR, WATCH, code=429, reason="TooManyRequests", retry_after_seconds=9)
        faults.wait_for_requests(3, WATCH)
        assert running.clock.waits == [*waits, 9.0]
    assert len(faults.requests(LIST)) == 1


@pytest.mark.parametrize("code", [500, 503])
def test_a_burst_of_failures_is_survived_with_growing_delays(faults: FaultBench, code: int) -> None:
    faults.create("first")
    faults.fault(Kind.STATUS, LIST, WATCH, code=code, times=4)
    with faults.reflector() as running:
        running.sink.wait_for("replace first")
        faults.create("second")
        running.sink.wait_for_last("ADDED second")
    assert running.clock.waits == [0.8, 1.6, 3.2, 6.4]


@pytest.mark.parametrize("kind", [Kind.REFUSE, Kind.CUT, Kind.HALF_CLOSE, Kind.TRUNCATE, Kind.GARBAGE])
def test_a_list_that_breaks_is_listed_again_after_a_delay(faults: FaultBench, kind: Kind) -> None:
    faults.create("first")
    faults.fault(kind, LIST)
    with faults.reflector() as running:
        running.sink.wait_for("replace first")
    assert running.clock.waits == [LIST_AGAIN_DELAY]


def test_a_throttled_list_waits_as_long_as_it_is_told(faults: FaultBench) -> None:
    faults.fault(Kind.STATUS, LIST, code=429, reason="TooManyRequests", retry_after_seconds=5)
    with faults.reflector() as running:
        running.sink.wait_for("replace")
    assert running.clock.waits == [5.0]


@pytest.mark.parametrize(
    ("kind", "verb"), [(Kind.DRIP, LIST), (Kind.DRIP, WATCH), (Kind.COALESCE, WATCH)], ids=lambda value: str(value)
)
def test_bytes_that_come_otherwise_are_the_same_events(faults: FaultBench, kind: Kind, verb: Verb) -> None:
    faults.create("first")
    faults.fault(kind, verb)
    with faults.reflector() as running:
        running.sink.wait_for("replace first")
        faults.wait_for_requests(1, WATCH)
        for name in ("second", "third"):
            faults.create(name)
        faults.delete("first")
        running.sink.wait_for("replace first", "ADDED second", "ADDED third", "DELETED first")
    assert running.clock.waits == []


def test_a_watch_that_stalls_brings_everything_when_it_goes_on(faults: FaultBench) -> None:
    with faults.reflector() as running:
        is_watching(faults, running)
        with faults.fault(Kind.STALL, WATCH) as stalled:
            stalled.wait_for_hits()
            faults.create("second")
            faults.delete("second")
        running.sink.wait_for("replace", "ADDED first", "ADDED second", "DELETED second")
    assert len(faults.requests(WATCH)) == 1


def test_events_that_are_told_again_are_not_taken_twice(faults: FaultBench) -> None:
    with faults.reflector() as running:
        is_watching(faults, running)
        faults.delete("first")
        running.sink.wait_for_last("DELETED first")
        faults.fault(Kind.REPLAY, WATCH).wait_for_hits()
        faults.create("second")
        running.sink.wait_for("replace", "ADDED first", "DELETED first", "ADDED second")


def test_a_watch_that_begins_at_an_old_version_tells_nothing_twice(faults: FaultBench) -> None:
    with faults.reflector() as running:
        is_watching(faults, running)
        faults.change("first", "2")
        running.sink.wait_for_last("MODIFIED first")
        old = faults.fault(Kind.OLD_VERSION, WATCH)
        faults.fault(Kind.CLOSE, WATCH)
        old.wait_for_hits()
        faults.create("second")
        running.sink.wait_for("replace", "ADDED first", "MODIFIED first", "ADDED second")
    assert running.clock.waits == []


def test_a_list_that_is_older_than_what_was_seen_is_not_believed_at_once(faults: FaultBench) -> None:
    with faults.reflector() as running:
        is_watching(faults, running)
        faults.fault(Kind.OLD_LIST, LIST)
        faults.fault(Kind.ERROR, WATCH, code=410, reason="Expired")
        running.sink.wait_for("replace", "ADDED first", "replace first")


@pytest.mark.parametrize("verb", [LIST, WATCH], ids=str)
def test_an_expired_token_is_read_again_without_an_error(
    faults: FaultBench, verb: Verb, fault_account: Account, fault_kubeconfig: Path
) -> None:
    expired = faults.transport.session.authorization().removeprefix("Bearer ")
    (fault_kubeconfig.parent / "token").write_text(fault_account.token())
    faults.fault(Kind.STATUS, verb, code=401, reason="Unauthorized", token=expired, times=0)
    with faults.reflector() as running:
        running.sink.wait_for("replace")
        faults.create("first")
        running.sink.wait_for("replace", "ADDED first")
    assert running.clock.waits == []
    assert [request.token == expired for request in faults.requests(LIST)] == (
        [True, False] if verb is LIST else [True]
    )


@pytest.mark.parametrize("verb", [Verb.CONNECT, LIST, WATCH], ids=str)
def test_it_stops_at_once_while_the_server_does_not_answer(faults: FaultBench, verb: Verb) -> None:
    path = "" if verb is Verb.CONNECT else faults.path
    with faults.fault(Kind.HANG, verb, path=path) as held, faults.reflector() as running:
        held.wait_for_hits()
        assert running.end() < STOP_SECONDS


def test_it_stops_at_once_in_an_idle_watch_and_in_the_backoff(faults: FaultBench) -> None:
    with faults.reflector() as running:
        is_watching(faults, running)
        assert running.end() < STOP_SECONDS
    faults.fault(Kind.STATUS, LIST, code=500, times=0)
    with faults.reflector() as running:
        faults.wait_for_requests(2, LIST)
        assert running.end() < STOP_SECONDS


def test_a_streamed_list_goes_on_as_the_watch_on_the_same_connection(faults: FaultBench) -> None:
    faults.create("first")
    with faults.reflector(stream_lists=True) as running:
        running.sink.wait_for("replace first")
        faults.create("second")
        running.sink.wait_for("replace first", "ADDED second")
    assert len(faults.requests(LIST, WATCH)) == 1


@pytest.mark.parametrize("code", [400, 422])
def test_a_server_that_refuses_to_stream_is_read_in_pages_at_once(faults: FaultBench, code: int) -> None:
    faults.create("first")
    faults.fault(Kind.STATUS, WATCH, path="sendInitialEvents", code=code)
    with faults.reflector(stream_lists=True) as running:
        running.sink.wait_for("replace first")
        faults.create("second")
        running.sink.wait_for("replace first", "ADDED second")
    assert [request.verb for request in faults.requests(LIST, WATCH)] == [WATCH, LIST, WATCH]
    assert running.clock.waits == []


@pytest.mark.parametrize("kind", [Kind.CUT, Kind.CLOSE, Kind.TEAR, Kind.TRUNCATE, Kind.GARBAGE], ids=str)
def test_a_streamed_list_that_breaks_is_as_if_it_had_not_begun(faults: FaultBench, kind: Kind) -> None:
    for name in ("a", "b"):
        faults.create(name)
    faults.fault(kind, WATCH, after_lines=1)
    with faults.reflector(stream_lists=True) as running:
        running.sink.wait_for("replace a b")
    assert running.clock.waits == [LIST_AGAIN_DELAY]


def test_a_streamed_list_again_is_not_older_than_what_was_seen(faults: FaultBench) -> None:
    with faults.reflector(stream_lists=True) as running:
        running.sink.wait_for("replace")
        seen = faults.create("first")
        running.sink.wait_for_last("ADDED first")
        faults.fault(Kind.ERROR, WATCH, code=410, reason="Expired")
        running.sink.wait_for("replace", "ADDED first", "replace first")
    assert versions(faults.requests(WATCH)) == ["", seen]
