"""Informers in front of a real API server: nothing lost, nothing invented, whatever happens meanwhile."""

from __future__ import annotations

import concurrent.futures
import gc
import threading
import warnings
from collections.abc import Iterator
from typing import Any, Literal

import pytest

from pkg.apis.meta import JsonObject, Object
from pkg.informers.factory import InformerFactory
from pkg.informers.informer import SharedInformer
from pkg.kube.client import Client
from pkg.kube.refs import CONFIG_MAPS, CRDS, NAMESPACES
from pkg.kube.resources import ResourceRef
from pkg.kube.stop import StopToken
from pkg.kube.transport import KubeTransport, load_transport
from pkg.kube.wire import ByteStream, Response
from pkg.testing.access import ClusterAccess
from pkg.testing.controlplane import ControlPlane

WAIT_SECONDS = 30.0
OURS = "informer-test=yes"


class Small(Object, frozen=True, kw_only=True):
    """A ConfigMap that decodes only when it is a small one."""

    data: dict[str, Literal["small"]] | None = None


class Whole(Object, frozen=True, kw_only=True):
    """A ConfigMap."""

    data: dict[str, str] | None = None


class Mirror:
    """A handler that keeps its own picture and notes what cannot be, such as an add of what is there."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.versions: dict[str, str] = {}
        self.defects: list[str] = []

    def on_add(self, obj: Object, initial: bool) -> None:
        self._check(obj.metadata.key not in self.versions, f"add of {obj.metadata.key}")
        self._put(obj)

    def on_update(self, old: Object, new: Object) -> None:
        known = self.versions.get(old.metadata.key)
        self._check(known == old.metadata.resource_version, f"update of {old.metadata.key} from {known}")
        self._put(new)

    def on_delete(self, obj: Object, final_state_known: bool) -> None:
        self._check(obj.metadata.key in self.versions, f"delete of {obj.metadata.key}")
        with self._changed:
            self.versions.pop(obj.metadata.key, None)
            self._changed.notify_all()

    def _put(self, obj: Object) -> None:
        with self._changed:
            self.versions[obj.metadata.key] = obj.metadata.resource_version
            self._changed.notify_all()

    def _check(self, fine: bool, what: str) -> None:
        if not fine:
            self.defects.append(what)

    def wait_for(self, versions: dict[str, str]) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self.versions == versions, WAIT_SECONDS), (self.versions, versions)
        assert self.defects == []


class Bench:
    def __init__(self, transport: KubeTransport, namespace: str) -> None:
        self.client = Client(transport)
        self.namespace = namespace
        self.stop = StopToken()
        self.factory = InformerFactory(self.client)

    def informer(self) -> SharedInformer[Object]:
        return self.factory.informer(CONFIG_MAPS, Object, namespace=self.namespace, label_selector=OURS)

    def start(self) -> None:
        self.factory.start(self.stop)
        assert self.factory.wait_for_sync(self.stop, WAIT_SECONDS)

    def create(self, name: str, **data: str) -> None:
        obj: JsonObject = {"metadata": {"name": name, "labels": {"informer-test": "yes"}}, "data": dict(data)}
        self.client.create_raw(CONFIG_MAPS, self.namespace, obj)

    def change(self, name: str, value: str) -> None:
        self.client.patch_raw(CONFIG_MAPS, self.namespace, name, {"data": {"value": value}})

    def delete(self, name: str) -> None:
        self.client.delete(CONFIG_MAPS, self.namespace, name)

    def truth(self) -> dict[str, str]:
        found = self.client.list(CONFIG_MAPS, self.namespace, Object, label_selector=OURS)
        return {obj.metadata.key: obj.metadata.resource_version for obj in found}


@pytest.fixture
def bench(control_plane: ClusterAccess, namespace: str) -> Iterator[Bench]:
    transport = load_transport(str(control_plane.kubeconfig))
    made = Bench(transport, namespace)
    yield made
    made.stop.cancel()
    assert made.factory.shutdown(WAIT_SECONDS)
    transport.close()


def test_handlers_that_join_while_events_flow_all_end_up_with_the_truth(bench: Bench) -> None:
    informer = bench.informer()
    mirrors = [Mirror()]
    informer.add_handler(mirrors[0])
    bench.start()

    enough = threading.Event()

    def write(worker: int) -> None:
        number = 0
        while number < 30 or not enough.is_set():
            name = f"c-{worker}-{number % 5}"
            match number // 5 % 3:
                case 0:
                    bench.create(name)
                case 1:
                    bench.change(name, str(number))
                case _:
                    bench.delete(name)
            number += 1

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        writers = [pool.submit(write, worker) for worker in range(4)]
        for _ in range(5):
            mirror = Mirror()
            mirrors.append(mirror)
            informer.add_handler(mirror)
            bench.stop.wait(0.02)
        enough.set()
        for writer in writers:
            writer.result()
    bench.create("last")
    truth = bench.truth()
    for mirror in mirrors:
        mirror.wait_for(truth)
    assert {obj.metadata.key for obj in informer.lister.list()} == set(truth)


def test_a_list_of_many_pages_is_whole(bench: Bench) -> None:
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: bench.create(f"c-{number}"), range(1100)))
    informer, mirror = bench.informer(), Mirror()
    informer.add_handler(mirror)
    bench.start()
    mirror.wait_for(bench.truth())
    assert len(mirror.versions) == 1100


def test_one_object_that_does_not_decode_blinds_nobody_for_the_others(bench: Bench) -> None:
    bench.create("good", kind="small")
    bench.create("bad", kind="large")
    informer = bench.factory.informer(CONFIG_MAPS, Small, namespace=bench.namespace, label_selector=OURS)
    mirror = Mirror()
    informer.add_handler(mirror)
    bench.start()
    assert [obj.metadata.name for obj in informer.lister.list()] == ["good"]
    assert list(informer.undecodable_keys) == [f"{bench.namespace}/bad"]
    bench.client.patch_raw(CONFIG_MAPS, bench.namespace, "bad", {"data": {"kind": "small"}})
    mirror.wait_for(bench.truth())
    assert list(informer.undecodable_keys) == []


def test_all_threads_end_while_their_watches_are_idle(bench: Bench) -> None:
    bench.informer().add_handler(Mirror())
    bench.factory.informer(NAMESPACES, Object)
    bench.start()
    bench.stop.wait(0.3)
    bench.stop.cancel()
    assert bench.factory.shutdown(WAIT_SECONDS)


def test_a_server_that_is_killed_and_comes_back_is_caught_up_with(control_plane: ClusterAccess, bench: Bench) -> None:
    if not isinstance(control_plane, ControlPlane):
        pytest.skip("the cluster is not ours to kill")
    informer, mirror = bench.informer(), Mirror()
    informer.add_handler(mirror)
    bench.start()
    for name in ("stays", "changes", "goes"):
        bench.create(name)
    mirror.wait_for(bench.truth())
    control_plane.process("kube-apiserver").kill()
    control_plane.start()
    bench.change("changes", "2")
    bench.delete("goes")
    bench.create("comes")
    mirror.wait_for(bench.truth())
    with warnings.catch_warnings():
        # CPython 3.11 forgets to close a TLS socket that is reset between connect and handshake (SSLSocket._create).
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def asked_of(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Notes what goes to the server: GETs as `list`, streams as `stream` with a list in it or `watch`."""
    asked: list[str] = []
    request, open_stream = KubeTransport.request, KubeTransport.open_stream

    def note_request(transport: KubeTransport, method: str, path: str, **more: Any) -> Response:
        asked.append("list" if method == "GET" else method)
        return request(transport, method, path, **more)

    def note_stream(transport: KubeTransport, path: str, **more: Any) -> ByteStream:
        asked.append("stream" if "sendInitialEvents" in more["query"] else "watch")
        return open_stream(transport, path, **more)

    monkeypatch.setattr(KubeTransport, "request", note_request)
    monkeypatch.setattr(KubeTransport, "open_stream", note_stream)
    return asked


