"""What counts as nobody's, and when it may go: every doubt protects."""

from __future__ import annotations

import dataclasses
import datetime

import msgspec
import pytest

from pkg.apis.ark import Backup
from pkg.apis.meta import JsonObject
from pkg.apis.volumes import PodVolumeBackup
from pkg.backup.claim import ClaimDocument
from pkg.controllers.orphan_plan import (
    Directory,
    OrphanFacts,
    OrphanPlan,
    OrphanRules,
    RepositoryFacts,
    plan_orphans,
)
from pkg.controllers.orphan_report import LONGEST_REPORT, Orphan, OrphanKind, OrphanReport
from pkg.objectstore.layout import backup_keys
from pkg.restic.messages import Snapshot

US, THEM, PLACE = "cluster-1", "cluster-2", "here"
NOW = datetime.datetime(2026, 3, 1, tzinfo=datetime.UTC)
DAY = datetime.timedelta(days=1)
LONG_AGO = NOW - 15 * DAY
ID = "a" * 64


def snapshot(identity: str = ID, *, hours: float = 48, **tags: str) -> Snapshot:
    made = {"cluster": US, "ns": "shop", "backup-uid": "b-uid", "pvb-uid": "p-uid"} | {
        name.replace("_", "-"): value for name, value in tags.items()
    }
    moment = (NOW - datetime.timedelta(hours=hours)).isoformat()
    return Snapshot(id=identity, time=moment, tags=tuple(f"{name}={value}" for name, value in made.items()))


def repository(*snapshots: Snapshot, pending: tuple[str, ...] = ()) -> RepositoryFacts:
    return RepositoryFacts(
        name="shop", namespace="shop", repository_id="r1", snapshots=snapshots, pending=frozenset(pending)
    )


def backup(name: str = "b", uid: str = "b-uid", phase: str = "InProgress", **more: object) -> Backup:
    metadata: JsonObject = {"name": name, "namespace": "heptio-ark", "uid": uid}
    if more.get("imported"):
        metadata["annotations"] = {"ark.heptio.com/imported": "true"}
    spec: JsonObject = {"includedNamespaces": msgspec.to_builtins(more.get("namespaces", ["*"]))}
    return msgspec.convert({"metadata": metadata, "spec": spec, "status": {"phase": phase}}, Backup)


def capture(uid: str, phase: str, *, of: str = "", snapshot_id: str = "") -> PodVolumeBackup:
    metadata: JsonObject = {"name": "c", "uid": uid, "labels": {"ark.heptio.com/backup-uid": of}}
    body: JsonObject = {"metadata": metadata, "status": {"phase": phase, "snapshotID": snapshot_id}}
    return msgspec.convert(body, PodVolumeBackup)


def claimed(name: str = "b", uid: str = "b-uid", cluster: str = US, *, without: str = "") -> Directory:
    """A directory of a backup that was not committed."""
    keys = tuple(key for key in backup_keys(name).in_deletion_order[1:] if not without or without not in key)
    return Directory(name=name, keys=keys, claim=ClaimDocument(backup_uid=uid, cluster_uid=cluster, epoch=1))


def seen(*identities: str, since: datetime.datetime = LONG_AGO, place: str = PLACE) -> OrphanReport:
    orphans = tuple(
        Orphan(
            kind=OrphanKind.FILE if "/" in one else OrphanKind.SNAPSHOT,
            namespace="" if "/" in one else "shop",
            id=one,
            first_seen=since,
        )
        for one in identities
    )
    return OrphanReport(place=place, orphans=orphans)


def plan(facts: OrphanFacts, earlier: OrphanReport | None = None, *, held: str = "") -> OrphanPlan:
    return plan_orphans(facts, earlier or OrphanReport(), OrphanRules(now=NOW, cluster_id=US, place=PLACE, held=held))


def due(found: OrphanPlan) -> list[str]:
    ids = [identity for one in found.snapshots for identity in one.ids]
    return ids + [key for one in found.directories for key in one.keys]


def test_a_snapshot_that_nothing_names_is_reported_today_and_due_after_the_grace() -> None:
    facts = OrphanFacts(repositories=[repository(snapshot())])
    first = plan(facts)
    assert [(one.id, one.first_seen) for one in first.report.orphans] == [(ID, NOW)]
    assert due(first) == []
    assert due(plan(facts, seen(ID))) == [ID]


