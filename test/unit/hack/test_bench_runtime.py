from __future__ import annotations

import json

import pytest

from hack.bench_figures import Samples, limit_row, row, table, verdict
from hack.bench_runtime import EVENTS, events_per_second
from hack.bench_runtime_idle import Requests
from hack.bench_runtime_objects import LAST, STAMP, Template, kind_of
from hack.bench_runtime_replay import LIST_VERSION, Recording, batches
from hack.bench_runtime_runs import Run, Runs, measured
from hack.bench_runtime_suite import RUNTIME
from pkg.apis.core import Pod
from pkg.apis.volumes import PodVolumeBackup
from pkg.informers.decode import Bookmark, Decoder, EventType, ObjectEvent
from pkg.kube.pages import decode_page
from pkg.testing.processes import HarnessError


@pytest.mark.parametrize(
    ("value", "expected"), [(2.9, "under its bound"), (3.0, "ok"), (9.0, "ok")], ids=["below", "the bound", "above"]
)
def test_of_a_rate_more_is_better(value: float, expected: str) -> None:
    samples = Samples(values=[value], references=[1.0])
    assert verdict(row("runtime", "it", samples, reference="other", bound=3.0, at_least=True)) == expected


@pytest.mark.parametrize(
    ("value", "at_least", "expected"),
    [
        pytest.param(0.3, False, "ok", id="the promise itself is good"),
        pytest.param(0.4, False, "over its bound", id="slower than promised"),
        pytest.param(0.4, True, "ok", id="more than promised"),
        pytest.param(0.2, True, "under its bound", id="less than promised"),
    ],
)
def test_a_figure_is_held_to_what_was_promised(value: float, at_least: bool, expected: str) -> None:
    samples = Samples(values=[value], references=[7.25])
    one = limit_row("runtime", "it", samples, limit=0.3, unit="ms", beside="other", at_least=at_least)
    assert verdict(one) == expected
    assert "other 7.250 ms" in table([one]), "what was measured beside it is told"


def test_a_promise_without_a_measurement_is_not_kept() -> None:
    assert verdict(limit_row("runtime", "it", Samples(values=(), references=()), limit=1.0)) == "not measured"


@pytest.mark.parametrize(("plural", "kilobytes"), [("pods", 8.0), ("widgets", 1.9)])
def test_the_objects_have_the_size_that_is_told(plural: str, kilobytes: float) -> None:
    size = len(Template(kind_of(plural), in_list=False).render(1, 1)) / 1000
    assert size == pytest.approx(kilobytes, rel=0.04)


def test_what_is_replayed_decodes_as_what_it_stands_for() -> None:
    pod = Decoder(Pod).item(Template(kind_of("pods"), in_list=True).render(7, 5, stamp="12"))
    assert isinstance(pod, Pod)
    assert (pod.metadata.key, pod.spec.node_name, pod.metadata.annotation(STAMP)) == (
        "namespace-7/object-7",
        "node-7",
        "12",
    )
    captured = Decoder(PodVolumeBackup).item(Template(kind_of("podvolumebackups"), in_list=True).render(2499, 5))
    assert isinstance(captured, PodVolumeBackup)
    assert captured.metadata.namespace == "namespace-2499"


@pytest.mark.parametrize("limit", ["2", "5", "500", ""])
def test_pages_hold_every_object_once(limit: str) -> None:
    recording, names, token = Recording("pods", 5, 1), [], ""
    while True:
        page = decode_page(recording.page({"limit": limit, "continue": token}, 0))
        names += [json.loads(bytes(raw))["metadata"]["name"] for raw in page.items]
        assert page.resource_version == str(LIST_VERSION)
        if not (token := page.continue_token):
            break
    assert names == [f"object-{number}" for number in range(5)]


def test_a_selector_leaves_an_agents_part() -> None:
    page = decode_page(Recording("podvolumebackups", 5, 1).page({"labelSelector": "node=a"}, 2))
    assert len(page.items) == 2


def test_the_last_event_is_of_an_object_of_its_own() -> None:
    recording, decoder = Recording("pods", 2, 3), Decoder(Pod)
    events = [decoder.event(recording.line(number, 3)) for number in range(3)]
    assert all(isinstance(one, ObjectEvent) for one in events)
    found = [
        (one.type, one.object.metadata.name)
        for one in events
        if isinstance(one, ObjectEvent) and isinstance(one.object, Pod)
    ]
    assert found == [(EventType.MODIFIED, "object-0"), (EventType.MODIFIED, "object-1"), (EventType.ADDED, LAST)]


def test_a_streamed_list_ends_with_the_bookmark_that_says_so() -> None:
    last = Recording("pods", 2, 1).initial[-1].split(b"\r\n")[1]
    assert Decoder(Pod).event(last.strip()) == Bookmark(resource_version=str(LIST_VERSION), initial_end=True)


def test_each_event_is_a_chunk_of_its_own() -> None:
    assert batches(iter([b"a\n", b"bb\n"])) == [b"2\r\na\n\r\n3\r\nbb\n\r\n"]


def test_a_run_that_lost_an_event_has_no_rate() -> None:
    assert events_per_second(Run(figures={"updates": EVENTS - 1, "events_seconds": 2.0})) == EVENTS / 2
    with pytest.raises(HarnessError, match="updates came"):
        events_per_second(Run(figures={"updates": EVENTS - 2, "events_seconds": 2.0}))


@pytest.mark.parametrize(("percent", "expected"), [(50, 51.0), (99, 100.0), (100, 100.0)])
def test_a_percentile_is_one_of_the_numbers(percent: int, expected: float) -> None:
    numbers = [float(number) for number in range(100, 0, -1)]
    assert Run(figures={"latency_ms": numbers}).percentile("latency_ms", percent) == expected


def test_the_worst_second_is_any_second() -> None:
    requests = Requests(times=[0.0, 0.9, 1.1, 1.2, 1.85, 3.0])
    assert requests.worst_second == 4


def test_only_what_comes_after_two_minutes_counts_as_settled() -> None:
    assert Requests(times=[0.0, 60.0, 119.0, 121.0, 150.0, 179.0, 185.0]).settled_per_second == 3 / 60


def test_what_cannot_be_measured_is_told_and_empty(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> Runs:
        raise HarnessError("no Go here")

    assert measured("pods", fail, Runs()) == Runs()
    assert "pods: not measured: no Go here" in capsys.readouterr().err


def test_every_row_of_the_suite_is_one_function() -> None:
    assert len(RUNTIME) == len(set(RUNTIME)) == 17
