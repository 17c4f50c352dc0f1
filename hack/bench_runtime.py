"""How Ark's informers and queue compare with client-go's: the same bytes from the same socket, in turn.

The bytes are recorded, because a real API server sends slower than either reads. Both sides have two indexes, one
handler, one queue with metrics and two workers. Ark decodes the fields that it reads, client-go decodes all of them;
the custom resource is decoded whole by both.
"""

from __future__ import annotations

import functools

from hack.bench_figures import Row, Samples, limit_row, row
from hack.bench_runtime_runs import Run, Runs, both, measured, replay
from pkg.testing.processes import HarnessError

SUITE = "runtime"
OBJECTS = 10_000
EVENTS = 20_000
QUIET_OBJECTS = 100
QUIET_EVENTS = 500
INTERVAL_US = 2000
QUEUE_KEYS = 300_000
MIB = 1 << 20


@functools.cache
def sync_runs(kind: str, stream: bool) -> Runs:
    """A list of many objects and, unless it is streamed, many events."""
    events = 0 if stream else EVENTS
    arguments = ["sync", "--kind", kind, "--objects", str(OBJECTS), "--events", str(events)]

    def measure() -> Runs:
        with replay(f"{kind}={OBJECTS}", "--events", str(EVENTS)) as server:
            return both([*arguments, "--server", server], stream=stream)

    return measured(f"{kind} from one socket", measure, Runs())


@functools.cache
def quiet_runs() -> Runs:
    """Single events with time between them."""
    counts = ["--objects", str(QUIET_OBJECTS), "--events", str(QUIET_EVENTS), "--interval-us", str(INTERVAL_US)]

    def measure() -> Runs:
        with replay(f"widgets={QUIET_OBJECTS}") as server:
            return both(["sync", "--kind", "widgets", *counts, "--server", server])

    return measured("latency", measure, Runs())


def events_per_second(run: Run) -> float:
    """The rate from the socket to the workers; HarnessError when an event was lost."""
    if run.number("updates") != EVENTS - 1:
        raise HarnessError(f"{run.number('updates'):.0f} of {EVENTS - 1} updates came")
    return EVENTS / run.number("events_seconds")


def _rate(kind: str, name: str, bound: float) -> Row:
    none = Samples(values=(), references=())
    samples = measured(name, lambda: sync_runs(kind, False).samples(events_per_second), none)
    return row(SUITE, name, samples, reference="client-go", bound=bound, unit="/s", at_least=True)


def pod_events_row() -> Row:
    """Pods of 8 KB that change."""
    return _rate("pods", "8 KB pod events", 3.0)


def custom_events_row() -> Row:
    """Custom resources of 1.9 KB that change."""
    return _rate("widgets", "1.9 KB custom resource events", 2.0)


def paged_row() -> Row:
    """Many pods, listed in pages, until a worker had each."""
    samples = sync_runs("pods", False).samples(lambda run: run.number("sync_seconds"))
    return row(SUITE, "10,000 pods in pages to workers", samples, reference="client-go", bound=0.6)


def streamed_row() -> Row:
    """Many pods, listed by WatchList, until a worker had each."""
    samples = sync_runs("pods", True).samples(lambda run: run.number("sync_seconds"))
    return row(SUITE, "10,000 pods by WatchList to workers", samples, reference="client-go", bound=0.6)


def paged_memory_row() -> Row:
    """The process that holds them, after pages."""
    return _memory(False, "RSS with 10,000 pods from pages")


def streamed_memory_row() -> Row:
    """The process that holds them, after a streamed list."""
    return _memory(True, "RSS with 10,000 pods from WatchList")


def _memory(stream: bool, name: str) -> Row:
    samples = sync_runs("pods", stream).samples(lambda run: run.number("rss_bytes") / MIB)
    return row(SUITE, name, samples, reference="client-go", bound=0.6, unit="MiB")


def latency_median_row() -> Row:
    """From the socket to a worker when nothing else happens."""
    samples = quiet_runs().samples(lambda run: run.percentile("latency_ms", 50))
    return limit_row(SUITE, "1.9 KB event to worker, p50", samples, limit=0.3, unit="ms", beside="client-go")


def latency_tail_row() -> Row:
    """The slowest of a hundred."""
    samples = quiet_runs().samples(lambda run: run.percentile("latency_ms", 99))
    return limit_row(SUITE, "1.9 KB event to worker, p99", samples, limit=3.0, unit="ms", beside="client-go")


def queue_row() -> Row:
    """One key after the other through the queue with its metrics."""
    runs = measured("queue", lambda: both(["queue", "--count", str(QUEUE_KEYS)]), Runs())
    samples = runs.samples(lambda run: run.number("per_second"))
    return limit_row(
        SUITE,
        "queue add + get + done, with metrics",
        samples,
        limit=100_000,
        unit="/s",
        beside="client-go",
        at_least=True,
    )
