"""Schedule: the backups it makes, what it writes down, and what it tells."""

from __future__ import annotations

import datetime

import pytest
from prometheus_client import CollectorRegistry

from pkg.apis.ark import Backup, Schedule, ScheduleSpec, ScheduleStatus
from pkg.apis.meta import JsonObject, ObjectMeta
from pkg.controllers.metrics import ServerMetrics
from pkg.controllers.schedule import ScheduleReconciler, status_change
from pkg.kube.errors import ConflictError, KubeError, TransportError
from pkg.kube.refs import BACKUPS, SCHEDULES
from pkg.manager.events import EventRecorder
from pkg.manager.reconciler import Result, done
from pkg.testing.fakeapi import FakeApi
from pkg.testing.fakeclock import FakeClock
from pkg.testing.fakes import FakeLister
from pkg.volumes.naming import label_value
from pkg.workqueue.key import Key

ARK = "heptio-ark"
KEY = Key(ARK, "nightly")
CREATED = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC)


class Recorder(EventRecorder):
    """Keeps what is said."""

    said: list[tuple[str, str]]

    def event(self, obj: object, reason: str, message: str, **rest: object) -> None:
        self.said.append((reason, message))


class World:
    """A server with one schedule, made at noon of New Year's Day."""

    def __init__(self) -> None:
        self.api, self.clock = FakeApi(), FakeClock(CREATED)
        self.schedules: FakeLister[Schedule] = FakeLister()
        self.backups: FakeLister[Backup] = FakeLister()
        self.registry = CollectorRegistry()
        self.metrics = ServerMetrics(self.registry)
        self.recorder = Recorder(self.api.client, "ark-server", self.clock)
        self.recorder.said = []
        self.restore_only = False
        self.look_seconds = 7 * 86400.0
        self.restart()

    def restart(self) -> None:
        self.reconciler = ScheduleReconciler(
            self.api.client,
            self.schedules,
            self.backups,
            restore_only=lambda: self.restore_only,
            look_seconds=lambda: self.look_seconds,
            metrics=self.metrics,
            events=self.recorder,
            clock=self.clock,
        )

    def schedule(
        self,
        spec: JsonObject | None = None,
        *,
        status: JsonObject | None = None,
        name: str = "nightly",
        created: str = "2026-01-01T12:00:00Z",
    ) -> None:
        raw: JsonObject = {
            "metadata": {
                "name": name,
                "namespace": ARK,
                "uid": "schedule-uid",
                "creationTimestamp": created,
                "labels": {"team": "a", "argocd.argoproj.io/instance": "cluster"},
                "annotations": {"owner": "somebody"},
            },
            "spec": spec or {"schedule": "0 1 * * *"},
            "status": status or {},
        }
        self.api.add(SCHEDULES, raw)

    def see(self) -> None:
        """Brings the caches up to date."""
        schedules = self.api.client.list(SCHEDULES, ARK, Schedule)
        self.schedules.objects = {one.metadata.key: one for one in schedules}
        self.backups.objects = {one.metadata.key: one for one in self.made}

    def look(self, key: Key = KEY) -> Result:
        self.see()
        return self.reconciler.reconcile(key)

    def until(self, moment: str) -> None:
        """Looks whenever the reconciler asks to, until that time."""
        end = datetime.datetime.fromisoformat(f"2026-{moment}").replace(tzinfo=datetime.UTC)
        while self.clock.now() <= end:
            result = self.look()
            assert result.again_seconds is not None
            self.clock.advance(result.again_seconds or 0.001)

    @property
    def made(self) -> list[Backup]:
        return sorted(self.api.client.list(BACKUPS, ARK, Backup), key=lambda one: one.metadata.name)

    @property
    def names(self) -> list[str]:
        return [one.metadata.name for one in self.made]

    @property
    def status(self) -> ScheduleStatus:
        return self.api.client.get(SCHEDULES, ARK, KEY.name, Schedule).status

    def end(self, phase: str = "Completed") -> None:
        """Ends every backup."""
        for one in self.made:
            self.api.client.patch(
                BACKUPS, ARK, one.metadata.name, {"status": {"phase": phase}}, Backup, subresource="status"
            )

    def raw(self, name: str) -> JsonObject:
        """A backup as JSON."""
        found = self.api.get(BACKUPS, ARK, name)
        assert found
        return found

    def count(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, {"schedule": "nightly", **labels})


@pytest.fixture
def world() -> World:
    made = World()
    made.schedule()
    return made


