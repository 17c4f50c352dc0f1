"""A server that takes a Backup over thaws first what the one before it left frozen."""

from __future__ import annotations

import datetime
from pathlib import Path

import msgspec
import pytest
import structlog

from pkg.apis.ark import Backup
from pkg.apis.meta import JsonObject
from pkg.apis.reasons import BackupPhase, Reason
from pkg.apis.volumes import PodVolumeBackup
from pkg.backup.engine import run_backup
from pkg.backup.takeover import Takeover, Thawed
from pkg.kube import refs
from pkg.kube.errors import TransportError
from pkg.kube.exec import ExecResult
from pkg.testing.fakebackup import ARK, BackupWorld
from pkg.testing.fakeclock import START, FakeClock
from pkg.volumes.naming import capture_name, capture_stem

PRE, POST = "pre.hook.backup.ark.heptio.com/", "post.hook.backup.ark.heptio.com/"
HOOKS = {PRE + "command": "freeze", POST + "command": "thaw"}
STEM = capture_stem("nightly", "backup-uid", claim_uid="data-uid")


@pytest.fixture
def world(tmp_path: Path) -> BackupWorld:
    made = BackupWorld(tmp_path)
    made.clock = FakeClock(START + datetime.timedelta(seconds=90), automatic=True)
    made.namespace("shop")
    made.claim("shop", "data")
    made.pod("shop", "db-0", claim="data", annotations=HOOKS)
    return made


def left_open(world: BackupWorld, *, uid: str = "db-0-uid") -> Backup:
    """The Backup as a server that was killed between the hooks left it, and as the next one claimed it."""
    since = START.isoformat().replace("+00:00", "Z")
    hook: JsonObject = {"namespace": "shop", "pod": "db-0", "podUID": uid, "since": since}
    world.raw["status"] = {
        "phase": "InProgress",
        "claim": {"holder": "server", "epoch": 2},
        "openHooks": [hook],
    }
    world.backup = msgspec.convert(world.api.add(refs.BACKUPS, world.raw), Backup)
    return world.backup


def capture(world: BackupWorld, ordinal: int = 0, *, hold: bool = False, **status: str) -> None:
    name = capture_name(STEM, ordinal)
    labels: JsonObject = {"ark.heptio.com/backup-uid": "backup-uid"}
    body: JsonObject = {
        "metadata": {"name": name, "namespace": ARK, "labels": labels},
        "spec": {
            "pod": {"namespace": "shop", "name": "db-0", "uid": "db-0-uid"},
            "volume": "data",
            "hold": hold,
            "source": {"claimUID": "data-uid"},
        },
        "status": {**status},
    }
    world.api.add(refs.POD_VOLUME_BACKUPS, body)


def thaw(world: BackupWorld) -> Thawed:
    takeover = Takeover(
        backup=world.backup,
        client=world.api.client,
        execute=world.execute,
        clock=world.clock,
        log=structlog.get_logger(),
    )
    return takeover.thaw()


def canceled(world: BackupWorld, ordinal: int = 0) -> str:
    found = world.api.client.get(refs.POD_VOLUME_BACKUPS, ARK, capture_name(STEM, ordinal), PodVolumeBackup)
    return found.spec.cancel_reason


def test_nothing_is_open_as_a_rule(world: BackupWorld) -> None:
    assert thaw(world) == Thawed()
    assert world.api.count("LIST", refs.POD_VOLUME_BACKUPS) == 0


def test_the_missing_post_hook_is_run_and_then_no_more(world: BackupWorld) -> None:
    left_open(world)
    assert thaw(world).frozen_seconds == 90
    assert world.execute.commands == ["db-0 thaw"]
    found = world.api.client.get(refs.BACKUPS, ARK, "nightly", Backup).status
    assert (found.open_hooks, found.frozen_seconds) == (None, 90)


def test_a_capture_that_read_on_after_the_thaw_is_given_up(world: BackupWorld) -> None:
    left_open(world)
    capture(world, phase="InProgress")
    when: list[str] = []
    world.execute.on_command = lambda word: when.append(canceled(world))
    thaw(world)
    assert (when, canceled(world)) == ([""], Reason.THAWED)


def test_a_capture_that_was_held_waits_for_the_next_freeze(world: BackupWorld) -> None:
    left_open(world)
    capture(world, hold=True, phase="InProgress")
    thaw(world)
    assert canceled(world) == ""


def test_captures_that_had_all_ended_count(world: BackupWorld) -> None:
    left_open(world)
    capture(world, phase="Completed", snapshotID="s1")
    thaw(world)
    assert canceled(world) == ""


def test_a_pod_of_the_same_name_is_not_thawed_in_place_of_one_that_is_gone(world: BackupWorld) -> None:
    left_open(world, uid="gone")
    assert thaw(world).errors == ()
    assert world.execute.commands == []


def test_a_post_hook_that_fails_is_told_and_not_run_for_ever(world: BackupWorld) -> None:
    left_open(world)
    world.execute.answers["thaw"] = ExecResult(stdout=b"", stderr=b"", exit_code=1)
    (error,) = thaw(world).errors
    assert "post hook of pod shop/db-0" in error
    assert world.api.client.get(refs.BACKUPS, ARK, "nightly", Backup).status.open_hooks is None


def test_what_cannot_be_told_stays_written_down(world: BackupWorld) -> None:
    left_open(world)
    for _ in range(10):
        world.api.fail_next(TransportError("no route"), method="PATCH", ref=refs.BACKUPS)
    with pytest.raises(TransportError):
        thaw(world)
    assert world.api.client.get(refs.BACKUPS, ARK, "nightly", Backup).status.open_hooks


def test_what_was_given_up_is_captured_again_in_another_freeze(world: BackupWorld) -> None:
    left_open(world)
    capture(world, phase="InProgress")
    world.thawed = thaw(world)
    world.clock = FakeClock()
    outcome = run_backup(world.job(), world.stop)
    assert list(world.capturer.started) == [capture_name(STEM, 1)]
    assert world.execute.commands == ["db-0 thaw", "db-0 freeze", "db-0 thaw"]
    assert (outcome.phase, outcome.status.frozen_seconds, outcome.patch["openHooks"]) == (
        BackupPhase.COMPLETED,
        90,
        None,
    )


def test_a_thaw_that_failed_is_an_error_of_the_backup(world: BackupWorld) -> None:
    world.thawed = Thawed(errors=("post hook of pod shop/db-0: exit code 1",), warnings=1)
    world.clock = FakeClock()
    outcome = run_backup(world.job(), world.stop)
    assert (outcome.phase, outcome.status.errors, outcome.status.warnings) == (BackupPhase.PARTIALLY_FAILED, 1, 1)
    assert "Post hook of an interrupted run failed" in world.log
