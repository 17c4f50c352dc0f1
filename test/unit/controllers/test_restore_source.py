"""Which backup a Restore means, and which ones are not restored."""

from __future__ import annotations

import pytest

from pkg.apis.ark import Restore, RestoreSpec, RestoreStatus
from pkg.apis.meta import JsonObject, ObjectMeta
from pkg.controllers.restore_source import backup_of, unfit
from pkg.kube import refs
from pkg.testing.fakeapi import FakeApi


@pytest.fixture
def api() -> FakeApi:
    made = FakeApi()
    made.add(refs.NAMESPACES, {"metadata": {"name": "heptio-ark"}})
    return made


def backup(api: FakeApi, name: str, phase: str, *, schedule: str = "daily", day: int = 1) -> None:
    metadata: JsonObject = {"name": name, "namespace": "heptio-ark", "labels": {"ark-schedule": schedule}}
    status: JsonObject = {"phase": phase, "startTimestamp": f"2026-01-{day:02}T00:00:00Z", "message": "why"}
    api.add(refs.BACKUPS, {"metadata": metadata, "status": status})


def restore(*, found: str = "", backup_name: str = "", schedule_name: str = "") -> Restore:
    metadata = ObjectMeta(name="r1", namespace="heptio-ark", uid="1")
    spec = RestoreSpec(backup_name=backup_name, schedule_name=schedule_name)
    return Restore(metadata=metadata, spec=spec, status=RestoreStatus(backup_name=found))


def test_the_newest_backup_of_a_schedule_that_ended_well(api: FakeApi) -> None:
    backup(api, "daily-1", "Completed", day=1)
    backup(api, "daily-3", "PartiallyFailed", day=3)
    backup(api, "daily-2", "Completed", day=2)
    backup(api, "daily-4", "Failed", day=4)
    backup(api, "daily-5", "InProgress", day=5)
    backup(api, "weekly-6", "Completed", day=6, schedule="weekly")
    assert backup_of(api.client, restore(schedule_name="daily")) == "daily-3"


def test_what_was_found_once_stays(api: FakeApi) -> None:
    backup(api, "daily-2", "Completed", day=2)
    assert backup_of(api.client, restore(schedule_name="daily", found="daily-1")) == "daily-1"


def test_a_schedule_without_a_good_backup_gives_none(api: FakeApi) -> None:
    backup(api, "daily-1", "Failed")
    assert backup_of(api.client, restore(schedule_name="daily")) == ""


def test_a_named_backup_is_the_one(api: FakeApi) -> None:
    assert backup_of(api.client, restore(backup_name="b1")) == "b1"
    assert api.requests == []


@pytest.mark.parametrize(
    ("phase", "expected"),
    [
        pytest.param("Completed", "", id="completed"),
        pytest.param("PartiallyFailed", "", id="partially failed"),
        pytest.param("Failed", 'backup "b1" is Failed and holds nothing to restore: why', id="failed"),
        pytest.param("FailedValidation", 'backup "b1" is FailedValidation and holds nothing', id="refused"),
        pytest.param("InProgress", 'backup "b1" has not ended yet', id="in progress"),
        pytest.param("", 'backup "b1" has not ended yet', id="new"),
        pytest.param("Deleting", 'backup "b1" is being deleted', id="being deleted"),
    ],
)
def test_which_backups_are_not_restored(api: FakeApi, phase: str, expected: str) -> None:
    backup(api, "b1", phase)
    text = unfit(api.client, "heptio-ark", "b1")
    assert text.startswith(expected)
    assert bool(text) is bool(expected)


def test_a_backup_that_only_the_bucket_knows_is_not_refused(api: FakeApi) -> None:
    assert unfit(api.client, "heptio-ark", "b1") == ""
