"""controller-runtime's series under its names, so that stock dashboards work; children are bound once."""

from __future__ import annotations

from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

SECONDS_BUCKETS = (0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundControllerMetrics:
    """One controller's series."""

    success: Counter
    requeue_after: Counter
    error: Counter
    errors: Counter
    terminal: Counter
    panics: Counter
    timeouts: Counter
    seconds: Histogram
    active: Gauge


class ControllerMetrics:
    """The series of all controllers of one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"controller_runtime_{name}", text, ["controller", *labels], registry=registry)

        def gauge(name: str, text: str) -> Gauge:
            return Gauge(f"controller_runtime_{name}", text, ["controller"], registry=registry)

        self._total = counter("reconcile", "Reconciles by result.", "result")
        self._errors = counter("reconcile_errors", "Reconciles that failed.")
        self._terminal = counter("terminal_reconcile_errors", "Failures for good.")
        self._panics = counter("reconcile_panics", "Failures that nobody foresaw.")
        self._timeouts = counter("reconcile_timeouts", "Reconciles that took longer than they may.")
        self._seconds = Histogram(
            "controller_runtime_reconcile_time_seconds",
            "How long reconciles took.",
            ["controller"],
            buckets=SECONDS_BUCKETS,
            registry=registry,
        )
        self._active = gauge("active_workers", "Workers in a reconcile.")
        self._maximum = gauge("max_concurrent_reconciles", "Workers there are.")

    def of(self, name: str, workers: int) -> BoundControllerMetrics:
        """The series of one controller, all of them at 0."""
        self._maximum.labels(name).set(workers)
        self._total.labels(name, "requeue")  # stock dashboards ask for it; nothing here ends so
        return BoundControllerMetrics(
            success=self._total.labels(name, "success"),
            requeue_after=self._total.labels(name, "requeue_after"),
            error=self._total.labels(name, "error"),
            errors=self._errors.labels(name),
            terminal=self._terminal.labels(name),
            panics=self._panics.labels(name),
            timeouts=self._timeouts.labels(name),
            seconds=self._seconds.labels(name),
            active=self._active.labels(name),
        )