def test_a_real_server_streams_the_list_and_the_changes_on_one_connection(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        bench.create(name)
    asked = asked_of(bench, monkeypatch)
    informer, mirror = bench.informer(), Mirror()
    informer.add_handler(mirror)
    bench.start()
    assert sorted(obj.metadata.name for obj in informer.lister.list()) == ["a", "b"]
    bench.change("a", "2")
    bench.delete("b")
    mirror.wait_for(bench.truth())
    assert asked.count("stream") == 1
    assert asked.count("watch") == 0


def test_a_cache_that_has_reached_a_writes_version_shows_the_write(bench: Bench) -> None:
    informer = bench.informer()
    bench.start()
    for number in range(50):
        bench.create(f"c-{number}")
        written = bench.client.get(CONFIG_MAPS, bench.namespace, f"c-{number}", Object).metadata
        assert informer.wait_for_rv(written.resource_version, WAIT_SECONDS)
        assert informer.lister.get(bench.namespace, f"c-{number}") is not None


@pytest.mark.parametrize("stream_lists", [True, False], ids=["streamed", "in pages"])
def test_metadata_comes_without_the_rest_of_the_object(bench: Bench, stream_lists: bool) -> None:
    bench.create("a", secret="long")
    factory = InformerFactory(bench.client, stream_lists=stream_lists)
    informer = factory.informer(CONFIG_MAPS, Whole, namespace=bench.namespace, label_selector=OURS, metadata_only=True)
    mirror = Mirror()
    informer.add_handler(mirror)
    factory.start(bench.stop)
    assert factory.wait_for_sync(bench.stop, WAIT_SECONDS)
    bench.create("b", secret="long")
    mirror.wait_for(bench.truth())
    assert [(obj.kind, obj.data) for obj in informer.lister.list()] == [("PartialObjectMetadata", None)] * 2
    assert factory.shutdown(WAIT_SECONDS)


def test_a_kind_that_is_defined_after_the_start_is_found(bench: Bench) -> None:
    ref = ResourceRef(group="test.ark.example", version="v1", plural="laters", kind="Later", namespaced=True)
    informer = bench.factory.informer(ref, Object, namespace=bench.namespace)
    bench.factory.start(bench.stop)
    assert not bench.factory.wait_for_sync(bench.stop, 1.0)
    schema: JsonObject = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version: JsonObject = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    definition: JsonObject = {
        "metadata": {"name": "laters.test.ark.example"},
        "spec": {
            "group": ref.group,
            "scope": "Namespaced",
            "names": {"plural": "laters", "kind": "Later"},
            "versions": [version],
        },
    }
    bench.client.create_raw(CRDS, "", definition)
    try:
        assert bench.factory.wait_for_sync(bench.stop, WAIT_SECONDS)
        bench.client.create_raw(ref, bench.namespace, {"metadata": {"name": "one"}})
        written = bench.client.get(ref, bench.namespace, "one", Object).metadata
        assert informer.wait_for_rv(written.resource_version, WAIT_SECONDS)
    finally:
        bench.client.delete(CRDS, "", "laters.test.ark.example")
