"""What hack/bench/client-go does, with Ark's informers: two indexes, one handler, one queue, two workers.

Run as `python -m hack.bench_runtime_ours sync|queue|stop|errors …`; it prints its figures as one JSON object.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from prometheus_client import CollectorRegistry

from hack.bench_runtime_objects import GROUP, LAST, STAMP
from pkg.apis.core import Namespace, Pod
from pkg.apis.meta import Object
from pkg.apis.names import NODE_LABEL
from pkg.apis.volumes import PodVolumeBackup
from pkg.informers.factory import InformerFactory
from pkg.informers.informer import SharedInformer
from pkg.informers.lister import Lister
from pkg.kube.client import Client
from pkg.kube.clock import REAL_CLOCK
from pkg.kube.refs import NAMESPACES, POD_VOLUME_BACKUPS, PODS
from pkg.kube.resources import ResourceRef
from pkg.kube.stop import StopToken
from pkg.kube.transport import load_transport
from pkg.workqueue.delaying import Timer
from pkg.workqueue.key import Key
from pkg.workqueue.metrics import QueueMetrics
from pkg.workqueue.rate_limiting import RateLimitingQueue

WORKERS = 2
PATIENCE_SECONDS = 60.0
SETTLE_SECONDS = 0.5
BY_NODE = "node"


class Widget(Object, frozen=True, kw_only=True):
    """A custom resource of which nothing in spec and status is left out."""

    spec: dict[str, object] = {}  # noqa: RUF012 - msgspec copies an empty default
    status: dict[str, object] = {}  # noqa: RUF012 - as above


def _kind(number: int) -> ResourceRef:
    return ResourceRef(group=GROUP, plural=f"kinds{number}", kind="Widget")


KINDS: dict[str, tuple[ResourceRef, type[Object]]] = {
    "pods": (PODS, Pod),
    "widgets": (ResourceRef(group=GROUP, plural="widgets", kind="Widget"), Widget),
    "podvolumebackups": (POD_VOLUME_BACKUPS, PodVolumeBackup),
    "namespaces": (NAMESPACES, Namespace),
}


def node_of(obj: Object) -> tuple[str]:
    """The second index; the informer has the one by namespace already."""
    return (obj.spec.node_name if isinstance(obj, Pod) else obj.metadata.label(BY_NODE),)


class Consumer:
    """What a controller does around its reconciler: keys into a queue, keys to workers, objects from the cache."""

    def __init__(self, lister: Lister[Object], objects: int) -> None:
        self._lister = lister
        self._objects = objects
        metrics = QueueMetrics(CollectorRegistry()).of("bench")
        self._queue: RateLimitingQueue[Key] = RateLimitingQueue(Timer(REAL_CLOCK), REAL_CLOCK, metrics)
        self._lock = threading.Lock()
        self.updates = 0
        self.handled = 0
        self.latency_ms: list[float] = []
        self.synced = threading.Event()
        self.ended = threading.Event()

    def on_add(self, obj: Object, initial: bool) -> None:
        """Queues the object's key."""
        self._add(obj)

    def on_update(self, old: Object, new: Object) -> None:
        """Counts, and queues the key."""
        self.updates += 1
        self._add(new)

    def on_delete(self, obj: Object, final_state_known: bool) -> None:
        """Queues the key."""
        self._add(obj)

    def _add(self, obj: Object) -> None:
        self._queue.add(Key(obj.metadata.namespace, obj.metadata.name))

    def work(self) -> None:
        """A worker."""
        queue = self._queue
        while (key := queue.get()) is not None:
            self._reconcile(key)
            queue.forget(key)
            queue.done(key)

    def _reconcile(self, key: Key) -> None:
        obj = self._lister.get(key.namespace, key.name)
        if obj is None:
            return
        sent = int(obj.metadata.annotation(STAMP) or 0)
        if sent:
            self.latency_ms.append((time.time_ns() - sent) / 1e6)
        with self._lock:
            self.handled += 1
            handled = self.handled
        if handled == self._objects:
            self.synced.set()
        if key.name == LAST:
            self.ended.set()


@contextmanager
def client_of(server: str) -> Iterator[Client]:
    """A client as a daemon has it."""
    with tempfile.TemporaryDirectory(prefix="ark-bench-") as directory:
        path = Path(directory) / "kubeconfig"
        context = {"name": "bench", "context": {"cluster": "bench"}}
        cluster = {"name": "bench", "cluster": {"server": server}}
        path.write_text(json.dumps({"current-context": "bench", "contexts": [context], "clusters": [cluster]}))
        yield Client(load_transport(str(path)))


