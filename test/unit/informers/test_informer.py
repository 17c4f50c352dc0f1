"""Informers and their factory in front of an API server in memory."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry

from pkg.apis.core import Pod
from pkg.apis.meta import JsonObject, Object
from pkg.informers.factory import InformerFactory
from pkg.informers.informer import SharedInformer
from pkg.kube.errors import ForbiddenError
from pkg.kube.refs import BACKUPS, NODES, PODS
from pkg.kube.stop import StopToken
from pkg.testing.fakeapi import FakeApi
from pkg.testing.fakeclock import FakeClock

WAIT_SECONDS = 30.0


class Names:
    """A handler that notes names; `wait_for` blocks until one was noted."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.noted: list[str] = []

    def on_add(self, obj: Object, initial: bool) -> None:
        self._note(f"+{obj.metadata.name}")

    def on_update(self, old: Object, new: Object) -> None:
        self._note(f"{'=' if old is new else '~'}{new.metadata.name}")

    def on_delete(self, obj: Object, final_state_known: bool) -> None:
        self._note(f"-{obj.metadata.name}")

    def _note(self, what: str) -> None:
        with self._changed:
            self.noted.append(what)
            self._changed.notify_all()

    def wait_for(self, what: str, times: int = 1) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self.noted.count(what) >= times, WAIT_SECONDS), self.noted


class Bench:
    def __init__(self) -> None:
        self.api = FakeApi()
        self.clock = FakeClock()
        self.stop = StopToken()
        self.registry = CollectorRegistry()
        self.factory = InformerFactory(self.api.client, clock=self.clock, registry=self.registry)

    def start(self) -> None:
        self.factory.start(self.stop)
        assert self.factory.wait_for_sync(self.stop, WAIT_SECONDS)


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.stop.cancel()
    assert made.factory.shutdown(WAIT_SECONDS)


def named(name: str, namespace: str = "ns") -> JsonObject:
    return {"metadata": {"name": name, "namespace": namespace}}


def test_the_cache_holds_what_was_there_and_what_comes(bench: Bench) -> None:
    bench.api.add(PODS, named("a"))
    informer, names = bench.factory.informer(PODS, Pod), Names()
    informer.add_handler(names)
    bench.start()
    bench.api.add(PODS, named("b", "other"))
    names.wait_for("+b")
    lister = informer.lister
    assert sorted(pod.metadata.key for pod in lister.list()) == ["ns/a", "other/b"]
    assert [pod.metadata.name for pod in lister.list("other")] == ["b"]
    assert lister.get("ns", "a") is not None
    assert lister.get("ns", "b") is None


def test_cluster_scoped_objects_are_found_without_a_namespace(bench: Bench) -> None:
    bench.api.add(NODES, {"metadata": {"name": "n1"}})
    informer = bench.factory.informer(NODES, Object)
    bench.start()
    assert informer.lister.get("", "n1") is not None


def test_an_own_index_answers_as_new_as_the_store(bench: Bench) -> None:
    informer, names = bench.factory.informer(PODS, Pod), Names()
    informer.add_index("node", lambda pod: [pod.spec.node_name])
    informer.add_handler(names)
    bench.start()
    bench.api.add(PODS, named("a") | {"spec": {"nodeName": "n1"}})
    names.wait_for("+a")
    assert [pod.metadata.name for pod in informer.lister.by_index("node", "n1")] == ["a"]


def test_an_object_that_leaves_the_selector_is_deleted(bench: Bench) -> None:
    informer, names = bench.factory.informer(PODS, Pod, label_selector="app=x"), Names()
    informer.add_handler(names)
    bench.start()
    bench.api.add(PODS, {"metadata": {"name": "a", "namespace": "ns", "labels": {"app": "x"}}})
    names.wait_for("+a")
    bench.api.client.patch_raw(PODS, "ns", "a", {"metadata": {"labels": {"app": "y"}}})
    names.wait_for("-a")


def test_a_handler_that_joins_a_running_informer_is_told_everything_once(bench: Bench) -> None:
    bench.api.add(PODS, named("a"))
    informer, late = bench.factory.informer(PODS, Pod), Names()
    bench.start()
    registration = informer.add_handler(late)
    assert registration.wait_synced(bench.stop, WAIT_SECONDS)
    assert registration.has_synced
    bench.api.add(PODS, named("b"))
    late.wait_for("+b")
    assert late.noted == ["+a", "+b"]


def test_a_removed_handler_hears_nothing_more_while_the_others_do(bench: Bench) -> None:
    informer, leaving, staying = bench.factory.informer(PODS, Pod), Names(), Names()
    registration = informer.add_handler(leaving)
    informer.add_handler(staying)
    bench.start()
    assert registration.remove(WAIT_SECONDS)
    bench.api.add(PODS, named("a"))
    staying.wait_for("+a")
    assert leaving.noted == []
    assert registration.pending == 0, "nothing is queued for a handler that is gone"


def test_a_resync_shows_everything_again_to_the_handler_that_asked_for_it(bench: Bench) -> None:
    bench.api.add(PODS, named("a"))
    informer, due, other = bench.factory.informer(PODS, Pod), Names(), Names()
    informer.add_handler(due, resync_seconds=60)
    informer.add_handler(other)
    bench.start()
    due.wait_for("+a")
    bench.clock.wait_for_waiters()
    requests = len(bench.api.requests)
    bench.clock.advance(60)
    due.wait_for("=a")
    other.wait_for("+a")
    assert other.noted == ["+a"]
    assert len(bench.api.requests) == requests, "a resync asks the server for nothing"