def test_a_schedule_is_enabled_and_says_when_it_runs(world: World) -> None:
    assert world.look().again_seconds == 13 * 3600
    assert world.status.phase == "Enabled"
    assert world.status.next_backup == CREATED + datetime.timedelta(hours=13)
    assert world.names == []
    writes = world.api.count("PATCH", SCHEDULES)
    world.look_seconds = 60.0
    assert world.look().again_seconds == 60.0, "the clock may be set"
    assert world.api.count("PATCH", SCHEDULES) == writes, "an idle schedule writes nothing"


def test_it_makes_a_backup_at_each_time_of_its_line(world: World) -> None:
    for day in (2, 3, 4):
        world.until(f"01-0{day}T01:00:00")
        world.end()
    assert world.names == [f"nightly-2026010{day}010000" for day in (2, 3, 4)]
    assert world.status.last_backup_name == "nightly-20260104010000"
    assert world.status.last_backup == datetime.datetime(2026, 1, 4, 1, tzinfo=datetime.UTC)
    assert ("BackupCreated", "backup nightly-20260104010000 was made") in world.recorder.said


def test_labels_come_from_the_template_only(world: World) -> None:
    world.until("01-02T01:00:00")
    metadata = world.raw("nightly-20260102010000")["metadata"]
    assert isinstance(metadata, dict)
    assert metadata["labels"] == {"ark-schedule": "nightly"}
    assert not metadata.get("annotations")
    assert not metadata.get("ownerReferences"), "a deleted schedule takes no backup along"


def test_the_spec_is_the_template_as_it_stands_in_the_cluster() -> None:
    world = World()
    template: JsonObject = {
        "includedNamespaces": ["shop"],
        "ttl": "0s",
        "hooks": {"resources": None},
        "fieldOfTomorrow": {"a": [1]},
    }
    world.schedule({"schedule": "0 1 * * *", "template": template})
    world.until("01-02T01:00:00")
    assert world.raw("nightly-20260102010000")["spec"] == template


def test_a_schedule_without_a_template_takes_everything(world: World) -> None:
    world.until("01-02T01:00:00")
    assert world.raw("nightly-20260102010000")["spec"] == {}


def test_a_name_of_many_characters_gives_a_label_that_is_one() -> None:
    world, name = World(), "n" * 80
    world.schedule(name=name)
    key = Key(ARK, name)
    world.look(key)
    world.clock.advance(13 * 3600)
    world.look(key)
    assert world.made[0].metadata.label("ark-schedule") == label_value(name)
    assert world.made[0].metadata.name == f"{name}-20260102010000"


@pytest.mark.parametrize("answered", [True, False], ids=["the status is refused", "the status is not answered"])
def test_a_death_between_backup_and_status_makes_no_second_backup(world: World, answered: bool) -> None:
    world.look()
    world.clock.advance(13 * 3600)
    world.see()
    error: KubeError = ConflictError("changed", code=409) if answered else TransportError("gone")
    world.api.fail_next(error, method="PATCH", ref=SCHEDULES)
    with pytest.raises(KubeError):
        world.reconciler.reconcile(KEY)
    world.restart()
    world.reconciler.reconcile(KEY)  # the cache has not seen the backup yet
    world.look()
    assert world.names == ["nightly-20260102010000"]
    assert world.status.last_backup_name == "nightly-20260102010000"


def test_a_pause_that_the_cache_has_not_seen_counts(world: World) -> None:
    world.look()
    world.clock.advance(13 * 3600)
    world.see()
    world.api.client.patch(SCHEDULES, ARK, "nightly", {"spec": {"paused": True}}, Schedule)
    world.reconciler.reconcile(KEY)
    assert world.names == []
    assert world.status.reason == "Paused"


def test_a_schedule_that_is_gone_makes_nothing(world: World) -> None:
    world.look()
    world.clock.advance(13 * 3600)
    world.see()
    world.api.remove(SCHEDULES, ARK, "nightly")
    assert world.reconciler.reconcile(KEY) == done()
    assert world.names == []


def test_an_overlap_is_refused_with_an_event(world: World) -> None:
    world.until("01-02T01:00:00")
    world.until("01-03T01:00:00")
    assert world.names == ["nightly-20260102010000"]
    assert world.status.reason == "Overlap"
    assert world.recorder.said[-1][0] == "Overlap"
    assert world.count("ark_schedule_skipped_total", reason="Overlap") == 1
    world.end()
    world.until("01-04T01:00:00")
    assert world.names == ["nightly-20260102010000", "nightly-20260104010000"]
    assert world.status.reason == ""


def test_an_overlap_with_a_backup_that_the_cache_has_not_seen_is_refused_too(world: World) -> None:
    world.until("01-02T01:00:00")
    world.clock.advance(24 * 3600)
    world.see()
    world.backups.objects = {}
    world.reconciler.reconcile(KEY)
    assert world.names == ["nightly-20260102010000"]
    assert world.status.reason == "Overlap"