def measure_sync(chosen: argparse.Namespace) -> dict[str, object]:
    """A list, and then events, until workers have all."""
    with client_of(chosen.server) as client:
        ref, struct = KINDS[chosen.kind]
        factory = InformerFactory(client, stream_lists=not chosen.paged)
        informer: SharedInformer[Object] = factory.informer(ref, struct, label_selector=selector(chosen.node))
        informer.add_index(BY_NODE, node_of)
        it = Consumer(informer.lister, chosen.objects)
        before = memory("VmRSS")
        started = time.monotonic()
        informer.add_handler(it)
        for number in range(WORKERS):
            threading.Thread(target=it.work, name=f"worker-{number}", daemon=True).start()
        factory.start(StopToken())
        await_event(it.synced, "the list")
        figures: dict[str, object] = {"sync_seconds": time.monotonic() - started}
        time.sleep(SETTLE_SECONDS)
        figures |= {"base_bytes": before, "rss_bytes": memory("VmRSS"), "peak_bytes": memory("VmHWM")}
        if chosen.events:
            figures["events_seconds"] = seconds_of_events(it, chosen)
    return figures | {"updates": it.updates, "handled": it.handled, "latency_ms": it.latency_ms}


def selector(node: str) -> str:
    """What an agent asks for."""
    return f"{NODE_LABEL}={node}" if node else ""


def seconds_of_events(it: Consumer, chosen: argparse.Namespace) -> float:
    """Lets the server send and waits until a worker has the last one."""
    started = time.monotonic()
    with urllib.request.urlopen(f"{chosen.server}/go?count={chosen.events}&interval_us={chosen.interval_us}"):
        pass
    await_event(it.ended, "the last event")
    return time.monotonic() - started


def measure_queue(chosen: argparse.Namespace) -> dict[str, object]:
    """Adds, takes and ends one key after the other in one thread."""
    metrics = QueueMetrics(CollectorRegistry()).of("bench")
    queue: RateLimitingQueue[Key] = RateLimitingQueue(Timer(REAL_CLOCK), REAL_CLOCK, metrics)
    keys = [Key("namespace", str(number)) for number in range(1000)]
    started = time.monotonic()
    for number in range(chosen.count):
        queue.add(keys[number % len(keys)])
        key = queue.get()
        if key is not None:
            queue.done(key)
    return {"per_second": chosen.count / (time.monotonic() - started)}


def many_informers(client: Client, count: int) -> InformerFactory:
    """Informers of as many kinds, all of the same server."""
    factory = InformerFactory(client)
    for number in range(count):
        factory.informer(_kind(number), Widget)
    return factory


def measure_stop(chosen: argparse.Namespace) -> dict[str, object]:
    """Ends informers whose watches are all quiet."""
    with client_of(chosen.server) as client:
        factory = many_informers(client, chosen.count)
        stop = StopToken()
        factory.start(stop)
        if not factory.wait_for_sync(stop, PATIENCE_SECONDS):
            raise TimeoutError("the informers did not sync")
        time.sleep(1.0)
        started = time.monotonic()
        stop.cancel("bench")
        if not factory.shutdown():
            raise TimeoutError("the informers did not stop")
        return {"stop_seconds": time.monotonic() - started}


def keep_trying(chosen: argparse.Namespace) -> dict[str, object]:
    """Runs informers until somebody ends it; the server counts what they ask."""
    with client_of(chosen.server) as client:
        many_informers(client, chosen.count).start(StopToken())
        threading.Event().wait()
    return {}


def await_event(event: threading.Event, what: str) -> None:
    """Waits; TimeoutError when it does not come."""
    if not event.wait(PATIENCE_SECONDS):
        raise TimeoutError(f"{what} did not come in {PATIENCE_SECONDS:g} s")


def memory(field: str) -> int:
    """A figure of this process, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:"))


MODES: dict[str, Callable[[argparse.Namespace], dict[str, object]]] = {
    "sync": measure_sync,
    "queue": measure_queue,
    "stop": measure_stop,
    "errors": keep_trying,
}


def main() -> None:
    """Runs one mode."""
    parser = argparse.ArgumentParser()
    parser.add_argument("mode", choices=MODES)
    parser.add_argument("--server", default="")
    parser.add_argument("--kind", default="pods")
    parser.add_argument("--node", default="")
    parser.add_argument("--paged", action="store_true")
    for name in ("objects", "events", "interval-us", "count"):
        parser.add_argument(f"--{name}", type=int, default=0)
    chosen = parser.parse_args()
    print(json.dumps(MODES[chosen.mode](chosen)))


if __name__ == "__main__":
    main()
