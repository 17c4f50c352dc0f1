"""How the restic suite counts."""

from __future__ import annotations

import pytest

from hack.bench_figures import in_turn
from hack.bench_restic_requests import writes_of

LINE = (
    'apiserver_request_total{{code="200",group="",resource="{resource}",scope="resource",verb="{verb}",version="v1"}} 3'
)


@pytest.mark.parametrize(
    ("resource", "verb", "counted"),
    [
        pytest.param("podvolumebackups", "POST", 3, id="a creation"),
        pytest.param("podvolumebackups", "PATCH", 3, id="a status"),
        pytest.param("events", "POST", 3, id="an event is a write too"),
        pytest.param("podvolumebackups", "LIST", 0, id="a list"),
        pytest.param("podvolumebackups", "WATCH", 0, id="a watch"),
        pytest.param("leases", "PUT", 0, id="a lease comes with time"),
    ],
)
def test_only_writes_that_volumes_cause_are_counted(resource: str, verb: str, counted: int) -> None:
    other = 'apiserver_request_duration_seconds_count{resource="pods",verb="POST"} 7'
    assert writes_of("\n".join((other, LINE.format(resource=resource, verb=verb)))) == counted


def test_every_round_begins_with_its_preparation_which_is_not_measured() -> None:
    calls: list[str] = []

    def seconds(name: str) -> float:
        calls.append(name)
        return 1.0

    in_turn(lambda: seconds("a"), lambda: seconds("b"), runs=2, before=lambda: calls.append("before"))
    assert calls == ["before", "a", "b", "before", "a", "b", "before", "b", "a"]
