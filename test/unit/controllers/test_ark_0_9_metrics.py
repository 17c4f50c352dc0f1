"""The series of Ark 0.9 keep their names, their label and their buckets."""

from __future__ import annotations

import datetime

import pytest
from prometheus_client import CollectorRegistry

from pkg.apis.ark import Backup, BackupStatus
from pkg.apis.meta import ObjectMeta
from pkg.apis.names import SCHEDULE_LABEL
from pkg.controllers.metrics import ServerMetrics
from pkg.testing.fakeclock import START

BUCKETS = ("60.0", "300.0", "600.0", "900.0", "1800.0", "3600.0", "7200.0", "10800.0", "14400.0", "+Inf")
NIGHTLY = {"schedule": "nightly"}


@pytest.fixture
def registry() -> CollectorRegistry:
    """The metrics of a server that made one backup in ten minutes and failed at another."""
    made = CollectorRegistry()
    metrics = ServerMetrics(made)
    for phase in ("Completed", "Failed"):
        ended = START + datetime.timedelta(minutes=10)
        status = BackupStatus(phase=phase, start_timestamp=START, completion_timestamp=ended)
        backup = Backup(metadata=ObjectMeta(name="b", labels={SCHEDULE_LABEL: "nightly"}), status=status)
        metrics.backup_started(backup)
        metrics.tarball_written(backup, 1000)
        metrics.backup_ended(backup)
    return made


@pytest.mark.parametrize(
    ("series", "value"),
    [
        ("ark_backup_attempt_total", 2),
        ("ark_backup_success_total", 1),
        ("ark_backup_failure_total", 1),
        ("ark_backup_tarball_size_bytes", 1000),
        ("ark_backup_duration_seconds_count", 2),
        ("ark_backup_duration_seconds_sum", 1200),
    ],
)
def test_a_series_of_0_9_is_kept(registry: CollectorRegistry, series: str, value: float) -> None:
    assert registry.get_sample_value(series, NIGHTLY) == value


def test_the_buckets_of_0_9_are_kept(registry: CollectorRegistry) -> None:
    samples = [sample for family in registry.collect() for sample in family.samples]
    found = [one.labels["le"] for one in samples if one.name == "ark_backup_duration_seconds_bucket"]
    assert tuple(found) == BUCKETS
