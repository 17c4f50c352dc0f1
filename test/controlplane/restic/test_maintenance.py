"""Forget, prune, check and locks, against the real restic and the fake."""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path

import pytest

from pkg.apis.reasons import Reason
from pkg.kube.stop import StopToken
from pkg.restic import command
from pkg.restic.environment import ResticEnvironment
from pkg.restic.errors import ResticError
from pkg.restic.forget_plan import plan_forget
from pkg.restic.locks import list_locks
from pkg.restic.maintenance import (
    PruneLimits,
    check_repository,
    forget_snapshots,
    list_snapshots,
    prune_repository,
)
from pkg.restic.runner import ResticRunner, Runner
from pkg.restic.transfer import BackupRequest, backup_volume
from pkg.testing.processes import wait_until


def capture(runner: ResticRunner, environment: ResticEnvironment, volume: Path, content: bytes) -> str:
    (volume / "file").write_bytes(content)
    request = BackupRequest(directory=str(volume), tags={"ns": "shop"})
    return backup_volume(runner, request, environment, StopToken()).snapshot_id


def test_exactly_the_named_snapshots_are_forgotten(
    runner: ResticRunner, ready: ResticEnvironment, volume: Path
) -> None:
    stop = StopToken()
    first, second, third = (capture(runner, ready, volume, text) for text in (b"1", b"2", b"3"))
    plan = plan_forget([first, second[:8], "0" * 64], list_snapshots(runner, ready, stop), "shop")
    forget_snapshots(runner, ready, sorted(plan.forget.values()), stop)
    left = [one.id for one in list_snapshots(runner, ready, stop)]
    assert left == [third]
    assert plan.settled(left) == {first, second[:8], "0" * 64}


def test_one_that_is_gone_already_is_no_failure(runner: ResticRunner, ready: ResticEnvironment, volume: Path) -> None:
    only = capture(runner, ready, volume, b"1")
    for _ in range(2):
        forget_snapshots(runner, ready, [only], StopToken())
    assert list_snapshots(runner, ready, StopToken()) == []


def test_a_prune_says_what_it_removed_and_a_check_is_content(
    runner: ResticRunner, ready: ResticEnvironment, volume: Path
) -> None:
    stop = StopToken()
    forget_snapshots(runner, ready, [capture(runner, ready, volume, bytes(range(256)) * 4000)], stop)
    result = prune_repository(runner, ready, PruneLimits(), stop)
    assert "blobs /" in result.removed
    assert not result.retained
    check_repository(runner, ready, stop)
    assert list_locks(runner, ready, stop) == []


def test_a_damaged_repository_is_told(restic: Runner, real: ResticEnvironment, volume: Path) -> None:
    capture(restic, real, volume, bytes(range(256)) * 4000)
    shutil.rmtree(Path(real.repository) / "data")
    with pytest.raises(ResticError) as failure:
        check_repository(restic, real, StopToken())
    assert failure.value.reason is Reason.REPOSITORY_DAMAGED


def test_who_holds_a_lock_is_told(restic: Runner, real: ResticEnvironment, volume: Path) -> None:
    (volume / "noise").write_bytes(os.urandom(4 << 20))
    slow = command.Command(
        verb="backup", arguments=("backup", "--json", "--limit-upload", "1", "."), directory=str(volume)
    )
    stop = StopToken()
    thread = threading.Thread(target=restic.run, args=(slow, real, stop))
    thread.start()
    try:
        held = wait_until(
            lambda: list_locks(restic, real, StopToken()), timeout_seconds=60, what="the backup to hold its lock"
        )
        assert held[0].content is not None
        assert (held[0].content.exclusive, held[0].content.hostname) == (False, os.uname().nodename)
        assert restic.run(command.check(), real, StopToken()).exit_code == 11
    finally:
        stop.cancel(Reason.CANCELED)
        thread.join(30)
