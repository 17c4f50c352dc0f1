"""What very many objects cost: each as much time and memory as one of few, and an agent of one node nothing."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from hack.bench_figures import Row, Samples, row
from hack.bench_runtime_runs import OURS, Run, measured, replay, run

SUITE = "runtime"
ROUNDS = 3
KIND = "podvolumebackups"
MANY, FEW = 100_000, 25_000
MANY_NAMESPACES, FEW_NAMESPACES = 2_500, 625
ON_ONE_NODE = 200
LINEAR, FLAT = 1.25, 1.1
KIB, MIB = 1 << 10, 1 << 20


def _runs(kind: str, objects: int, selected: int = 0) -> Sequence[Run]:
    arguments = ["sync", "--paged", "--kind", kind, "--objects", str(selected or objects)]
    node = ["--node", "node-1"] if selected else []

    def measure() -> Sequence[Run]:
        with replay(f"{kind}={objects}", "--selected", str(selected)) as server:
            return [run([*OURS, *arguments, *node, "--server", server]) for _ in range(ROUNDS)]

    return measured(f"{objects} {kind}", measure, ())


@functools.cache
def server_runs(objects: int) -> Sequence[Run]:
    """The server's informer, which has all of them."""
    return _runs(KIND, objects)


def server_time_row() -> Row:
    """Until a worker had each."""
    return _per_object(f"{MANY:,} PodVolumeBackups to workers, each", server_runs(MANY), server_runs(FEW), MANY, FEW)


def namespaces_row() -> Row:
    """Until a worker had each."""
    many, few = _runs("namespaces", MANY_NAMESPACES), _runs("namespaces", FEW_NAMESPACES)
    return _per_object(f"{MANY_NAMESPACES:,} namespaces to workers, each", many, few, MANY_NAMESPACES, FEW_NAMESPACES)


def _per_object(name: str, many: Sequence[Run], few: Sequence[Run], count: int, fewer: int) -> Row:
    samples = Samples(
        values=[one.number("sync_seconds") / count * 1e6 for one in many],
        references=[one.number("sync_seconds") / fewer * 1e6 for one in few],
    )
    return row(SUITE, name, samples, reference=f"each of {fewer:,}", bound=LINEAR, unit="us")


def server_memory_row() -> Row:
    """What the process has grown by."""
    samples = Samples(
        values=[_growth(one) / MANY / KIB for one in server_runs(MANY)],
        references=[_growth(one) / FEW / KIB for one in server_runs(FEW)],
    )
    name = f"memory of {MANY:,} PodVolumeBackups, each"
    return row(SUITE, name, samples, reference=f"each of {FEW:,}", bound=LINEAR, unit="KiB")


def _growth(one: Run) -> float:
    return one.number("rss_bytes") - one.number("base_bytes")


def agent_memory_row() -> Row:
    """An agent's process, whose selector leaves as many objects however many there are."""
    samples = Samples(
        values=[one.number("rss_bytes") / MIB for one in _runs(KIND, MANY, ON_ONE_NODE)],
        references=[one.number("rss_bytes") / MIB for one in _runs(KIND, FEW, ON_ONE_NODE)],
    )
    name = f"RSS of an agent among {MANY:,}"
    return row(SUITE, name, samples, reference=f"among {FEW:,}", bound=FLAT, unit="MiB")
