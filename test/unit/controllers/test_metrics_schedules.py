"""Last success, last status and ages, from the objects and from nothing else."""

from __future__ import annotations

import datetime
from datetime import UTC, timedelta

import pytest
from prometheus_client import CollectorRegistry

from pkg.apis.ark import Backup, BackupStatus, Schedule, ScheduleSpec, ScheduleStatus
from pkg.apis.meta import ObjectMeta, ObjectReference
from pkg.apis.names import IMPORTED_ANNOTATION, SCHEDULE_LABEL
from pkg.apis.volumes import PodVolumeBackup, PodVolumeBackupSpec, PodVolumeBackupStatus, VolumeSource
from pkg.controllers.metrics_schedules import ScheduleCollector
from pkg.controllers.metrics_volumes import VolumeCollector, by_namespace_above
from pkg.testing.fakeclock import FakeClock
from pkg.testing.fakes import FakeLister

NOW = datetime.datetime(2026, 1, 5, 12, tzinfo=UTC)
AGE = "ark_backup_last_successful_age_seconds"
HOUR, DAY = 3600.0, 86400.0


class World:
    """A server that has just started: it has counted nothing."""

    def __init__(self) -> None:
        self.clock, self.registry = FakeClock(NOW), CollectorRegistry()
        self.schedules: FakeLister[Schedule] = FakeLister()
        self.backups: FakeLister[Backup] = FakeLister()
        self.registry.register(ScheduleCollector(self.schedules, self.backups, cluster_id="here", clock=self.clock))

    def schedule(self, name: str = "nightly", line: str = "0 1 * * *", status: ScheduleStatus | None = None) -> None:
        metadata = ObjectMeta(name=name, namespace="ark", creation_timestamp=NOW - timedelta(days=4))
        self.schedules.put(
            Schedule(metadata=metadata, spec=ScheduleSpec(schedule=line), status=status or ScheduleStatus())
        )

    def backup(self, name: str, phase: str, hours: float, *, schedule: str = "nightly", imported: bool = False) -> None:
        began = NOW - timedelta(hours=hours)
        labels = {SCHEDULE_LABEL: schedule} if schedule else None
        annotations = {IMPORTED_ANNOTATION: "true"} if imported else None
        metadata = ObjectMeta(
            name=name, namespace="ark", creation_timestamp=began, labels=labels, annotations=annotations
        )
        status = BackupStatus(phase=phase, start_timestamp=began, cluster_id="elsewhere" if imported else "here")
        self.backups.put(Backup(metadata=metadata, status=status))

    def value(self, name: str, schedule: str = "nightly") -> float | None:
        return self.registry.get_sample_value(name, {"schedule": schedule})

    @property
    def labels(self) -> set[str]:
        samples = [sample for family in self.registry.collect() for sample in family.samples]
        return {one.labels["schedule"] for one in samples if "schedule" in one.labels}


@pytest.fixture
def world() -> World:
    made = World()
    made.schedule()
    return made


def test_the_last_success_is_known_at_start_and_its_age_grows(world: World) -> None:
    world.backup("a", "Completed", 35)
    world.backup("b", "Failed", 11)
    assert world.value(AGE) == 35 * HOUR
    assert world.value("ark_backup_last_successful_timestamp") == (NOW - timedelta(hours=35)).timestamp()
    world.clock.advance(HOUR)
    assert world.value(AGE) == 36 * HOUR


def test_a_schedule_that_never_succeeded_is_as_old_as_itself(world: World) -> None:
    world.backup("a", "PartiallyFailed", 11)
    assert world.value(AGE) == 4 * DAY
    assert world.value("ark_backup_last_successful_timestamp") is None


@pytest.mark.parametrize(
    ("phase", "expected"),
    [
        ("Completed", 1.0),
        ("PartiallyFailed", 0.0),
        ("Failed", 0.0),
        ("FailedValidation", 0.0),
        ("InProgress", 1.0),
        ("Deleting", 1.0),
    ],
)
def test_the_last_status_is_that_of_the_newest_backup_that_ended(world: World, phase: str, expected: float) -> None:
    world.backup("a", "Completed", 35)
    world.backup("b", phase, 11)
    assert world.value("ark_backup_last_status") == expected


