from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hack import bench
from hack.bench_cli import environment_with_bytecode, help_row, seconds_of
from hack.bench_figures import Row, Samples, in_turn, row, table, verdict
from hack.bench_watch import PhaseWatch
from pkg.apis.meta import JsonObject
from pkg.kube.refs import POD_VOLUME_BACKUPS
from pkg.testing.fakeapi import FakeApi

NOTHING = Samples(values=(), references=())


def compared(values: list[float], references: list[float], bound: float = 1.5) -> Row:
    return row("cli", "it", Samples(values=values, references=references), reference="bare", bound=bound)


@pytest.mark.parametrize(
    ("values", "references", "expected"),
    [
        pytest.param([1.0, 9.0, 1.4], [1.0, 1.0, 5.0], "ok", id="the medians count, not one slow run"),
        pytest.param([1.5], [1.0], "ok", id="the bound itself is good"),
        pytest.param([1.6], [1.0], "over its bound", id="above it is not"),
        pytest.param([1.0], [], "not measured", id="without its reference a figure says nothing"),
        pytest.param([], [1.0], "not measured", id="without the figure too"),
        pytest.param([1.0], [0.0], "not measured", id="a reference of nothing is none"),
    ],
)
def test_the_verdict_on_a_figure(values: list[float], references: list[float], expected: str) -> None:
    one = compared(values, references)
    assert verdict(one) == expected
    assert one.ok is (expected == "ok")
    assert expected in table([one])


def test_a_row_has_median_and_extremes() -> None:
    one = compared([3.0, 1.0, 2.0], [4.0, 2.0])
    assert (one.value, one.low, one.high, one.reference_value) == (2.0, 1.0, 3.0, 3.0)


def test_value_and_reference_are_measured_in_turn_and_the_first_round_is_thrown_away() -> None:
    calls: list[str] = []

    def side(name: str) -> float:
        calls.append(name)
        return float(len(calls))

    samples = in_turn(lambda: side("value"), lambda: side("reference"), runs=4)
    assert len(samples.values) == len(samples.references) == 4
    pairs = [set(calls[at : at + 2]) for at in range(0, len(calls), 2)]
    assert pairs == [{"value", "reference"}] * 5
    assert 1.0 not in samples.values
    assert calls[2] != calls[4], "who begins changes"


@pytest.fixture
def report(tmp_path: Path) -> Path:
    return tmp_path / "build" / "bench.json"


def test_an_unknown_suite_is_a_usage_error(report: Path) -> None:
    assert bench.main({"SUITE": "moon"}, {}, report) == 64


@pytest.mark.parametrize("asked", [{}, {"SUITE": "all"}, {"SUITE": "cli"}])
def test_the_report_has_a_row_for_every_figure(asked: dict[str, str], report: Path) -> None:
    good = compared([1.0], [1.0])
    assert bench.main(asked, {"cli": (lambda: good, lambda: good)}, report) == 0
    rows = json.loads(report.read_text())
    fields = "suite name unit value low high reference reference_value ratio bound ok"
    assert [sorted(found) for found in rows] == [sorted(fields.split())] * 2


@pytest.mark.parametrize("bad", [compared([9.0], [1.0]), compared([1.0], [])], ids=["over", "not measured"])
def test_one_bad_figure_fails_the_run(bad: Row, report: Path) -> None:
    good = compared([1.0], [1.0])
    assert bench.main({}, {"cli": (lambda: good, lambda: bad)}, report) == 1
    assert [found["ok"] for found in json.loads(report.read_text())] == [True, False]


def test_a_reference_that_cannot_run_leaves_the_figure_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hack.bench_cli.CLICK", "import no_such_module_anywhere")
    one = help_row()
    assert verdict(one) == "not measured"
    assert not one.ok


def test_a_commands_time_is_taken(tmp_path: Path) -> None:
    environment = environment_with_bytecode({"PATH": "/usr/bin", "PYTHONDONTWRITEBYTECODE": "1"}, tmp_path)
    assert "PYTHONDONTWRITEBYTECODE" not in environment
    assert 0 < seconds_of([sys.executable, "-c", ""], environment) < 60


@pytest.fixture
def api() -> Iterator[FakeApi]:
    api = FakeApi()
    yield api
    api.end_watches()


def captured(name: str) -> JsonObject:
    return {"metadata": {"name": name, "namespace": "ark"}}


@pytest.mark.parametrize("end", ["Completed", "Failed"])
def test_the_watch_takes_the_time_from_creation_to_end(api: FakeApi, end: str) -> None:
    with PhaseWatch(api.client, POD_VOLUME_BACKUPS, "ark") as watch:
        started = time.monotonic()
        api.client.create_raw(POD_VOLUME_BACKUPS, "ark", captured("one"))
        for phase in ("InProgress", end):
            patch: JsonObject = {"status": {"phase": phase}}
            api.client.patch_raw(POD_VOLUME_BACKUPS, "ark", "one", patch, subresource="status")
        seconds, phase = watch.seconds_to_end("one", timeout_seconds=10)
        assert phase == end
        assert 0 <= seconds <= time.monotonic() - started


def test_an_object_without_an_end_is_told(api: FakeApi) -> None:
    with PhaseWatch(api.client, POD_VOLUME_BACKUPS, "ark") as watch:
        api.client.create_raw(POD_VOLUME_BACKUPS, "ark", captured("stuck"))
        with pytest.raises(TimeoutError, match="stuck"):
            watch.seconds_to_end("stuck", timeout_seconds=0.1)
