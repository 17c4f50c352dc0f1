"""The rows of `make bench SUITE=runtime`, in the order of the table."""

from __future__ import annotations

from collections.abc import Callable

from hack import bench_runtime as replayed
from hack import bench_runtime_idle as idle
from hack import bench_runtime_scale as scale
from hack.bench_figures import Row

RUNTIME: tuple[Callable[[], Row], ...] = (
    replayed.pod_events_row,
    replayed.custom_events_row,
    replayed.paged_row,
    replayed.streamed_row,
    replayed.paged_memory_row,
    replayed.streamed_memory_row,
    replayed.latency_median_row,
    replayed.latency_tail_row,
    replayed.queue_row,
    idle.worst_second_row,
    idle.settled_row,
    idle.stop_row,
    idle.dead_peer_row,
    scale.namespaces_row,
    scale.server_time_row,
    scale.server_memory_row,
    scale.agent_memory_row,
)
