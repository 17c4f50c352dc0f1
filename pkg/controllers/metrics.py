"""Ark's own series; 0.9's names stay, ours are added. Labels come from closed sets or from Schedules' names.

Counters begin at 0 when the server starts or a Schedule appears; what must outlive the server (the last success, ages)
is in metrics_schedules.py, from the objects. A Schedule that is deleted takes its series along, and what a backup of it
does afterwards counts as that of a backup without one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from pkg.apis.ark import Backup, Restore
from pkg.apis.names import SCHEDULE_LABEL
from pkg.apis.reasons import BackupPhase, Reason

DURATION_BUCKETS = (60, 300, 600, 900, 1800, 3600, 7200, 10800, 14400)
LEFT_OUT_REASONS = (Reason.MISSED, Reason.OVERLAP, Reason.NAME_TAKEN)


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
        self._left_out = counter(
            "ark_schedule_skipped", "Runs of a schedule that were left out, by reason.", "schedule", "reason"
        )
        self._restores = counter("ark_restore", "Restores that ended, by phase.", "phase")
        self._is_schedule: Callable[[str], bool] = bool

    def only_schedules(self, exists: Callable[[str], bool]) -> None:
        """From now on a backup whose label names no schedule that exists counts as one without a schedule."""
        self._is_schedule = exists

    def schedule_seen(self, label: str) -> None:
        """Shows a schedule's counters, at 0 when they are new."""
        for counter in self._counters():
            counter.labels(label)
        for reason in LEFT_OUT_REASONS:
            self._left_out.labels(label, reason.value)

    def schedule_gone(self, label: str) -> None:
        """Forgets every series of a schedule."""
        for series in (*self._counters(), self._tarball, self._duration):
            with contextlib.suppress(KeyError):
                series.remove(label)
        for reason in LEFT_OUT_REASONS:
            with contextlib.suppress(KeyError):
                self._left_out.remove(label, reason.value)

    def run_left_out(self, label: str, reason: Reason) -> None:
        """Counts a run that a schedule did not make."""
        self._left_out.labels(label, reason.value).inc()

    def backup_started(self, backup: Backup) -> None:
        """Counts an attempt."""
        self._attempts.labels(self._schedule_of(backup)).inc()

    def tarball_written(self, backup: Backup, size_bytes: int) -> None:
        """Notes the size of a tarball."""
        self._tarball.labels(self._schedule_of(backup)).set(size_bytes)

    def backup_ended(self, backup: Backup) -> None:
        """Counts a backup that has reached its terminal phase."""
        schedule, status = self._schedule_of(backup), backup.status
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

    def _counters(self) -> tuple[Counter, ...]:
        return self._attempts, self._successes, self._partial, self._failures, self._invalid

    def _schedule_of(self, backup: Backup) -> str:
        label = backup.metadata.label(SCHEDULE_LABEL)
        return label if self._is_schedule(label) else ""
