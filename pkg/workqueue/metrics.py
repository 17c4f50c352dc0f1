"""Queue metrics under client-go's names, so that stock dashboards work; children are bound once per queue."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

BUCKETS = tuple(1e-8 * 10**power for power in range(12))


class QueueMetrics:
    """The series of all queues of one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def gauge(name: str, text: str) -> Gauge:
            return Gauge(f"workqueue_{name}", text, ["name"], registry=registry)

        def histogram(name: str, text: str) -> Histogram:
            return Histogram(f"workqueue_{name}", text, ["name"], buckets=BUCKETS, registry=registry)

        self._depth = gauge("depth", "Keys that wait.")
        self._adds = Counter("workqueue_adds", "Keys that were added.", ["name"], registry=registry)
        self._retries = Counter("workqueue_retries", "Keys that were added again later.", ["name"], registry=registry)
        self._waited = histogram("queue_duration_seconds", "How long keys waited.")
        self._worked = histogram("work_duration_seconds", "How long keys were worked on.")
        self._unfinished = gauge("unfinished_work_seconds", "Work in progress, in seconds so far.")
        self._longest = gauge("longest_running_processor_seconds", "The longest work in progress.")

    def of(self, name: str) -> BoundMetrics:
        """The series of one queue."""
        return BoundMetrics(
            depth=self._depth.labels(name),
            adds=self._adds.labels(name),
            retries=self._retries.labels(name),
            waited=self._waited.labels(name),
            worked=self._worked.labels(name),
            unfinished=self._unfinished.labels(name),
            longest=self._longest.labels(name),
        )


class BoundMetrics:
    """One queue's series."""

    def __init__(
        self,
        *,
        depth: Gauge,
        adds: Counter,
        retries: Counter,
        waited: Histogram,
        worked: Histogram,
        unfinished: Gauge,
        longest: Gauge,
    ) -> None:
        self.depth = depth
        self.adds = adds
        self.retries = retries
        self.waited = waited
        self.worked = worked
        self.unfinished = unfinished
        self.longest = longest