@pytest.mark.parametrize(
    ("found", "facts"),
    [
        pytest.param(snapshot(cluster=THEM), OrphanFacts(), id="another cluster's"),
        pytest.param(snapshot(cluster=""), OrphanFacts(), id="one without a cluster, as 0.9's"),
        pytest.param(snapshot(ns="other"), OrphanFacts(), id="one of another namespace"),
        pytest.param(snapshot(hours=23), OrphanFacts(), id="one that is younger than a day"),
        pytest.param(snapshot(hours=-5), OrphanFacts(), id="one of the future"),
        pytest.param(msgspec.structs.replace(snapshot(), time="yesterday"), OrphanFacts(), id="one of unknown age"),
        pytest.param(
            msgspec.structs.replace(snapshot(), original="c" * 64), OrphanFacts(), id="a copy that somebody made"
        ),
        pytest.param(
            snapshot(),
            OrphanFacts(
                directories=[Directory(name="x", metadata=backup("x", "x", "Completed"), listed=frozenset({ID}))]
            ),
            id="one that a volume list names, whichever backup's",
        ),
        pytest.param(
            snapshot(),
            OrphanFacts(directories=[Directory(name="x", listed=frozenset({ID}))]),
            id="one that a list without its backup names",
        ),
        pytest.param(
            snapshot(),
            OrphanFacts(directories=[Directory(name="x", listed=frozenset({ID[:8]}))]),
            id="one that is named by its first eight digits",
        ),
        pytest.param(
            snapshot(),
            OrphanFacts(directories=[Directory(name="x", metadata=backup("x", "x", namespaces=["shop"]))]),
            id="one of a namespace that a backup without a list has",
        ),
        pytest.param(
            snapshot(),
            OrphanFacts(directories=[Directory(name="x", metadata=backup("x", "x", namespaces=[]))]),
            id="any, where a backup of all namespaces has no list",
        ),
        pytest.param(
            snapshot(),
            OrphanFacts(directories=[Directory(name="x", metadata=backup("x", "x", namespaces=["sh*"]))]),
            id="any, where a backup of a pattern has no list",
        ),
        pytest.param(
            snapshot(), OrphanFacts(directories=[claimed()]), id="one of a claimed directory without a backup yet"
        ),
        pytest.param(
            snapshot(),
            OrphanFacts(directories=[claimed(cluster=THEM)]),
            id="one of a directory that another cluster claimed",
        ),
        pytest.param(snapshot(), OrphanFacts(backups=[backup()]), id="one of a backup in progress"),
        pytest.param(snapshot(), OrphanFacts(backups=[backup(phase="Failed")]), id="one of a backup that failed"),
        pytest.param(
            snapshot(), OrphanFacts(backups=[backup(phase="Completed")]), id="one of a backup that lost its files"
        ),
        pytest.param(
            snapshot(),
            OrphanFacts(backups=[backup(uid="new", phase="Completed", imported=True, namespaces=["shop"])]),
            id="one of the namespace of an imported backup that lost its files",
        ),
        pytest.param(
            snapshot(), OrphanFacts(captures=[capture("p-uid", "InProgress")]), id="one of a capture that goes on"
        ),
        pytest.param(
            snapshot(backup_uid="b2", pvb_uid="p2"),
            OrphanFacts(
                backups=[backup(phase="Completed")],
                captures=[capture("p-uid", "Completed", of="b-uid", snapshot_id=ID)],
                directories=[Directory(name="b", metadata=backup(phase="Completed"), listed=frozenset())],
            ),
            id="one of an ended capture whose backup is there",
        ),
    ],
)
def test_it_is_nobodys_business(found: Snapshot, facts: OrphanFacts) -> None:
    planned = plan(dataclasses.replace(facts, repositories=[repository(found)]), seen(ID))
    assert (due(planned), planned.report.snapshots) == ([], 0)


@pytest.mark.parametrize(
    "facts",
    [
        pytest.param(
            OrphanFacts(
                backups=[backup(phase="Completed")],
                directories=[Directory(name="b", metadata=backup(phase="Completed"), listed=frozenset({"b" * 64}))],
            ),
            id="a second snapshot of a backup whose list names the first",
        ),
        pytest.param(
            OrphanFacts(directories=[Directory(name="x", metadata=backup("x", "x", namespaces=["other"]))]),
            id="one beside a backup without a list of another namespace",
        ),
        pytest.param(
            OrphanFacts(captures=[capture("p-uid", "Completed", of="gone", snapshot_id=ID)]),
            id="one of an ended capture whose backup is gone",
        ),
        pytest.param(OrphanFacts(backups=[backup("other", "o-uid")]), id="one beside another backup in progress"),
        pytest.param(
            OrphanFacts(backups=[backup(phase="FailedValidation")]), id="one of a Backup that stands for nothing"
        ),
    ],
)
def test_it_is_an_orphan(facts: OrphanFacts) -> None:
    assert due(plan(dataclasses.replace(facts, repositories=[repository(snapshot())]), seen(ID))) == [ID]


