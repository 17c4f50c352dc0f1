"""A list as the beginning of a watch: what is asked for, what is shown when, and each way in which it fails."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from structlog.testing import capture_logs

from pkg.apis.meta import Json, Object
from pkg.informers.decode import Decoder, ObjectEvent, Undecodable, key_of
from pkg.informers.listing import Selection
from pkg.informers.reflector import Reflector
from pkg.kube import refs
from pkg.kube.client import Client
from pkg.kube.errors import (
    BadRequestError,
    ExpiredError,
    ForbiddenError,
    InvalidError,
    KubeError,
    NotFoundError,
    ServerError,
    ThrottledError,
    TransportError,
    status_error,
)
from pkg.kube.stop import StopToken
from pkg.testing.fakeclock import FakeClock
from pkg.testing.scriptedapi import ScriptedApi, Step, an_object, event

PODS = Selection(ref=refs.PODS)


class RecordingSink:
    def __init__(self) -> None:
        self.seen: list[str] = []

    def replace(self, items: Sequence[Object | Undecodable]) -> None:
        self.seen.append("replace " + " ".join(sorted(key_of(item) for item in items)))

    def apply(self, event: ObjectEvent[Object]) -> None:
        self.seen.append(f"{event.type} {key_of(event.object)}")

    def reached(self, version: str) -> None:
        self.seen.append(f"at {version}")


class Bench:
    """A reflector in front of a scripted server, run in this thread with a clock that needs no time."""

    def __init__(self) -> None:
        self.stop = StopToken()
        self.clock = FakeClock(automatic=True)
        self.api = ScriptedApi(self.stop)
        self.sink = RecordingSink()

    def run(self, selection: Selection = PODS) -> Reflector[Object]:
        client = Client(self.api)
        reflector = Reflector(client, selection, Decoder(Object), self.sink, clock=self.clock, random=lambda: 0.0)
        reflector.run(self.stop)
        return reflector

    def passes(self, seconds: float = 60.0) -> None:
        self.clock.advance(seconds)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def added(name: str, version: str = "5") -> bytes:
    return event("ADDED", an_object(name, version))


def bookmark(version: str, **annotations: str) -> bytes:
    metadata: Json = {"resourceVersion": version, "annotations": {**annotations}}
    return event("BOOKMARK", {"metadata": metadata})


def whole(version: str) -> bytes:
    return bookmark(version, **{"k8s.io/initial-events-end": "true"})


def too_large() -> KubeError:
    return status_error("later", code=504, reason="Timeout", causes=(("ResourceVersionTooLarge", "", ""),))


def test_the_list_and_the_watch_are_one_request(bench: Bench) -> None:
    bench.api.watch(added("a"), added("b"), whole("10"), event("DELETED", an_object("a", "11")), bench.passes)
    bench.run()
    assert bench.api.verbs() == "stream"
    assert bench.sink.seen == ["replace ns/a ns/b", "at 10", "DELETED ns/a"]
    query = bench.api.asked[0].query
    assert query["sendInitialEvents"] == query["allowWatchBookmarks"] == query["watch"] == "true"
    assert query["resourceVersionMatch"] == "NotOlderThan"
    assert query["resourceVersion"] == ""


def test_the_watch_after_it_goes_on_from_its_last_version(bench: Bench) -> None:
    bench.api.watch(added("a"), whole("10"), added("b", "11"), bench.passes)
    bench.api.watch(bench.passes)
    bench.run()
    assert bench.api.verbs() == "stream watch"
    assert bench.api.versions("watch") == ["11"]
    assert bench.clock.waits == []


def test_objects_of_the_list_do_not_move_the_version_because_they_come_in_no_order(bench: Bench) -> None:
    bench.api.watch(added("a", "900"), whole("10"), bench.passes)
    reflector = bench.run()
    assert reflector.last_version == "10"


def test_a_bookmark_before_the_end_does_not_end_the_list(bench: Bench) -> None:
    bench.api.watch(added("a"), bookmark("7"), added("b"), whole("10"), bench.passes)
    bench.run()
    assert bench.sink.seen == ["replace ns/a ns/b", "at 10"]


def test_objects_that_change_while_they_are_listed_are_shown_once_and_as_they_are(bench: Bench) -> None:
    bench.api.watch(
        added("a"),
        added("b"),
        event("MODIFIED", an_object("a", "8")),
        event("DELETED", an_object("b", "9")),
        whole("10"),
        bench.passes,
    )
    bench.run()
    assert bench.sink.seen == ["replace ns/a", "at 10"]


@pytest.mark.parametrize(
    "end",
    [
        pytest.param([], id="a clean end"),
        pytest.param([TransportError("reset")], id="a reset"),
        pytest.param([b"<html>502</html>\n"], id="garbage"),
        pytest.param([b"x" * (33 << 20)], id="a line beyond 32 MiB"),
        pytest.param([event("ERROR", {"code": 500, "reason": "InternalError"})], id="a 500 event"),
    ],
)
def test_a_stream_that_ends_before_it_is_whole_shows_nothing_and_is_tried_again(bench: Bench, end: list[Step]) -> None:
    bench.api.watch(added("gone"), *end)
    bench.api.watch(added("a"), whole("10"), bench.passes)
    bench.run()
    assert bench.api.verbs() == "stream stream"
    assert bench.sink.seen == ["replace ns/a", "at 10"]
    assert bench.clock.waits == [0.8]


def test_streams_that_are_never_whole_are_given_up_for_pages(bench: Bench) -> None:
    for _ in range(2):
        bench.api.watch(added("a"))
    bench.api.list(an_object("a"))
    bench.api.watch(b"garbage\n")
    bench.api.list(an_object("a"))
    bench.api.watch(bench.passes)
    bench.run()
    assert bench.api.verbs() == "stream stream list watch list watch"


@pytest.mark.parametrize(
    "refusal",
    [
        pytest.param(InvalidError("sendInitialEvents: Forbidden", code=422), id="422, the gate is off"),
        pytest.param(BadRequestError("unknown parameter", code=400), id="400"),
        pytest.param(ForbiddenError("no verb watch", code=403), id="403"),
        pytest.param(status_error("not here", code=405), id="405"),
    ],
)
def test_a_server_that_refuses_to_stream_is_read_in_pages_at_once(bench: Bench, refusal: KubeError) -> None:
    bench.api.watch(error=refusal)
    bench.api.list(an_object("a"), version="10")
    bench.api.watch(bench.passes)
    bench.run()
    assert bench.api.verbs() == "stream list watch"
    assert bench.api.asked[1].query == {"limit": "500"}
    assert bench.clock.waits == []


def test_the_next_session_asks_again_whether_it_streams(bench: Bench) -> None:
    bench.api.watch(error=InvalidError("no", code=422))
    bench.api.list()
    bench.api.watch(b"garbage\n")
    bench.api.watch(added("a"), whole("20"), bench.passes)
    bench.run()
    assert bench.api.verbs() == "stream list watch stream"


def test_a_client_that_may_nothing_asks_once_each_time(bench: Bench) -> None:
    forbidden = ForbiddenError("no", code=403)
    bench.api.watch(error=forbidden)
    for _ in range(5):
        bench.api.list(error=forbidden)
    bench.run()
    assert bench.api.verbs() == "stream list list list list list"


@pytest.mark.parametrize(
    "refusal",
    [
        pytest.param([ExpiredError("too old", code=410)], id="410 as the answer"),
        pytest.param([event("ERROR", {"code": 410, "reason": "Expired"})], id="410 as an event"),
        pytest.param([too_large()], id="too large as the answer"),
    ],
)
def test_a_version_that_the_server_does_not_have_is_forgotten_at_once(bench: Bench, refusal: list[Step]) -> None:
    bench.api.watch(added("a"), whole("10"), b"garbage\n")
    if isinstance(refusal[0], Exception):
        bench.api.watch(error=refusal[0])
    else:
        bench.api.watch(*refusal)
    bench.api.watch(added("b"), whole("20"), bench.passes)
    bench.run()
    assert bench.api.versions("stream") == ["", "10", ""]
    assert bench.clock.waits == [0.8]
    assert bench.sink.seen[-2:] == ["replace ns/b", "at 20"]


def test_a_server_that_forgets_even_the_newest_version_is_not_asked_in_a_loop(bench: Bench) -> None:
    for _ in range(3):
        bench.api.watch(error=ExpiredError("too old", code=410))
    bench.run()
    assert bench.clock.waits[:3] == [0.8, 1.6, 3.2]


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        pytest.param(ThrottledError("later", code=429, retry_after_seconds=17.0), 17.0, id="429 with Retry-After"),
        pytest.param(ServerError("ill", code=503), 0.8, id="503"),
        pytest.param(TransportError("refused"), 0.8, id="nobody there"),
    ],
)
def test_a_server_that_is_ill_is_asked_once_and_later(bench: Bench, error: KubeError, seconds: float) -> None:
    bench.api.watch(error=error)
    bench.api.watch(added("a"), whole("10"), bench.passes)
    bench.run()
    assert bench.api.verbs() == "stream stream"
    assert bench.clock.waits == [seconds]


def test_a_narrow_list_is_not_streamed(bench: Bench) -> None:
    bench.api.list()
    bench.api.watch(bench.passes)
    bench.run(Selection(ref=refs.PODS, field_selector="spec.nodeName=n1"))
    assert bench.api.verbs() == "list watch"


def test_an_object_of_the_stream_that_does_not_decode_does_not_stop_the_others(bench: Bench) -> None:
    bench.api.watch(event("ADDED", an_object("bad", kind=5)), added("a"), whole("10"), bench.passes)
    bench.run()
    assert bench.sink.seen == ["replace ns/a ns/bad", "at 10"]


def test_a_kind_whose_definition_is_missing_is_waited_for_and_said_once(bench: Bench) -> None:
    for _ in range(4):
        bench.api.watch(error=NotFoundError("the server could not find the requested resource", code=404))
    bench.api.watch(whole("10"), bench.passes)
    with capture_logs() as logs:
        bench.run()
    said = [(entry["log_level"], entry["event"], entry.get("path")) for entry in logs if "kind" in entry["event"]]
    assert said == [
        ("warning", "Waiting for a kind that is not served yet", "/api/v1/pods"),
        ("info", "The kind is served now", "/api/v1/pods"),
    ]
    assert bench.api.verbs() == "stream stream stream stream stream"
    assert bench.clock.waits == [0.8, 1.6, 3.2, 6.4]


def test_metadata_alone_is_asked_for_in_stream_list_and_watch(bench: Bench) -> None:
    bench.api.watch(error=InvalidError("no", code=422))
    bench.api.list(an_object("a"))
    bench.api.watch(bench.passes)
    bench.run(Selection(ref=refs.SECRETS, metadata_only=True))
    kinds = [asked.accept.split(";")[1] for asked in bench.api.asked]
    assert kinds == ["as=PartialObjectMetadata", "as=PartialObjectMetadataList", "as=PartialObjectMetadata"]
    assert all(asked.accept.endswith(",application/json") for asked in bench.api.asked)


def test_whole_objects_are_asked_for_as_plain_json(bench: Bench) -> None:
    bench.api.watch(whole("10"), bench.passes)
    bench.run()
    assert bench.api.asked[0].accept == "application/json"
