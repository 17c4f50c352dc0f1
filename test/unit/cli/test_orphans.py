"""`ark restic orphans` shows the report of the last sweep."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable

import msgspec
import pytest

from pkg.controllers.orphan_report import Orphan, OrphanKind, OrphanReport, OrphanReports
from pkg.testing.fakeapi import FakeApi

Ark = Callable[..., tuple[int, str, str]]
MOMENT = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
ID = "a" * 64
REPORT = OrphanReport(
    at=MOMENT,
    snapshots=1,
    files=1,
    orphans=(
        Orphan(kind=OrphanKind.SNAPSHOT, namespace="shop", id=ID, first_seen=MOMENT),
        Orphan(kind=OrphanKind.FILE, id="b/b.tar.gz", first_seen=MOMENT),
    ),
)


def write(api: FakeApi, report: OrphanReport) -> None:
    OrphanReports(client=api.client, namespace="heptio-ark").write(report)


def test_the_table_says_when_each_one_goes(ark: Ark, api: FakeApi) -> None:
    write(api, REPORT)
    code, out, err = ark("restic", "orphans")
    lines = out.splitlines()
    assert (code, err) == (0, "")
    assert lines[0].split() == ["KIND", "NAMESPACE", "ID/KEY", "FIRST", "SEEN", "REMOVED", "AFTER"]
    assert lines[1].split()[:4] == ["snapshot", "shop", ID, "2026-01-01"]
    assert "2026-01-15" in lines[1]
    assert lines[2].split()[:3] == ["file", "<none>", "b/b.tar.gz"]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        pytest.param({"problem": "a list is damaged"}, "a list is damaged", id="something cannot be read"),
        pytest.param({"held": "deletions are frozen"}, "deletions are frozen", id="deletions are frozen"),
    ],
)
def test_nothing_has_a_date_while(ark: Ark, api: FakeApi, change: dict[str, str], text: str) -> None:
    write(api, msgspec.structs.replace(REPORT, **change))
    code, out, err = ark("restic", "orphans")
    assert code == 0
    assert text in err
    assert "<held>" in out
    assert "2026-01-15" not in out


@pytest.mark.parametrize(
    ("report", "text"),
    [
        pytest.param(None, "the server has not looked for orphans yet\n", id="there is no report"),
        pytest.param(OrphanReport(at=MOMENT), "no orphans at 2026-01-01", id="there are none"),
    ],
)
def test_it_says_when(ark: Ark, api: FakeApi, report: OrphanReport | None, text: str) -> None:
    if report is not None:
        write(api, report)
    code, out, err = ark("restic", "orphans")
    assert (code, out) == (0, "")
    assert err.startswith(text)


def test_what_has_no_room_is_counted(ark: Ark, api: FakeApi) -> None:
    write(api, msgspec.structs.replace(REPORT, unlisted=7))
    assert "and 7 more" in ark("restic", "orphans")[2]


def test_json_is_the_whole_report(ark: Ark, api: FakeApi) -> None:
    write(api, REPORT)
    shown = json.loads(ark("restic", "orphans", "-o", "json")[1])
    assert [one["id"] for one in shown["orphans"]] == [ID, "b/b.tar.gz"]
    assert shown["orphans"][0]["firstSeen"] == "2026-01-01T00:00:00Z"
