"""Each way in which a watch ends, and what the reflector does then."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest

from pkg.apis.meta import Json, Object
from pkg.informers.decode import Decoder, ObjectEvent, Undecodable, key_of
from pkg.informers.listing import Selection
from pkg.informers.reflector import Reflector
from pkg.kube import refs
from pkg.kube.client import Client
from pkg.kube.errors import ExpiredError, ForbiddenError, ServerError, ThrottledError, TransportError
from pkg.kube.stop import StopToken
from pkg.testing.fakeclock import FakeClock
from pkg.testing.scriptedapi import ScriptedApi, an_object, event

PODS = Selection(ref=refs.PODS)


class RecordingSink:
    def __init__(self) -> None:
        self.seen: list[str] = []

    def replace(self, items: Sequence[Object | Undecodable]) -> None:
        self.seen.append("replace " + " ".join(sorted(key_of(item) for item in items)))

    def apply(self, event: ObjectEvent[Object]) -> None:
        self.seen.append(f"{event.type} {key_of(event.object)}")

    def reached(self, version: str) -> None:
        """What is seen here says nothing of versions."""


class Bench:
    """A reflector in front of a scripted server, run in this thread with a clock that needs no time."""

    def __init__(self) -> None:
        self.stop = StopToken()
        self.clock = FakeClock(automatic=True)
        self.api = ScriptedApi(self.stop)
        self.sink = RecordingSink()

    def run(self, selection: Selection = PODS, jitter: float = 0.0) -> Reflector[Object]:
        reflector = Reflector(
            Client(self.api),
            selection,
            Decoder(Object),
            self.sink,
            clock=self.clock,
            random=lambda: jitter,
            stream_lists=False,
        )
        reflector.run(self.stop)
        return reflector

    def passes(self, seconds: float = 60.0) -> None:
        self.clock.advance(seconds)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def status(code: int, reason: str) -> Json:
    return {"kind": "Status", "code": code, "reason": reason, "message": reason}


def test_a_wide_list_is_read_from_etcd_in_pages_of_500_and_stored_once(bench: Bench) -> None:
    bench.api.list(an_object("a"), version="7", continue_token="more")
    bench.api.list(an_object("b"), version="7")
    bench.run()
    assert bench.sink.seen == ["replace ns/a ns/b"]
    assert [asked.query for asked in bench.api.asked[:2]] == [{"limit": "500"}, {"limit": "500", "continue": "more"}]


@pytest.mark.parametrize(
    "narrow",
    [
        pytest.param(Selection(ref=refs.PODS, field_selector="spec.nodeName=n1"), id="pods of one node"),
        pytest.param(Selection(ref=refs.NODES, field_selector="metadata.name=n1"), id="one object by name"),
        pytest.param(
            Selection(ref=refs.POD_VOLUME_BACKUPS, label_selector="ark.heptio.com/node=n1"),
            id="our objects of one node",
        ),
    ],
)
def test_a_narrow_list_is_one_body_from_the_watch_cache(bench: Bench, narrow: Selection) -> None:
    bench.api.list(an_object("a"))
    bench.run(narrow)
    assert "limit" not in bench.api.asked[0].query
    assert bench.api.asked[0].query["resourceVersion"] == "0"


@pytest.mark.parametrize("selector", ["spec.nodeName!=n1", "status.phase=Running", ""])
def test_a_selector_that_may_match_many_is_wide(selector: str) -> None:
    assert not Selection(ref=refs.PODS, field_selector=selector).is_narrow


def test_a_narrow_relist_does_not_fall_behind_what_was_seen_and_reads_etcd_once_when_that_is_refused(
    bench: Bench,
) -> None:
    narrow = Selection(ref=refs.PODS, field_selector="spec.nodeName=n1")
    bench.api.list(version="10")
    bench.api.watch(b"garbage\n")
    bench.api.list(error=ExpiredError("too old", code=410))
    bench.api.list(version="30")
    bench.api.watch(b"garbage\n")
    bench.api.list(version="40")
    bench.run(narrow)
    assert bench.api.versions("list") == ["0", "10", "", "30"]


def test_pages_that_expire_while_they_are_read_are_read_again_in_one_body(bench: Bench) -> None:
    bench.api.list(an_object("a"), continue_token="more")
    bench.api.list(error=ExpiredError("too old", code=410))
    bench.api.list(an_object("a"), an_object("b"), version="20")
    bench.run()
    assert bench.sink.seen == ["replace ns/a ns/b"]
    assert "limit" not in bench.api.asked[2].query
    assert bench.clock.waits == []


def test_the_watch_starts_at_the_lists_version_with_bookmarks(bench: Bench) -> None:
    bench.api.list(version="10")
    bench.api.watch(bench.passes)
    bench.run()
    query = bench.api.asked[1].query
    assert query["resourceVersion"] == "10"
    assert query["allowWatchBookmarks"] == "true"


@pytest.mark.parametrize(("drawn", "seconds"), [(0.0, "300"), (0.5, "450"), (0.999, "599")])
def test_a_watch_is_asked_for_5_to_10_minutes(bench: Bench, drawn: float, seconds: str) -> None:
    bench.api.list()
    bench.api.watch(bench.passes)
    bench.run(jitter=drawn)
    assert bench.api.asked[1].query["timeoutSeconds"] == seconds


def test_a_clean_close_watches_again_at_once_from_the_last_version_without_a_list(bench: Bench) -> None:
    bench.api.list(version="10")
    bench.api.watch(event("ADDED", an_object("a", "11")), bench.passes)
    bench.api.watch(event("DELETED", an_object("a", "12")), bench.passes)
    bench.run()
    assert bench.api.verbs() == "list watch watch"
    assert bench.api.versions("watch") == ["10", "11"]
    assert bench.sink.seen == ["replace ", "ADDED ns/a", "DELETED ns/a"]
    assert bench.clock.waits == []


@pytest.mark.parametrize(
    "cut",
    [
        pytest.param([TransportError("reset")], id="a reset"),
        pytest.param([b'{"type":"ADDED","obj', TransportError("incomplete read")], id="a cut in the middle of a line"),
        pytest.param([b'{"type":"ADDED","obj'], id="an end in the middle of a line"),
    ],
)
def test_a_cut_watch_goes_on_from_the_last_version(bench: Bench, cut: list[bytes | Exception]) -> None:
    bench.api.list(version="10")
    bench.api.watch(event("ADDED", an_object("a", "11")), *cut)
    bench.api.watch(event("ADDED", an_object("b", "12")), bench.passes)
    bench.run()
    assert bench.api.versions("watch") == ["10", "11"]
    assert bench.sink.seen == ["replace ", "ADDED ns/a", "ADDED ns/b"]


def test_a_bookmark_moves_the_version_and_nothing_else(bench: Bench) -> None:
    bench.api.list(version="10")
    bench.api.watch(event("BOOKMARK", {"metadata": {"resourceVersion": "99"}}), bench.passes)
    bench.api.watch(bench.passes)
    bench.run()
    assert bench.api.versions("watch") == ["10", "99"]
    assert bench.sink.seen == ["replace "]


def test_a_list_without_a_version_is_not_watched_from(bench: Bench) -> None:
    bench.api.list(an_object("a"), version="")
    bench.api.list(an_object("a"), version="10")
    bench.run()
    assert bench.api.verbs() == "list list"
    assert bench.sink.seen == ["replace ns/a"]


def test_a_watch_that_is_closed_at_once_without_an_event_backs_off_and_lists(bench: Bench) -> None:
    for _ in range(3):
        bench.api.list()
        bench.api.watch()
    bench.run()
    assert bench.api.verbs() == "list watch " * 2 + "list watch"
    assert bench.clock.waits[:3] == [0.8, 1.6, 3.2]


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(event("ERROR", status(410, "Expired")), id="410 Expired"),
        pytest.param(event("ERROR", status(410, "Gone")), id="410 Gone"),
        pytest.param(event("ERROR", status(500, "InternalError")), id="500"),
        pytest.param(b"<html>502</html>\n", id="garbage"),
        pytest.param(b'{"type":"NEWTYPE","object":{}}\n', id="an event of an unknown type"),
        pytest.param(b'{"type":"ADDED","object":{"spec":1}}\n', id="an object without metadata"),
    ],
)
def test_what_may_have_lost_an_event_backs_off_and_lists(bench: Bench, end: bytes) -> None:
    bench.api.list(version="10")
    bench.api.watch(event("ADDED", an_object("a", "11")), end)
    bench.api.list(an_object("b", "20"), version="20")
    bench.run()
    assert bench.api.verbs() == "list watch list"
    assert bench.clock.waits[0] == 0.8
    assert bench.sink.seen[-1] == "replace ns/b"


@pytest.mark.parametrize(
    "refusal",
    [
        pytest.param(ThrottledError("later", code=429), id="429"),
        pytest.param(TransportError("connection refused"), id="nobody there"),
    ],
)
def test_a_watch_that_cannot_be_opened_for_now_is_opened_later_without_a_list(bench: Bench, refusal: Exception) -> None:
    bench.api.list(version="10")
    bench.api.watch(error=refusal)
    bench.api.watch(event("ADDED", an_object("a", "11")), bench.passes)
    bench.run()
    assert bench.api.verbs() == "list watch watch"
    assert bench.api.versions("watch") == ["10", "10"]
    assert bench.clock.waits[0] == 0.8


def test_a_429_event_waits_and_watches_again(bench: Bench) -> None:
    bench.api.list(version="10")
    bench.api.watch(event("ERROR", status(429, "TooManyRequests")))
    bench.api.watch(bench.passes)
    bench.run()
    assert bench.api.verbs() == "list watch watch"


@pytest.mark.parametrize("verb", ["list", "watch"])
def test_a_retry_after_that_is_longer_than_the_own_delay_is_honoured(bench: Bench, verb: str) -> None:
    throttled = ThrottledError("later", code=429, retry_after_seconds=17.0)
    if verb == "watch":
        bench.api.list()
        bench.api.watch(error=throttled)
        bench.api.watch(bench.passes)
    else:
        bench.api.list(error=throttled)
        bench.api.list()
    bench.run()
    assert bench.clock.waits[0] == 17.0


@pytest.mark.parametrize("refusal", [ForbiddenError("no", code=403), ServerError("ill", code=503)])
def test_a_watch_that_is_refused_for_another_reason_backs_off_and_lists(bench: Bench, refusal: Exception) -> None:
    bench.api.list()
    bench.api.watch(error=refusal)
    bench.api.list()
    bench.run()
    assert bench.api.verbs() == "list watch list"


def test_lists_that_fail_double_the_delay_up_to_30_seconds(bench: Bench) -> None:
    for _ in range(8):
        bench.api.list(error=ForbiddenError("no", code=403))
    bench.run()
    assert bench.clock.waits[:8] == [0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0, 30.0]


def test_delays_are_stretched_by_chance(bench: Bench) -> None:
    for _ in range(3):
        bench.api.list(error=ForbiddenError("no", code=403))
    bench.run(jitter=0.5)
    assert bench.clock.waits[:3] == pytest.approx([1.2, 2.4, 4.8])


def test_delays_start_over_after_two_good_minutes(bench: Bench) -> None:
    for _ in range(4):
        bench.api.list(error=ForbiddenError("no", code=403))
    bench.api.list()
    bench.api.watch(lambda: bench.passes(121.0), b"garbage\n")
    bench.run()
    assert bench.clock.waits[4] == 0.8


def test_a_server_that_does_not_answer_for_ten_minutes_gets_a_request_each_half_minute(bench: Bench) -> None:
    for _ in range(100):
        bench.api.list(error=TransportError("refused"))
    bench.run(jitter=0.5)
    in_ten_minutes = sum(1 for at in itertools.accumulate(bench.clock.waits) if at <= 600)
    assert in_ten_minutes <= 18


def test_a_defect_in_the_sink_does_not_end_the_mirror(bench: Bench) -> None:
    bench.api.list(an_object("a"))
    bench.api.list(an_object("a"))
    broken = iter([RuntimeError("index function")])
    replace = bench.sink.replace

    def fails_once(items: Sequence[Object | Undecodable]) -> None:
        for error in broken:
            raise error
        replace(items)

    bench.sink.replace = fails_once  # type: ignore[method-assign] # the sink's defect is the case
    bench.run()
    assert bench.sink.seen == ["replace ns/a"]
    assert bench.clock.waits[0] == 0.8


def test_an_object_that_does_not_decode_does_not_stop_the_others(bench: Bench) -> None:
    bad = an_object("bad", "11", kind=5)
    bench.api.list(an_object("a"), an_object("bad", kind=5), version="10")
    bench.api.watch(event("MODIFIED", bad), event("ADDED", an_object("b", "12")), bench.passes)
    bench.api.watch(bench.passes)
    bench.run()
    assert bench.sink.seen == ["replace ns/a ns/bad", "MODIFIED ns/bad", "ADDED ns/b"]
    assert bench.api.versions("watch") == ["10", "12"]


def test_an_event_that_is_told_again_is_dropped_however_long_the_numbers(bench: Bench) -> None:
    bench.api.list(an_object("a", "98"), version="99")
    bench.api.watch(
        event("MODIFIED", an_object("a", "100")),
        event("MODIFIED", an_object("a", "98")),
        event("MODIFIED", an_object("a", "100")),
        event("DELETED", an_object("b", "99")),
        event("MODIFIED", an_object("a", "101")),
    )
    reflector = bench.run()
    assert bench.sink.seen == ["replace ns/a", "MODIFIED ns/a", "MODIFIED ns/a"]
    assert reflector.last_version == "101"


def test_a_bookmark_of_the_past_does_not_move_the_version_back(bench: Bench) -> None:
    bench.api.list(version="10")
    bench.api.watch(event("BOOKMARK", an_object("a", "9")))
    assert bench.run().last_version == "10"


def test_a_list_that_is_older_than_what_was_seen_is_read_again(bench: Bench) -> None:
    bench.api.list(an_object("new"), version="20")
    bench.api.watch(b"garbage\n")
    bench.api.list(an_object("old"), version="19")
    bench.api.list(an_object("newest"), version="21")
    bench.run()
    assert bench.sink.seen == ["replace ns/new", "replace ns/newest"]


def test_a_server_whose_past_was_restored_is_believed_when_it_goes_on_saying_so(bench: Bench) -> None:
    bench.api.list(an_object("new"), version="20")
    bench.api.watch(b"garbage\n")
    for _ in range(4):
        bench.api.list(an_object("old"), version="5")
    bench.api.watch(event("ADDED", an_object("next", "6")))
    bench.run()
    assert bench.sink.seen == ["replace ns/new", "replace ns/old", "ADDED ns/next"]
