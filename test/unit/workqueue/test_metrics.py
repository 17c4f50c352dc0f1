from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from pkg.workqueue.metrics import BUCKETS, QueueMetrics


def test_the_series_of_a_queue_carry_client_gos_names() -> None:
    registry = CollectorRegistry()
    QueueMetrics(registry).of("backups")
    families = text_string_to_metric_families(generate_latest(registry).decode())
    assert {family.name: family.type for family in families} == {
        "workqueue_depth": "gauge",
        "workqueue_adds": "counter",
        "workqueue_retries": "counter",
        "workqueue_queue_duration_seconds": "histogram",
        "workqueue_work_duration_seconds": "histogram",
        "workqueue_unfinished_work_seconds": "gauge",
        "workqueue_longest_running_processor_seconds": "gauge",
    }


@pytest.mark.parametrize(
    ("seconds", "bound"),
    [
        pytest.param(0.0, "1e-08", id="no time is in the first bucket"),
        pytest.param(1.0, "1.0", id="a bound belongs to its bucket"),
        pytest.param(1.1, "10.0", id="above it begins the next one"),
        pytest.param(5000.0, "+Inf", id="what is beyond all bounds is in the last"),
    ],
)
def test_a_duration_is_in_its_bucket_and_all_above(seconds: float, bound: str) -> None:
    registry = CollectorRegistry()
    QueueMetrics(registry).of("q").waited.observe(seconds)

    def at_most(le: str) -> float | None:
        return registry.get_sample_value("workqueue_queue_duration_seconds_bucket", {"name": "q", "le": le})

    bounds = [*map(str, BUCKETS), "+Inf"]
    assert [le for le in bounds if at_most(le)] == bounds[bounds.index(bound) :]
    assert registry.get_sample_value("workqueue_queue_duration_seconds_count", {"name": "q"}) == 1
    assert registry.get_sample_value("workqueue_queue_duration_seconds_sum", {"name": "q"}) == seconds


def test_a_name_has_one_set_of_series() -> None:
    registry = CollectorRegistry()
    metrics = QueueMetrics(registry)
    metrics.of("q").adds.inc()
    metrics.of("q").adds.inc()
    assert registry.get_sample_value("workqueue_adds_total", {"name": "q"}) == 2


def test_a_second_set_of_queues_in_one_registry_is_refused() -> None:
    registry = CollectorRegistry()
    QueueMetrics(registry)
    with pytest.raises(ValueError, match="Duplicated"):
        QueueMetrics(registry)
