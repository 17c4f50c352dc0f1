"""What is counted of the syncs; an alert asks for the age of the last good one and for damaged backups."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge

from pkg.controllers.sync import SyncReport


class SyncMetrics:
    """The series of the sync; one per registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._passes = Counter(
            "ark_backup_sync", "Looks through the bucket, by outcome.", ("outcome",), registry=registry
        )
        self._imported = Counter("ark_backup_imported", "Backups that were found in the bucket.", registry=registry)
        self._damaged = Gauge(
            "ark_backup_damaged", "Directories of the bucket whose metadata cannot be used.", registry=registry
        )
        self._last = Gauge(
            "ark_backup_sync_last_success_timestamp_seconds", "When the bucket was looked through.", registry=registry
        )

    def passed(self, report: SyncReport) -> None:
        """Counts a pass that came to its end."""
        self._passes.labels("success").inc()
        self._imported.inc(report.imported)
        self._damaged.set(report.damaged)
        self._last.set_to_current_time()

    def failed(self) -> None:
        """Counts a pass that did not."""
        self._passes.labels("failure").inc()
