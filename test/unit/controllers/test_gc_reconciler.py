"""Deletion by age over the API: requests, conditions, events, and what wakes and clears them."""

from __future__ import annotations

import pytest

from pkg.apis.meta import JsonObject
from pkg.apis.names import DELETION_CONFIRMED_ANNOTATION, PINNED_ANNOTATION
from pkg.controllers.conditions import find_condition
from pkg.kube.refs import BACKUPS, CONFIGS, DELETE_BACKUP_REQUESTS, RESTIC_REPOSITORIES, SCHEDULES
from pkg.manager.reconciler import again_in, done
from pkg.testing.fakedeletion import NAMESPACE, DeletionWorld, KilledError
from pkg.volumes.naming import deletion_name, label_value
from pkg.workqueue.key import Key


@pytest.fixture
def world() -> DeletionWorld:
    return DeletionWorld()


def held(world: DeletionWorld, name: str) -> tuple[str, str]:
    condition = find_condition(world.backup(name).status.conditions, "DeletionHeld")
    return (condition.reason, condition.message) if condition else ("", "")


def test_an_expired_backup_is_asked_for_and_goes(world: DeletionWorld) -> None:
    backup = world.add_backup("old", age_days=31)
    world.add_backup("young", age_days=29)
    world.collect()
    name = deletion_name("old", backup.metadata.uid)
    request = world.request(name)
    assert (request.spec.backup_name, request.spec.backup_uid) == ("old", backup.metadata.uid)
    assert (request.metadata.labels or {})["ark.heptio.com/backup-name"] == "old"
    world.process()
    assert world.names(BACKUPS) == ["young"]


def test_long_names_become_hashed_labels(world: DeletionWorld) -> None:
    world.add_backup("b" * 80, age_days=31, schedule="s" * 63)
    world.add_backup("newer", age_days=1, schedule="s" * 63)
    world.collect()
    world.process()
    assert world.names(BACKUPS) == ["newer"]


def test_looking_twice_asks_once(world: DeletionWorld) -> None:
    world.add_backup("old", age_days=31)
    world.collect()
    world.gc.reconcile(Key(NAMESPACE, "old"))  # the cache does not show the request yet
    assert len(world.names(DELETE_BACKUP_REQUESTS)) == 1


@pytest.mark.parametrize(
    ("age_days", "ttl", "expected"),
    [
        pytest.param(29.99, 30, again_in(864), id="soon"),
        pytest.param(1, 30, again_in(3600), id="later: clocks are set, so not longer than the period"),
        pytest.param(1, None, done(), id="never"),
    ],
)
def test_when_it_is_looked_at_again(world: DeletionWorld, age_days: float, ttl: float | None, expected: object) -> None:
    world.add_backup("b", age_days=age_days, ttl_days=ttl)
    world.sync()
    assert world.gc.reconcile(Key(NAMESPACE, "b")) == expected


def test_the_period_is_the_configs(world: DeletionWorld) -> None:
    world.patch(CONFIGS, "default", {"gcSyncPeriod": "10m"})
    world.add_backup("b", age_days=1)
    world.sync()
    assert world.gc.reconcile(Key(NAMESPACE, "b")) == again_in(600)


def test_a_hold_is_a_condition_that_goes_with_its_reason(world: DeletionWorld) -> None:
    world.add_backup("old", age_days=31, annotations={PINNED_ANNOTATION: "audit"})
    world.collect()
    assert held(world, "old") == ("Pinned", "pinned: audit")
    version = world.backup("old").metadata.resource_version
    world.collect()
    assert world.backup("old").metadata.resource_version == version, "nothing new is written"
    world.patch(BACKUPS, "old", {"metadata": {"annotations": {PINNED_ANNOTATION: None}}})
    world.collect()
    world.process()
    assert world.names(BACKUPS) == []


def test_other_conditions_stay(world: DeletionWorld) -> None:
    world.add_backup("old", age_days=31, annotations={PINNED_ANNOTATION: "audit"})
    kit: JsonObject = {"type": "RecoveryKitUnverified", "status": "True"}
    world.patch(BACKUPS, "old", {"status": {"conditions": [kit]}}, subresource="status")
    world.collect()
    assert {one.type for one in world.backup("old").status.conditions or ()} == {
        "RecoveryKitUnverified",
        "DeletionHeld",
    }
    world.patch(BACKUPS, "old", {"status": {"expiration": "2030-01-01T00:00:00Z"}}, subresource="status")
    world.collect()
    assert [one.type for one in world.backup("old").status.conditions or ()] == ["RecoveryKitUnverified"]


