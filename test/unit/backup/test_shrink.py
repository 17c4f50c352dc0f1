"""A volume that lost nearly everything is told, and the backup that still has it is named."""

from __future__ import annotations

import datetime
from pathlib import Path

import msgspec
import pytest

from pkg.apis.meta import Condition
from pkg.apis.reasons import BackupPhase, Reason
from pkg.apis.volumes import PodVolumeBackup, VolumeProgress
from pkg.backup.engine import run_backup
from pkg.backup.parents import Parent
from pkg.backup.shrink import flagged, with_condition
from pkg.kube import refs
from pkg.testing.fakebackup import ARK, BackupWorld, captured
from pkg.volumes.ledger import EntryState, LedgerEntry

GIB = 1 << 30
NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
OTHER = Condition(type="RecoveryKitUnverified", status="True")


def entry(bytes_now: int, **fields: object) -> LedgerEntry:
    made = LedgerEntry(namespace="shop", pod="db-0", volume="data", state=EntryState.CAPTURED, bytes=bytes_now)
    return msgspec.structs.replace(made, **fields)


def parent(size: int) -> Parent:
    return Parent(snapshot_id="s0", bytes=size, backup="monday")


@pytest.mark.parametrize(
    ("before", "now", "flag"),
    [
        pytest.param(10 * GIB, GIB - 1, True, id="less than a tenth is left"),
        pytest.param(10 * GIB, GIB, False, id="a tenth is left"),
        pytest.param(GIB, 0, False, id="it was no more than one GiB"),
        pytest.param(GIB + 1, 0, True, id="it was a little more, and is empty"),
        pytest.param(0, 5, False, id="nothing is known of an earlier one"),
    ],
)
def test_what_is_suspicious(before: int, now: int, flag: bool) -> None:
    found = flagged(entry(now), parent(before))
    assert (found.reason == Reason.SUSPICIOUS_SHRINK) is flag
    assert (found.parent_backup, found.parent_bytes) == ("monday", before)


def test_a_volume_that_failed_is_not_compared() -> None:
    failed = entry(0, state=EntryState.FAILED, reason="NoProgress")
    assert flagged(failed, parent(10 * GIB)) == failed


def test_unread_files_stay_the_reason_and_the_loss_is_told_beside() -> None:
    found = flagged(entry(5, reason="UnreadFiles", message="3 files"), parent(10 * GIB))
    assert found.reason == Reason.UNREAD_FILES
    assert found.message.startswith("3 files; 5 bytes, after")
    assert with_condition((), [found], NOW)


def test_the_condition_names_the_backups_to_look_into_and_keeps_the_others() -> None:
    found = with_condition((OTHER,), [flagged(entry(5), parent(10 * GIB))], NOW)
    assert found is not None
    assert [one.type for one in found] == [OTHER.type, Reason.SUSPICIOUS_SHRINK]
    assert (found[1].status, found[1].last_transition_time) == ("True", NOW)
    assert "monday" in found[1].message
    assert "shop/db-0/data: 5 bytes" in found[1].message


def test_an_old_condition_goes_when_nothing_shrank() -> None:
    old = Condition(type=Reason.SUSPICIOUS_SHRINK, status="True")
    assert with_condition((OTHER, old), [entry(5)], NOW) == (OTHER,)
    assert with_condition(None, [], NOW) is None


def test_a_backup_warns_of_a_volume_that_shrank(tmp_path: Path) -> None:
    world = BackupWorld(tmp_path)
    world.namespace("shop")
    world.claim("shop", "data")
    world.pod("shop", "db-0", claim="data")
    before = captured("s0", completion_timestamp=NOW, progress=VolumeProgress(total_bytes=10 * GIB))
    raw = msgspec.to_builtins(PodVolumeBackup(status=before))
    raw["metadata"] = {"name": "monday-x-0", "namespace": ARK, "labels": {"ark.heptio.com/backup-uid": "other"}}
    raw["spec"] = {"tags": {"backup": "monday"}, "source": {"claimUID": "data-uid"}}
    world.api.add(refs.POD_VOLUME_BACKUPS, raw)
    outcome = run_backup(world.job(), world.stop)
    assert (outcome.phase, outcome.status.warnings) == (BackupPhase.COMPLETED, 1)
    (stored,) = world.ledger.entries
    assert (stored.reason, stored.parent, stored.parent_backup) == (Reason.SUSPICIOUS_SHRINK, "s0", "monday")
    assert [one.type for one in outcome.status.conditions or ()] == [Reason.SUSPICIOUS_SHRINK]