def test_what_is_queued_already_is_none() -> None:
    planned = plan(OrphanFacts(repositories=[repository(snapshot(), pending=(ID,))]), seen(ID))
    assert (due(planned), planned.report.orphans) == ([], ())


@pytest.mark.parametrize(
    ("earlier", "held"),
    [
        pytest.param(seen(ID, since=NOW - 13 * DAY), "", id="within the grace"),
        pytest.param(seen(ID, since=NOW + DAY), "", id="seen first in the future"),
        pytest.param(seen(ID), "deletions are frozen", id="while deletions are frozen"),
        pytest.param(seen(ID, place="elsewhere"), "", id="seen first in another place"),
        pytest.param(seen("c" * 64), "", id="where only another one was seen"),
    ],
)
def test_an_orphan_is_reported_and_not_due(earlier: OrphanReport, held: str) -> None:
    planned = plan(OrphanFacts(repositories=[repository(snapshot())]), earlier, held=held)
    assert (due(planned), [one.id for one in planned.report.orphans]) == ([], [ID])
    assert planned.report.orphans[0].first_seen <= NOW
    assert planned.report.held == held


def test_where_something_cannot_be_read_nothing_is_due_and_nothing_new_is_reported() -> None:
    facts = OrphanFacts(
        repositories=[repository(snapshot(), snapshot("c" * 64))], directories=[claimed()], problem="a list is damaged"
    )
    planned = plan(facts, seen(ID))
    assert due(planned) == []
    assert planned.report.orphans == seen(ID).orphans
    assert planned.report.problem == "a list is damaged"


def test_a_repository_that_is_not_looked_into_keeps_its_grace() -> None:
    planned = plan(OrphanFacts(unseen=frozenset({"shop"})), seen(ID))
    assert (due(planned), planned.report.orphans) == ([], seen(ID).orphans)


def test_files_of_a_backup_that_is_nowhere_are_due_by_their_keys_the_claim_last() -> None:
    keys = claimed().keys
    planned = plan(OrphanFacts(directories=[claimed()]), seen(*keys))
    assert due(planned) == ["b/b.tar.gz", "b/b-volumes.json.gz", "b/b-logs.gz", "b/ark-claim.json"]


@pytest.mark.parametrize(
    "facts",
    [
        pytest.param(OrphanFacts(directories=[claimed(cluster=THEM)]), id="another cluster claimed"),
        pytest.param(OrphanFacts(directories=[claimed(uid="")]), id="nobody in particular claimed"),
        pytest.param(OrphanFacts(directories=[claimed()], backups=[backup("elsewhere")]), id="a Backup's UID has"),
        pytest.param(OrphanFacts(directories=[claimed()], backups=[backup(uid="new")]), id="a Backup's name has"),
        pytest.param(OrphanFacts(directories=[dataclasses.replace(claimed(), metadata=backup())]), id="are a backup"),
        pytest.param(
            OrphanFacts(directories=[dataclasses.replace(claimed(), keys=backup_keys("b").in_deletion_order)]),
            id="became a backup just now",
        ),
        pytest.param(OrphanFacts(directories=[dataclasses.replace(claimed(), claim=None)]), id="have no claim"),
    ],
)
def test_files_are_left_alone_that(facts: OrphanFacts) -> None:
    planned = plan(facts, seen(*backup_keys("b").in_deletion_order))
    assert (due(planned), planned.report.files) == ([], 0)


def test_a_directory_goes_only_when_each_of_its_files_was_reported_long_ago() -> None:
    facts = OrphanFacts(directories=[claimed()])
    assert due(plan(facts, seen("b/ark-claim.json"))) == []


def test_files_that_the_layout_does_not_name_are_never_due() -> None:
    strange = dataclasses.replace(claimed(), keys=(*claimed().keys, "b/notes.txt"))
    planned = plan(OrphanFacts(directories=[strange]), seen(*strange.keys))
    assert "b/notes.txt" not in due(planned)
    assert len(due(planned)) == 4


def test_the_report_is_bounded_and_counts_the_rest() -> None:
    many = [snapshot(f"{number:064x}") for number in range(LONGEST_REPORT + 5)]
    last = many[-1].id
    planned = plan(OrphanFacts(repositories=[repository(*many)]), seen(last))
    assert (len(planned.report.orphans), planned.report.unlisted) == (LONGEST_REPORT, 5)
    assert planned.report.snapshots == LONGEST_REPORT + 5
    assert planned.report.orphans[0].id == last
    assert due(planned) == [last]
