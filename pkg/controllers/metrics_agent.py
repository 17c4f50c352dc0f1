"""An agent's memory and cache, read when somebody asks."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from pkg.restic.cache import Cache
from pkg.restic.memory import MemoryWatch


class AgentCollector(Collector):
    """Answers each scrape from the control group and from the last look at the cache."""

    def __init__(self, memory: MemoryWatch, cache: Cache) -> None:
        self._memory = memory
        self._cache = cache

    def collect(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        """The figures; those of the memory are absent where no control group is seen, the limit where there is none."""
        yield _gauge("ark_restic_cache_bytes", "Disk space of restic's cache.", self._cache.size_bytes)
        yield _gauge("ark_restic_cache_limit_bytes", "What it may hold while unused.", self._cache.limit_bytes)
        yield CounterMetricFamily(
            "ark_agent_memory_kills", "restic processes that the agent killed for want of memory.", self._memory.kills
        )
        state = self._memory.state()
        if state is None:
            return
        yield _gauge("ark_agent_memory_needed_bytes", "Memory in use without droppable page cache.", state.needed_bytes)
        if state.limit_bytes is not None:
            yield _gauge("ark_agent_memory_limit_bytes", "The container's memory limit.", state.limit_bytes)


def _gauge(name: str, documentation: str, value: int) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, documentation, value)