@pytest.mark.parametrize(
    ("hours", "names"),
    [
        pytest.param(24, ["nightly-20260102010000"], id="less than half the interval late: made up for"),
        pytest.param(26, [], id="more than half: left out"),
    ],
)
def test_a_catch_up_only_by_less_than_half_the_interval(world: World, hours: int, names: list[str]) -> None:
    world.look()
    world.clock.advance(hours * 3600)
    world.look()
    assert world.names == names
    if not names:
        assert world.recorder.said[-1][0] == "Missed"
        assert world.count("ark_schedule_skipped_total", reason="Missed") == 1
        assert world.status.last_skipped == datetime.datetime(2026, 1, 2, 1, tzinfo=datetime.UTC)


def test_restore_only_mode_makes_nothing(world: World) -> None:
    world.restore_only = True
    world.until("01-02T02:00:00")
    assert world.names == []
    assert world.status.reason == "RestoreOnly"


def test_somebody_elses_backup_of_that_name_is_not_taken_for_a_run(world: World) -> None:
    world.api.add(BACKUPS, {"metadata": {"name": "nightly-20260102010000", "namespace": ARK}, "spec": {}})
    world.until("01-02T01:00:00")
    assert world.status.last_backup is None
    assert world.status.reason == "NameTaken"
    assert len(world.names) == 1


def test_a_line_that_does_not_parse_is_refused_once_and_mended_later() -> None:
    world = World()
    world.schedule({"schedule": "61 * * * *"})
    world.look()
    world.look()
    assert world.status.phase == "FailedValidation"
    refusals = [message for reason, message in world.recorder.said if reason == "FailedValidation"]
    assert len(refusals) == 1
    assert "minute 61 is not between 0 and 59" in refusals[0]
    world.api.client.patch(SCHEDULES, ARK, "nightly", {"spec": {"schedule": "0 1 * * *"}}, Schedule)
    world.look()
    assert world.status.phase == "Enabled"
    assert world.status.validation_errors is None


def test_a_schedule_of_ark_0_9_with_its_nulls_is_taken_over() -> None:
    world = World()
    template: JsonObject = {
        "excludedNamespaces": None,
        "hooks": {"resources": None},
        "labelSelector": None,
        "ttl": "24h0m0s",
    }
    spec: JsonObject = {"schedule": "0 1 * * *", "template": template}
    status: JsonObject = {"phase": "Enabled", "lastBackup": "2025-12-31T01:00:04Z", "validationErrors": None}
    world.schedule(spec, status=status, created="2025-06-01T12:00:00Z")
    world.look()
    assert world.names == ["nightly-20260101010000"], "last night's is late by less than half a day"
    assert world.raw("nightly-20260101010000")["spec"] == template


def test_a_deleted_schedule_takes_its_series_along(world: World) -> None:
    world.look()
    assert world.count("ark_backup_attempt_total") == 0
    world.metrics.backup_started(scheduled_backup())
    assert world.count("ark_backup_attempt_total") == 1
    world.api.remove(SCHEDULES, ARK, "nightly")
    assert world.look() == done()
    exposed = [sample for family in world.registry.collect() for sample in family.samples]
    assert [one for one in exposed if one.labels.get("schedule") == "nightly"] == []


def test_a_backup_of_a_schedule_that_is_gone_counts_as_one_without(world: World) -> None:
    world.metrics.only_schedules(lambda label: label == "hourly")
    world.metrics.backup_started(scheduled_backup())
    assert world.count("ark_backup_attempt_total") is None
    assert world.registry.get_sample_value("ark_backup_attempt_total", {"schedule": ""}) == 1


def scheduled_backup() -> Backup:
    return Backup(metadata=ObjectMeta(name="nightly-1", labels={"ark-schedule": "nightly"}))


def test_only_what_differs_is_written() -> None:
    before = ScheduleStatus(phase="Enabled", reason="Paused", message="it is paused")
    after = ScheduleStatus(phase="Enabled", next_backup=CREATED)
    assert status_change(before, after) == {"reason": None, "message": None, "nextBackup": "2026-01-01T12:00:00Z"}
    assert status_change(after, after) == {}


def test_the_spec_of_a_schedule_is_never_written(world: World) -> None:
    world.until("01-03T01:00:00")
    assert world.api.count("PUT", SCHEDULES) == 0
    assert ScheduleSpec(schedule="0 1 * * *") == world.api.client.get(SCHEDULES, ARK, "nightly", Schedule).spec
