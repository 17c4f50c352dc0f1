"""Ended PodVolumeBackups, PodVolumeRestores and Restores are removed after days, and never what is still needed."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkg.apis.ark import Backup, BackupStatus, Claim, Restore, RestoreStatus
from pkg.apis.meta import JsonObject, ObjectMeta, ObjectReference, OwnerReference
from pkg.apis.volumes import (
    PodVolumeBackup,
    PodVolumeBackupSpec,
    PodVolumeBackupStatus,
    PodVolumeRestore,
    PodVolumeRestoreStatus,
    VolumeSource,
)
from pkg.backup.parents import Parents
from pkg.controllers.retention import LOOK_SECONDS, RetentionReconciler
from pkg.controllers.retention_plan import capture_end, filling_end, restore_end, volume_key
from pkg.controllers.retention_wiring import VOLUME_INDEX, end_of_capture, end_of_filling
from pkg.kube.refs import POD_VOLUME_BACKUPS
from pkg.manager.reconciler import Result, again_in, done
from pkg.testing.fakeapi import FakeApi
from pkg.testing.fakeclock import FakeClock
from pkg.testing.fakes import FakeLister
from pkg.volumes.ledger import LedgerEntry
from pkg.workqueue.key import Key

NAMESPACE = "heptio-ark"
NOW = FakeClock().now()
DAY = datetime.timedelta(days=1)
LISTED = Backup(
    metadata=ObjectMeta(name="b", namespace=NAMESPACE, uid="u"),
    status=BackupStatus(phase="Completed", claim=Claim(epoch=1)),
)


def capture(
    name: str = "c",
    *,
    age: float = 8,
    phase: str = "Completed",
    snapshot: str = "s",
    claim: str = "pvc-1",
    repository: str = "r1",
) -> PodVolumeBackup:
    owner = OwnerReference(kind="Backup", name="b", uid="u", controller=True)
    return PodVolumeBackup(
        metadata=ObjectMeta(name=name, namespace=NAMESPACE, uid=f"uid-{name}", owner_references=(owner,)),
        spec=PodVolumeBackupSpec(
            pod=ObjectReference(namespace="shop", name="web"), volume="data", source=VolumeSource(claim_uid=claim)
        ),
        status=PodVolumeBackupStatus(
            phase=phase, snapshot_id=snapshot, repository_id=repository, completion_timestamp=NOW - DAY * age
        ),
    )


NEWER = capture("newer", age=1, snapshot="n")


@pytest.mark.parametrize(
    ("one", "backup", "alike", "goes"),
    [
        pytest.param(capture(), LISTED, [NEWER], True, id="its list is committed, a newer capture is there"),
        pytest.param(capture(age=6), LISTED, [NEWER], False, id="not for seven days"),
        pytest.param(capture(), LISTED, [], False, id="the newest of its volume is compared with"),
        pytest.param(capture(phase="Failed", snapshot=""), LISTED, [], True, id="a failed one is nobody's parent"),
        pytest.param(capture(phase="InProgress"), LISTED, [NEWER], False, id="not ended"),
        pytest.param(capture(), None, [NEWER], True, id="its backup is gone"),
        pytest.param(
            capture(),
            Backup(status=BackupStatus(phase="Failed", claim=Claim(epoch=1))),
            [NEWER],
            False,
            id="the backup failed: this is the only record of the snapshot",
        ),
        pytest.param(
            capture(),
            Backup(status=BackupStatus(phase="InProgress", claim=Claim(epoch=1))),
            [NEWER],
            False,
            id="the backup goes on",
        ),
        pytest.param(
            capture(),
            Backup(status=BackupStatus(phase="Completed")),
            [NEWER],
            False,
            id="0.9's backup has no volume list",
        ),
    ],
)
def test_when_a_capture_may_go(
    one: PodVolumeBackup, backup: Backup | None, alike: list[PodVolumeBackup], goes: bool
) -> None:
    moment = capture_end(one, backup, [one, *alike])
    assert (moment is not None and moment <= NOW) is goes


def filling(phase: str, age: float) -> PodVolumeRestore:
    status = PodVolumeRestoreStatus(phase=phase, completion_timestamp=NOW - DAY * age)
    owner = OwnerReference(kind="Restore", name="r", uid="u")
    return PodVolumeRestore(metadata=ObjectMeta(namespace=NAMESPACE, owner_references=(owner,)), status=status)


def restore(phase: str, age: float = 1, uid: str = "u") -> Restore:
    return Restore(
        metadata=ObjectMeta(name="r", namespace=NAMESPACE, uid=uid),
        status=RestoreStatus(phase=phase, completion_timestamp=NOW - DAY * age),
    )


@pytest.mark.parametrize(
    ("one", "owner", "goes"),
    [
        pytest.param(filling("Completed", 8), restore("Completed"), True, id="ended eight days ago"),
        pytest.param(filling("Failed", 8), None, True, id="its restore is gone"),
        pytest.param(filling("Completed", 6), restore("Completed"), False, id="not for seven days"),
        pytest.param(filling("Completed", 8), restore("InProgress"), False, id="its restore goes on"),
        pytest.param(filling("InProgress", 8), restore("Completed"), False, id="not ended"),
    ],
)
def test_when_a_filling_may_go(one: PodVolumeRestore, owner: Restore | None, goes: bool) -> None:
    moment = filling_end(one, owner)
    assert (moment is not None and moment <= NOW) is goes
    restores = FakeLister([owner] if owner else [])
    assert end_of_filling(one, restores) == moment
    assert end_of_filling(one, FakeLister([restore("InProgress", uid="another")])) == filling_end(one, None)


@pytest.mark.parametrize(
    ("one", "goes"),
    [
        pytest.param(restore("Completed", 31), True, id="ended a month ago"),
        pytest.param(restore("FailedValidation", 31), True, id="refused a month ago"),
        pytest.param(restore("Completed", 29), False, id="not for thirty days"),
        pytest.param(restore("InProgress", 31), False, id="goes on"),
    ],
)
def test_when_a_restore_may_go(one: Restore, goes: bool) -> None:
    moment = restore_end(one)
    assert (moment is not None and moment <= NOW) is goes


VOLUMES = st.lists(
    st.tuples(st.sampled_from(["", "pvc-1", "pvc-2"]), st.sampled_from(["r1", "r2"]), st.integers(1, 30)), max_size=12
)


@given(VOLUMES)
def test_what_the_next_capture_is_compared_with_does_not_change(found: list[tuple[str, str, int]]) -> None:
    captures = [
        capture(f"c{number}", claim=claim, repository=repository, age=age, snapshot=f"s{number:02}")
        for number, (claim, repository, age) in enumerate(found)
    ]
    kept = [one for one in captures if capture_end(one, LISTED, alike(one, captures)) is None or age_of(one) < 7]
    before, after = Parents(), Parents()
    for one in captures:
        before.note(one)
    for one in kept:
        after.note(one)
    for claim in ("", "pvc-1", "pvc-2"):
        entry = LedgerEntry(namespace="shop", pod="web", volume="data", claim_uid=claim)
        for repository in ("r1", "r2"):
            assert after.find(entry, repository) == before.find(entry, repository)


def alike(one: PodVolumeBackup, captures: list[PodVolumeBackup]) -> list[PodVolumeBackup]:
    return [each for each in captures if volume_key(each) == volume_key(one)]


def age_of(one: PodVolumeBackup) -> float:
    assert one.status.completion_timestamp is not None
    return (NOW - one.status.completion_timestamp).days


class World:
    def __init__(self, *captures: PodVolumeBackup) -> None:
        self.api, self.clock, self.frozen = FakeApi(), FakeClock(), ""
        self.captures = FakeLister(captures)
        self.captures.add_index(VOLUME_INDEX, volume_key)
        self.backups = FakeLister([LISTED])
        for one in captures:
            metadata: JsonObject = {"name": one.metadata.name, "namespace": NAMESPACE, "uid": one.metadata.uid}
            self.api.add(POD_VOLUME_BACKUPS, {"metadata": metadata})
        self.reconciler = RetentionReconciler(
            self.api.client,
            POD_VOLUME_BACKUPS,
            self.captures,
            ends_at=lambda one: end_of_capture(one, self.captures, self.backups),
            frozen=lambda: self.frozen,
            clock=self.clock,
        )

    def reconcile(self, name: str) -> Result:
        return self.reconciler.reconcile(Key(NAMESPACE, name))

    def there(self, name: str) -> bool:
        return self.api.get(POD_VOLUME_BACKUPS, NAMESPACE, name) is not None


def test_the_object_goes_in_its_time() -> None:
    world = World(capture("c", age=6.9), NEWER)
    assert world.reconcile("c").again_seconds == pytest.approx(0.1 * 86400)
    assert world.there("c")
    world.clock.advance(0.1 * 86400)
    assert world.reconcile("c") == done()
    assert not world.there("c")
    assert world.there("newer")


def test_the_newest_is_looked_at_again() -> None:
    world = World(capture("c"))
    assert world.reconcile("c") == again_in(LOOK_SECONDS)
    world.captures.put(NEWER)
    world.reconcile("c")
    assert not world.there("c")


def test_while_deletions_are_frozen_objects_stay_too() -> None:
    world = World(capture("c"), NEWER)
    world.frozen = "incident 7"
    assert world.reconcile("c") == again_in(LOOK_SECONDS)
    assert world.there("c")


def test_a_successor_of_the_same_name_stays() -> None:
    world = World(capture("c"), NEWER)
    world.api.remove(POD_VOLUME_BACKUPS, NAMESPACE, "c")
    world.api.add(POD_VOLUME_BACKUPS, {"metadata": {"name": "c", "namespace": NAMESPACE, "uid": "successor"}})
    world.reconcile("c")
    assert world.there("c")