def test_a_watch_that_is_told_410_heals_with_the_changes_in_between(bench: Bench) -> None:
    bench.api.add(PODS, named("gone"))
    bench.api.add(PODS, named("stays"))
    informer, names = bench.factory.informer(PODS, Pod), Names()
    informer.add_handler(names)
    bench.start()
    names.wait_for("+stays")
    while not bench.api.watches:
        bench.stop.wait(0.001)
    watch = bench.api.watches[0]
    watch.event("ERROR", {"code": 410, "reason": "Expired"})
    bench.clock.wait_for_waiters()
    bench.api.remove(PODS, "ns", "gone")
    bench.api.add(PODS, named("new"))
    bench.api.forget_history()
    bench.clock.advance(2.0)
    names.wait_for("-gone")
    names.wait_for("+new")
    assert names.noted.count("+stays") == 1


def test_an_informer_that_may_not_list_is_not_synced_and_is_named(bench: Bench) -> None:
    bench.api.fail_next(ForbiddenError("no", code=403), method="WATCH", ref=PODS)
    bench.api.fail_next(ForbiddenError("no", code=403), method="GET", ref=PODS)
    bench.factory.informer(PODS, Pod)
    bench.factory.start(bench.stop)
    bench.clock.wait_for_waiters()
    assert not bench.factory.wait_for_sync(bench.stop, 0.01)
    assert bench.factory.not_synced() == ("pods/v1",)


def test_the_same_selection_is_the_same_informer_and_another_is_not(bench: Bench) -> None:
    one = bench.factory.informer(PODS, Pod)
    assert bench.factory.informer(PODS, Pod) is one
    others: list[object] = [
        bench.factory.informer(PODS, Object),
        bench.factory.informer(PODS, Pod, namespace="ns"),
        bench.factory.informer(PODS, Pod, field_selector="spec.nodeName=n1"),
        bench.factory.informer(BACKUPS, Object),
    ]
    assert one not in others


def test_start_starts_what_was_made_since(bench: Bench) -> None:
    bench.factory.informer(PODS, Pod)
    bench.start()
    bench.factory.informer(BACKUPS, Object)
    bench.start()
    assert (bench.api.count("WATCH", PODS), bench.api.count("WATCH", BACKUPS)) == (1, 1)


def test_a_stopped_informer_takes_no_handler(bench: Bench) -> None:
    informer = bench.factory.informer(PODS, Pod)
    bench.start()
    assert informer.stop(WAIT_SECONDS)
    with pytest.raises(RuntimeError, match="was stopped"):
        informer.add_handler(Names())


def test_the_token_ends_an_informer_that_reads_an_idle_watch(bench: Bench) -> None:
    informer: SharedInformer[Pod] = bench.factory.informer(PODS, Pod)
    bench.start()
    bench.stop.cancel()
    assert informer.stop(WAIT_SECONDS)
    assert bench.api.watches == ()


def test_the_metrics_tell_what_the_informers_do(bench: Bench) -> None:
    bench.api.add(PODS, named("a"))
    bench.api.add(PODS, named("bad") | {"spec": 5})
    bench.factory.informer(PODS, Pod)
    bench.start()
    labels = {"name": "pods/v1"}
    assert bench.registry.get_sample_value("ark_informer_objects", labels) == 1
    assert bench.registry.get_sample_value("ark_informer_undecodable_total", labels) == 1
    assert bench.registry.get_sample_value("reflector_lists_total", labels) == 1


def test_metadata_is_asked_for_alone_in_an_informer_of_its_own(bench: Bench) -> None:
    whole = bench.factory.informer(PODS, Object)
    slim = bench.factory.informer(PODS, Object, metadata_only=True)
    assert slim is not whole
    assert str(slim.selection) == "pods/v1 metadata"


def test_a_writer_reads_its_own_write_after_waiting_for_its_version(bench: Bench) -> None:
    informer = bench.factory.informer(PODS, Pod)
    bench.start()
    written = bench.api.client.create(PODS, "ns", named("a"), Object)
    assert informer.wait_for_rv(written.metadata.resource_version, WAIT_SECONDS)
    assert informer.lister.get("ns", "a") is not None
    assert informer.version == written.metadata.resource_version
    assert not informer.wait_for_rv("999999", 0.01)


def test_a_server_that_streams_lists_is_asked_for_one_watch_and_one_that_does_not_for_pages(bench: Bench) -> None:
    bench.api.add(PODS, named("a"))
    bench.factory.informer(PODS, Pod)
    bench.start()
    bench.api.streams_lists = False
    pages, names = bench.factory.informer(PODS, Object), Names()
    pages.add_handler(names)
    bench.start()
    names.wait_for("+a")
    assert [asked.method for asked in bench.api.requests] == ["WATCH", "WATCH", "GET", "WATCH"]


def test_a_factory_can_read_pages_only(bench: Bench) -> None:
    factory = InformerFactory(bench.api.client, clock=bench.clock, stream_lists=False)
    factory.informer(PODS, Pod)
    factory.start(bench.stop)
    assert factory.wait_for_sync(bench.stop, WAIT_SECONDS)
    assert bench.api.requests[0].method == "GET"
    assert factory.shutdown(WAIT_SECONDS)
