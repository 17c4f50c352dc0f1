"""What the informers of a process are doing, counted when Prometheus asks.

The reflector's names are client-go's, so that stock dashboards work; `name` is the informer's selection.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector


@dataclass(frozen=True, slots=True, kw_only=True)
class InformerStatistics:
    """One informer's numbers at one moment."""

    name: str
    objects: int
    pending_notifications: int
    lists: int
    watches: int
    last_version: str
    undecodable: int


class InformerCollector(Collector):
    """Reads the statistics at each scrape; nothing is kept for informers that are gone."""

    def __init__(self, read: Callable[[], Iterable[InformerStatistics]]) -> None:
        self._read = read

    def collect(self) -> Iterator[Metric]:
        """Yields one family per number."""
        lists = CounterMetricFamily("reflector_lists", "Lists that succeeded", labels=["name"])
        watches = CounterMetricFamily("reflector_watches", "Watches that were opened", labels=["name"])
        version = GaugeMetricFamily("reflector_last_resource_version", "Newest version that was seen", labels=["name"])
        objects = GaugeMetricFamily("ark_informer_objects", "Objects in the cache", labels=["name"])
        pending = GaugeMetricFamily("ark_informer_pending_notifications", "Not yet handled", labels=["name"])
        broken = CounterMetricFamily("ark_informer_undecodable", "Objects that did not decode", labels=["name"])
        for one in {one.name: one for one in self._read()}.values():
            lists.add_metric([one.name], one.lists)
            watches.add_metric([one.name], one.watches)
            version.add_metric([one.name], float(one.last_version) if one.last_version.isdigit() else 0.0)
            objects.add_metric([one.name], one.objects)
            pending.add_metric([one.name], one.pending_notifications)
            broken.add_metric([one.name], one.undecodable)
        yield from (lists, watches, version, objects, pending, broken)
