"""What a capture is compared with, and how long the volume took the last time."""

from __future__ import annotations

import datetime

import pytest

from pkg.apis.meta import ObjectMeta, ObjectReference
from pkg.apis.volumes import PodVolumeBackup, PodVolumeBackupSpec, PodVolumeBackupStatus, VolumeSource
from pkg.backup.parents import Parents, slot_seconds
from pkg.volumes.ledger import LedgerEntry

NOON = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC)
REPOSITORY = "r" * 64


def capture(
    snapshot: str,
    *,
    claim: str = "c1",
    minutes: int = 0,
    slotted: bool = True,
    run_seconds: int = 0,
    attempts: int = 1,
    interruptions: int = 0,
) -> PodVolumeBackup:
    found = PodVolumeBackupStatus(
        phase="Completed",
        snapshot_id=snapshot,
        repository_id=REPOSITORY,
        slot_at=NOON if slotted else None,
        completion_timestamp=NOON + datetime.timedelta(minutes=minutes),
        run_seconds=run_seconds,
        attempts=attempts,
        interruptions=interruptions,
    )
    spec = PodVolumeBackupSpec(
        pod=ObjectReference(namespace="shop", name="db"), volume="data", source=VolumeSource(claim_uid=claim)
    )
    return PodVolumeBackup(metadata=ObjectMeta(name=snapshot), spec=spec, status=found)


def entry(claim: str = "c1") -> LedgerEntry:
    return LedgerEntry(namespace="shop", pod="db", volume="data", claim_uid=claim)


def parents(*captures: PodVolumeBackup) -> Parents:
    found = Parents()
    for one in captures:
        found.note(one)
    return found


def test_the_last_capture_of_the_claim_is_the_parent() -> None:
    known = parents(capture("old", minutes=1), capture("new", minutes=5), capture("other", claim="c2", minutes=9))
    assert known.find(entry(), REPOSITORY) == "new"
    assert known.find(entry(), "another repository") == ""


@pytest.mark.parametrize(
    ("one", "seconds"),
    [
        pytest.param(capture("s", minutes=9, run_seconds=7), 7, id="what restic took, without the wait for hooks"),
        pytest.param(capture("s", minutes=2), 120, id="the time in the slot, of an agent that did not measure"),
        pytest.param(capture("s", minutes=2, slotted=False), None, id="nothing, of an object of Ark 0.9"),
        pytest.param(capture("s", run_seconds=7, attempts=2), None, id="nothing, of a run after another"),
        pytest.param(capture("s", run_seconds=7, interruptions=1), None, id="nothing, of an interrupted run"),
    ],
)
def test_how_long_a_volume_took_is_known_from(one: PodVolumeBackup, seconds: int | None) -> None:
    assert slot_seconds([entry()], parents(one), REPOSITORY) == seconds


def test_volumes_of_a_pod_with_hooks_need_their_slot_one_after_another() -> None:
    known = parents(capture("a", run_seconds=50), capture("b", claim="c2", run_seconds=40))
    assert slot_seconds([entry("c1"), entry("c2")], known, REPOSITORY) == 90
    assert slot_seconds([entry("c1"), entry("never captured")], known, REPOSITORY) == 50
    assert slot_seconds([entry("never captured")], known, REPOSITORY) is None