def test_a_backup_that_does_not_end_grows_old(world: World) -> None:
    assert world.value("ark_backup_running_age_seconds") == 0
    world.backup("a", "InProgress", 11)
    world.backup("b", "", 1)
    assert world.value("ark_backup_running_age_seconds") == 11 * HOUR


def test_another_clusters_backup_is_no_success_of_ours(world: World) -> None:
    world.backup("a", "Completed", 1, imported=True)
    assert world.value(AGE) == 4 * DAY


def test_series_of_a_deleted_schedule_vanish(world: World) -> None:
    world.backup("a", "Completed", 1)
    assert world.labels == {"nightly"}
    world.schedules.remove("ark", "nightly")
    assert world.labels == {""}, "its backups count as those without a schedule"
    world.backups.objects = {}
    assert world.labels == set()


def test_the_next_run_and_the_longest_interval(world: World) -> None:
    world.schedule(line="0 1 * * 1-5", status=ScheduleStatus(phase="Enabled", next_backup=NOW + timedelta(hours=13)))
    assert world.value("ark_schedule_next_run_timestamp") == (NOW + timedelta(hours=13)).timestamp()
    assert world.value("ark_schedule_interval_seconds") == 3 * DAY


@pytest.mark.parametrize(("reason", "held"), [("", 0.0), ("Overlap", 0.0), ("Paused", 1.0), ("RestoreOnly", 1.0)])
def test_what_is_held(world: World, reason: str, held: float) -> None:
    world.schedule(status=ScheduleStatus(phase="Enabled", reason=reason))
    assert world.value("ark_schedule_held") == held


def test_a_line_that_does_not_parse_breaks_no_scrape(world: World) -> None:
    world.schedule(line="61 * * * *", status=ScheduleStatus(phase="FailedValidation"))
    world.schedule("fresh")
    assert world.value("ark_schedule_interval_seconds") is None
    assert world.registry.get_sample_value("ark_schedules", {"phase": "FailedValidation"}) == 1
    assert world.registry.get_sample_value("ark_schedules", {"phase": "New"}) == 1
    assert world.registry.get_sample_value("ark_schedules", {"phase": "Enabled"}) == 0


def capture(
    name: str, claim: str, hours: float, *, phase: str = "Completed", namespace: str = "shop"
) -> PodVolumeBackup:
    spec = PodVolumeBackupSpec(pod=ObjectReference(namespace=namespace), source=VolumeSource(claim_name=claim))
    status = PodVolumeBackupStatus(phase=phase, start_timestamp=NOW - timedelta(hours=hours))
    return PodVolumeBackup(metadata=ObjectMeta(name=name, namespace="ark"), spec=spec, status=status)


def ages(*captures: PodVolumeBackup) -> dict[tuple[str, str], float]:
    (family,) = VolumeCollector(FakeLister(captures), clock=FakeClock(NOW)).collect()
    return {(one.labels["namespace"], one.labels["claim"]): one.value for one in family.samples}


def test_the_age_of_the_last_capture_of_each_claim() -> None:
    found = ages(
        capture("a", "data", 30),
        capture("b", "data", 6),
        capture("c", "data", 1, phase="Failed"),
        capture("d", "logs", 3, namespace="other"),
        capture("e", "", 1),
    )
    assert found == {("shop", "data"): 6 * HOUR, ("other", "logs"): 3 * HOUR}


def test_above_the_limit_series_collapse_to_namespaces() -> None:
    many = [capture(f"a{number}", f"data-{number}", number % 7) for number in range(2000)]
    assert len(ages(*many)) == 2000
    assert ages(*many, capture("b", "logs", 2, namespace="other")) == {
        ("shop", ""): 6 * HOUR,
        ("other", ""): 2 * HOUR,
    }
    assert by_namespace_above({}) == {}