@pytest.mark.parametrize(
    ("min_keep", "kept"),
    [
        pytest.param(None, ["d4"], id="one without a Schedule"),
        pytest.param(3, ["d2", "d3", "d4"], id="as many as the Schedule says"),
        pytest.param(0, [], id="none when it says so"),
    ],
)
def test_min_keep_is_the_schedules(world: DeletionWorld, min_keep: int | None, kept: list[str]) -> None:
    for number in range(5):
        world.add_backup(f"d{number}", age_days=40 - number, schedule="daily", files=False)
    if min_keep is not None:
        metadata: JsonObject = {"name": "daily", "namespace": NAMESPACE}
        world.api.add(SCHEDULES, {"metadata": metadata, "spec": {"minKeep": min_keep}})
    world.collect()
    world.process()
    assert world.names(BACKUPS) == kept
    assert all(held(world, name)[0] == "ExpirationHeld" for name in kept)


def test_a_hashed_schedule_label_finds_its_schedule(world: DeletionWorld) -> None:
    name = "s" * 80
    for number in range(3):
        world.add_backup(f"d{number}", age_days=40 - number, schedule=label_value(name), files=False)
    world.api.add(SCHEDULES, {"metadata": {"name": name, "namespace": NAMESPACE}, "spec": {"minKeep": 2}})
    world.collect()
    world.process()
    assert world.names(BACKUPS) == ["d1", "d2"]


def test_a_frozen_cluster_deletes_nothing_and_says_why(world: DeletionWorld) -> None:
    world.patch(CONFIGS, "default", {"deletionsFrozen": "incident 7"})
    world.add_backup("old", age_days=31)
    world.collect()
    assert world.names(DELETE_BACKUP_REQUESTS) == []
    assert held(world, "old") == ("DeletionsFrozen", "deletions are frozen: incident 7")
    world.patch(CONFIGS, "default", {"deletionsFrozen": ""})
    world.collect()
    assert len(world.names(DELETE_BACKUP_REQUESTS)) == 1


def test_a_freeze_holds_also_where_the_rest_of_the_config_is_of_no_use(world: DeletionWorld) -> None:
    world.patch(CONFIGS, "default", {"deletionsFrozen": "incident 7", "backupStorageProvider": None})
    world.add_backup("old", age_days=31)
    world.collect()
    assert held(world, "old")[0] == "DeletionsFrozen"


def test_a_clock_that_jumps_does_not_take_a_schedules_history(world: DeletionWorld) -> None:
    for number in range(30):
        world.add_backup(f"d{number:02}", age_days=30 - number, schedule="daily", files=False)
    world.clock.advance(365 * 24 * 3600)
    world.collect()
    world.process()
    left = world.names(BACKUPS)
    assert left == [f"d{number:02}" for number in range(10, 30)], "the oldest ten went"
    for _ in range(3):
        world.clock.advance(3700)
        world.restart()
        world.collect()
        world.process()
    assert world.names(BACKUPS) == left
    assert held(world, "d10")[0] == "MassDeletionHeld"
    assert held(world, "d29")[0] == "ExpirationHeld"
    for name in left:
        world.patch(BACKUPS, name, {"metadata": {"annotations": {DELETION_CONFIRMED_ANNOTATION: "now"}}})
    world.collect()
    world.process()
    assert world.names(BACKUPS) == ["d29"]


def test_a_deletion_that_failed_is_tried_again_after_a_day(world: DeletionWorld) -> None:
    world.add_backup("old", age_days=31)
    world.api.remove(RESTIC_REPOSITORIES, NAMESPACE, "shop")
    del world.restic.objects["shop/config"]
    world.collect()
    world.process()
    name = world.names(DELETE_BACKUP_REQUESTS)[0]
    assert world.request(name).status.reason == "RepositoryMissing"
    world.collect()
    assert world.names(DELETE_BACKUP_REQUESTS) == [name]
    world.add_repository("shop", "r1")
    world.clock.advance(24 * 3600 + 1)
    world.process()
    world.collect()
    world.process()
    assert world.names(BACKUPS) == []


def test_a_deletion_whose_request_was_taken_away_is_brought_to_its_end(world: DeletionWorld) -> None:
    world.add_backup("half", age_days=1)
    world.ask("half")
    world.calls.die_before(14)
    with pytest.raises(KilledError):
        world.process()
    assert world.backup("half").status.phase == "Deleting"
    world.api.remove(DELETE_BACKUP_REQUESTS, NAMESPACE, "half-1")
    world.restart()
    world.collect()
    world.process()
    assert world.names(BACKUPS) == []
    assert not [key for key in world.store.objects if key.startswith("half/")]
