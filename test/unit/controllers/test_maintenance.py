"""Jobs that begin, run, end, give way and are recorded, with an API server in memory and a directory as the store."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pytest

from pkg.controllers.maintenance import OVERDUE_PATIENCE_SECONDS, START_PATIENCE_SECONDS
from pkg.kube.errors import ServerError
from pkg.kube.refs import CONFIG_MAPS, POD_VOLUME_BACKUPS, POD_VOLUME_RESTORES, RESTIC_REPOSITORIES
from pkg.testing.fakemaintenance import KEY, LONG_SECONDS, NAMESPACE, FakeMaintenance, report, volume

ID = "a" * 64


@pytest.fixture
def world(tmp_path: Path) -> FakeMaintenance:
    return FakeMaintenance(tmp_path)


def test_a_job_begins_when_something_is_due_and_nobody_is_inside(world: FakeMaintenance) -> None:
    world.add(status={"pendingForget": [ID]})
    world.begin()
    assert world.verbs == ["forget,prune,check"]
    assert world.gate.is_closed(KEY.name)


def test_nothing_begins_while_a_volume_is_captured_or_filled(world: FakeMaintenance) -> None:
    world.add(status={"lastPruneTime": "2026-01-01T00:00:00Z", "lastCheckTime": "2026-01-01T00:00:00Z"})
    for ref in (POD_VOLUME_BACKUPS, POD_VOLUME_RESTORES):
        volume(world, ref, "v")
        world.reconcile()
        assert world.operations.observe(KEY) is None
        world.api.client.delete(ref, NAMESPACE, "v")
    assert world.job_objects == []


def test_a_capture_that_the_cache_does_not_show_yet_stops_it_too(world: FakeMaintenance) -> None:
    world.add()
    world.sync()
    volume(world, POD_VOLUME_BACKUPS, "just-created")
    world.reconcile(sync=False)
    world.ended.get(timeout=LONG_SECONDS)
    world.reconcile(sync=False)
    assert world.job_objects == []


def test_a_server_that_dies_after_creating_the_job_finds_it_again(world: FakeMaintenance) -> None:
    world.add()
    world.begin()
    world.start()
    world.reconcile(sync=False)  # its cache is behind: it prepares anew, and meets its own Job
    world.ended.get(timeout=LONG_SECONDS)
    world.reconcile(sync=False)
    assert len(world.job_objects) == 1
    world.reconcile()
    assert world.gate.is_closed(KEY.name)


def test_what_the_job_did_is_in_the_status(world: FakeMaintenance) -> None:
    world.add(status={"pendingForget": [ID]})
    world.begin()
    world.end_job(
        message=report(("forget", "Completed", True), ("prune", "Completed", True), ("check", "Failed", False))
    )
    world.reconcile()
    status = world.stored.status
    started = datetime.datetime(2026, 5, 4, 10, tzinfo=datetime.UTC)
    assert world.last_run[:2] == ("forget,prune,check", "Failed")
    assert (status.last_forget_time, status.last_prune_time, status.last_check_time) == (started, started, None)
    assert status.maintenance_runs == 1
    assert world.counted == ["Failed"]


def test_success_is_success_and_the_gate_opens(world: FakeMaintenance) -> None:
    world.add(status={"lastCheckTime": "2099-01-01T00:00:00Z"})
    world.begin()
    world.end_job(message=report(("prune", "Completed", True)))
    world.reconcile()
    assert world.last_run == ("prune", "Completed", "")
    assert world.stored.status.last_maintenance_time is not None
    world.reconcile()
    assert not world.gate.is_closed(KEY.name)


@pytest.mark.parametrize(
    ("ending", "reason"),
    [
        pytest.param({"kind": "Failed", "reason": "DeadlineExceeded"}, "DeadlineExceeded", id="it took too long"),
        pytest.param({"kind": "Failed", "message": "Killed"}, "Internal", id="it said nothing that can be read"),
        pytest.param({"kind": "Failed"}, "Internal", id="it left no pod"),
        pytest.param(
            {"kind": "Failed", "message": report(("forget", "Failed", False), reason="LockTimeout")},
            "LockTimeout",
            id="it gave its own reason",
        ),
    ],
)
def test_a_failed_job_says_why(world: FakeMaintenance, ending: dict[str, str], reason: str) -> None:
    world.add()
    world.begin()
    world.end_job(**ending)
    world.reconcile()
    assert world.last_run[1:] == ("Failed", reason)
    assert world.stored.status.last_prune_time is None


def test_five_runs_are_kept_and_the_newest_is_first(world: FakeMaintenance) -> None:
    old: list[Any] = [{"verb": f"v{number}", "phase": "Completed"} for number in range(5)]
    world.add(status={"maintenance": old, "maintenanceRuns": 5})
    world.begin()
    world.end_job(message=report(("prune", "Completed", True)))
    world.reconcile()
    runs = world.stored.status.maintenance or ()
    assert [run.verb for run in runs] == ["prune,check", "v0", "v1", "v2", "v3"]


def test_a_restore_takes_a_running_job_back(world: FakeMaintenance) -> None:
    world.add()
    world.begin()
    volume(world, POD_VOLUME_RESTORES, "urgent", phase="New")
    world.reconcile()
    assert world.last_run[1:] == ("Interrupted", "GaveWay")
    assert world.gate.is_closed(KEY.name), "until the Job is gone"
    world.reconcile()
    assert world.job_objects == []


@pytest.mark.parametrize(
    ("last_prune", "seconds"),
    [
        pytest.param("2020-01-01T00:00:00Z", OVERDUE_PATIENCE_SECONDS, id="overdue: ten minutes"),
        pytest.param("2099-01-01T00:00:00Z", START_PATIENCE_SECONDS, id="asked for by hand: one minute"),
    ],
)
def test_a_job_that_does_not_begin_gives_way_to_a_backup(
    world: FakeMaintenance, last_prune: str, seconds: float
) -> None:
    world.add(status={"lastPruneTime": last_prune, "lastCheckTime": last_prune}, request="prune@now")
    world.begin()
    created = world.job_objects[0].metadata.creation_timestamp
    assert created is not None
    world.clock.advance((created - world.clock.now()).total_seconds())
    world.clock.advance(seconds - 10)
    world.gate.is_closed(KEY.name)  # as a capture asks that waits
    world.reconcile()
    assert world.stored.status.maintenance is None, "it gets some time"
    world.clock.advance(10)
    world.gate.is_closed(KEY.name)
    world.reconcile()
    assert world.last_run[1:] == ("Interrupted", "GaveWay")


def test_a_freeze_stops_a_running_prune_at_once(world: FakeMaintenance) -> None:
    world.add()
    world.begin()
    world.freeze("audit")
    world.reconcile()
    world.reconcile()
    assert world.job_objects == []
    assert world.last_run[1] == "Interrupted"


def test_a_freeze_leaves_a_check_alone(world: FakeMaintenance) -> None:
    world.freeze("audit")
    world.add()
    world.begin()
    world.reconcile()
    assert world.verbs == ["check"]


def test_a_limit_that_is_too_low_is_a_failed_run_with_the_number(world: FakeMaintenance) -> None:
    world.add()
    world.api.add(
        CONFIG_MAPS,
        {
            "metadata": {
                "name": "m",
                "namespace": NAMESPACE,
                "labels": {"ark.heptio.com/plugin-config": "maintenance"},
            },
            "data": {"memLimit": "64Mi"},
        },
    )
    world.begin()
    assert world.job_objects == []
    assert world.last_run[1:] == ("Failed", "MemoryLimitTooLow")
    assert "at least 192Mi" in (world.stored.status.maintenance or ())[0].message
    world.reconcile()
    assert not world.gate.is_closed(KEY.name), "and backups are let in"


def test_a_wish_is_carried_out_and_noted(world: FakeMaintenance) -> None:
    done = "2099-01-01T00:00:00Z"
    world.add(status={"lastPruneTime": done, "lastCheckTime": done}, request="check@now")
    world.begin()
    assert world.verbs == ["check"]
    world.end_job(message=report(("check", "Completed", True)))
    world.reconcile()
    assert world.stored.status.maintenance_request == "check@now"
    world.reconcile()
    assert world.operations.observe(KEY) is None, "once"


def test_a_wish_that_a_freeze_forbids_is_refused_and_not_left_hanging(world: FakeMaintenance) -> None:
    world.freeze("audit")
    world.add(request="forget,prune@now")
    world.reconcile()
    assert world.last_run == ("forget,prune", "Failed", "DeletionsFrozen")
    assert world.stored.status.maintenance_request == "forget,prune@now"


def test_another_clusters_repositories_are_left_alone(world: FakeMaintenance) -> None:
    (world.path / "bucket" / "ark-cluster.json").write_text('{"clusterID": "another"}')
    world.add()
    world.begin()
    world.reconcile()
    assert world.job_objects == []
    assert not world.gate.is_closed(KEY.name)


def test_a_result_that_cannot_be_recorded_is_recorded_later(world: FakeMaintenance) -> None:
    world.add()
    world.begin()
    world.end_job(message=report(("prune", "Completed", True)))
    world.api.fail_next(ServerError("down"), method="PATCH")
    with pytest.raises(ServerError):
        world.reconcile()
    world.reconcile()
    assert world.last_run[1] == "Completed"


def test_a_repository_that_is_deleted_is_let_go(world: FakeMaintenance) -> None:
    world.add()
    world.reconcile()
    world.ended.get(timeout=LONG_SECONDS)
    world.api.client.delete(RESTIC_REPOSITORIES, NAMESPACE, KEY.name)
    world.reconcile()
    assert not world.gate.is_closed(KEY.name)
    assert world.operations.observe(KEY) is None
