"""Ark's own series; 0.9's names stay, ours are added. Labels come from closed sets or from Schedules' names."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from pkg.apis.ark import Backup, Restore
from pkg.apis.names import SCHEDULE_LABEL
from pkg.apis.reasons import BackupPhase

DURATION_BUCKETS = (60, 300, 600, 900, 1800, 3600, 7200, 10800, 14400)


class ServerMetrics:
    """What the server counts; one per registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(name, text, labels, registry=registry)

        self._attempts = counter("ark_backup_attempt", "Backups that were started.", "schedule")
        self._successes = counter("ark_backup_success", "Backups that were Completed.", "schedule")
        self._partial = counter("ark_backup_partial_failure", "Backups that were PartiallyFailed.", "schedule")
        self._failures = counter("ark_backup_failure", "Backups that Failed.", "schedule")
        self._invalid = counter("ark_backup_validation_failure", "Backups that were refused.", "schedule")
        self._tarball = Gauge(
            "ark_backup_tarball_size_bytes", "Size of the last tarball.", ("schedule",), registry=registry
        )
        self._duration = Histogram(
            "ark_backup_duration_seconds",
            "From start to end.",
            ("schedule",),
            buckets=DURATION_BUCKETS,
            registry=registry,
        )
        self._restores = counter("ark_restore", "Restores that ended, by phase.", "phase")

    def backup_started(self, backup: Backup) -> None:
        """Counts an attempt."""
        self._attempts.labels(backup.metadata.label(SCHEDULE_LABEL)).inc()

    def tarball_written(self, backup: Backup, size_bytes: int) -> None:
        """Notes the size of a tarball."""
        self._tarball.labels(backup.metadata.label(SCHEDULE_LABEL)).set(size_bytes)

    def backup_ended(self, backup: Backup) -> None:
        """Counts a backup that has reached its terminal phase."""
        schedule, status = backup.metadata.label(SCHEDULE_LABEL), backup.status
        by_phase = {
            BackupPhase.COMPLETED.value: self._successes,
            BackupPhase.PARTIALLY_FAILED.value: self._partial,
            BackupPhase.FAILED.value: self._failures,
            BackupPhase.FAILED_VALIDATION.value: self._invalid,
        }
        if status.phase in by_phase:
            by_phase[status.phase].labels(schedule).inc()
        if status.start_timestamp and status.completion_timestamp:
            elapsed = (status.completion_timestamp - status.start_timestamp).total_seconds()
            self._duration.labels(schedule).observe(elapsed)

    def restore_ended(self, restore: Restore) -> None:
        """Counts a restore that has reached its terminal phase."""
        self._restores.labels(restore.status.phase).inc()
