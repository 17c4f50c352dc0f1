from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from pkg.apis.core import Node, Pod
from pkg.kube.clock import REAL_CLOCK
from pkg.kube.refs import EVENTS, LEASES, NODES, PODS
from pkg.kube.stop import StopToken
from pkg.manager.leader import LeaderElector, Lease, LeaseSettings
from pkg.manager.manager import LOST_LEASE, Manager
from pkg.manager.operations import Operations, Succeeded
from pkg.manager.reconciler import Result, done
from pkg.testing.fakeapi import FakeApi
from pkg.workqueue.key import Key

LONG_SECONDS = 20.0
KEY = Key("ns", "web")


class Recording:
    """A reconciler that starts an operation for each object, and records how it ended."""

    def __init__(self, work: Callable[[StopToken], str]) -> None:
        self.work = work
        self.recorded: list[str] = []
        self.operations: Operations[str] | None = None

    def reconcile(self, key: Key) -> Result:
        assert self.operations is not None
        match self.operations.observe(key):
            case None:
                self.operations.start(key, self.work)
            case Succeeded(result=text):
                self.recorded.append(text)
                self.operations.forget(key)
        return done()


class World:
    def __init__(self, *, leads: bool = False, grace_seconds: float = LONG_SECONDS) -> None:
        self.api = FakeApi()
        self.api.client.create_raw(PODS, "ns", {"metadata": {"name": "web", "namespace": "ns"}})
        self.stop = StopToken()
        self.codes: list[int] = []
        settings = LeaseSettings(namespace="ns", name="ark", identity="me")
        elector = LeaderElector(self.api.client, settings, REAL_CLOCK) if leads else None
        self.manager = Manager(
            self.api.client,
            metrics_address="127.0.0.1:0",
            grace_seconds=grace_seconds,
            registry=CollectorRegistry(),
            clock=REAL_CLOCK,
            elector=elector,
        )
        self.thread = threading.Thread(target=lambda: self.codes.append(self.manager.run(self.stop)), daemon=True)

    def wire(self, work: Callable[[StopToken], str]) -> Recording:
        reconciler = Recording(work)
        controller = self.manager.controller("demo", reconciler)
        reconciler.operations = Operations("demo", clock=REAL_CLOCK, on_finished=controller.enqueue)
        self.manager.add_operations(reconciler.operations)
        controller.watch(self.manager.factory.informer(PODS, Pod))
        return reconciler

    def end(self, reason: str = "signal SIGTERM") -> int:
        self.stop.cancel(reason)
        self.thread.join(LONG_SECONDS)
        assert not self.thread.is_alive()
        return self.codes[0]

    @property
    def holder(self) -> str | None:
        return self.api.client.get(LEASES, "ns", "ark", Lease).spec.holder_identity


def test_an_object_is_reconciled_and_the_process_ends_with_0() -> None:
    world, worked = World(), threading.Event()

    def work(stop: StopToken) -> str:
        worked.set()
        return "captured"

    reconciler = world.wire(work)
    world.thread.start()
    assert worked.wait(LONG_SECONDS)
    assert world.end() == 0
    assert reconciler.recorded[:1] == ["captured"]


def test_at_the_stop_operations_hear_of_the_shutdown_and_their_ends_are_recorded() -> None:
    world, running = World(leads=True), threading.Event()
    holders: list[str | None] = []

    def work(stop: StopToken) -> str:
        running.set()
        stop.wait(LONG_SECONDS)
        holders.append(world.holder)
        return stop.reason

    reconciler = world.wire(work)
    world.thread.start()
    assert running.wait(LONG_SECONDS)
    assert world.end() == 0
    assert reconciler.recorded == ["shutdown"]
    assert holders == ["me"], "the lease is held while work goes on"
    assert world.holder == "", "and released afterwards"


def test_controllers_wait_for_the_lease_and_runnables_do_not() -> None:
    world, ran, worked = World(leads=True), threading.Event(), threading.Event()
    other = LeaderElector(world.api.client, LeaseSettings(namespace="ns", name="ark", identity="other"), REAL_CLOCK)
    assert other.try_acquire_or_renew()

    def work(stop: StopToken) -> str:
        worked.set()
        return ""

    def run(stop: StopToken) -> None:
        ran.set()
        stop.wait(None)

    world.wire(work)
    world.manager.add_runnable("listener", run)
    world.thread.start()
    assert ran.wait(LONG_SECONDS)
    assert not worked.wait(0.1)
    other.release()
    assert worked.wait(LONG_SECONDS)
    assert world.end() == 0


def test_a_stop_while_waiting_for_the_lease_leaves_it_to_its_holder() -> None:
    world = World(leads=True)
    other = LeaderElector(world.api.client, LeaseSettings(namespace="ns", name="ark", identity="other"), REAL_CLOCK)
    other.try_acquire_or_renew()
    world.thread.start()
    assert world.end() == 0
    assert world.holder == "other"


def test_a_lost_lease_ends_the_process_at_once_with_1_and_releases_nothing() -> None:
    world, running, go_on = World(leads=True), threading.Event(), threading.Event()
    heard: list[str] = []

    def work(stop: StopToken) -> str:
        running.set()
        stop.wait(LONG_SECONDS)
        heard.append(stop.reason)
        go_on.wait(LONG_SECONDS)
        return ""

    world.wire(work)
    world.thread.start()
    assert running.wait(LONG_SECONDS)
    world.api.client.patch_raw(LEASES, "ns", "ark", {"spec": {"holderIdentity": "other"}})
    world.thread.join(LONG_SECONDS)
    assert world.codes == [1]
    assert heard == [LOST_LEASE]
    assert world.holder == "other"
    go_on.set()


def test_an_operation_that_does_not_end_in_its_grace_is_named_and_the_lease_is_kept() -> None:
    world, running, go_on = World(leads=True, grace_seconds=0), threading.Event(), threading.Event()

    def hold_on_for_ever(stop: StopToken) -> str:
        running.set()
        go_on.wait(LONG_SECONDS)
        return ""

    world.wire(hold_on_for_ever)
    world.thread.start()
    assert running.wait(LONG_SECONDS)
    with capture_logs() as logs:
        assert world.end() == 1
    go_on.set()
    (entry,) = [entry for entry in logs if entry["event"] == "Thread did not stop"]
    assert entry["thread"] == "demo:ns/web"
    assert "hold_on_for_ever" in entry["stack"]
    assert world.holder == "me"


def test_a_runnable_that_crashes_ends_the_manager_in_order_with_1() -> None:
    world = World(leads=True)
    crash = threading.Event()

    def run(stop: StopToken) -> None:
        crash.wait(LONG_SECONDS)
        raise OSError("port is gone")

    reconciler = world.wire(lambda stop: str(stop.wait(LONG_SECONDS)))
    world.manager.add_runnable("listener", run)
    world.thread.start()
    while not world.manager._controllers[0]._threads:
        world.thread.join(0.01)
    crash.set()
    world.thread.join(LONG_SECONDS)
    assert world.codes == [1]
    assert world.stop.reason.startswith("listener ended")
    assert world.holder == ""
    assert reconciler.recorded in ([], ["True"])


def test_it_is_ready_once_the_informers_have_their_first_lists() -> None:
    world = World()
    world.wire(lambda stop: "")
    assert world.manager.health.answer("/readyz", "")[0] == 500
    assert world.manager.health.answer("/healthz", "")[0] == 200
    world.thread.start()
    while world.manager.health.answer("/readyz", "")[0] != 200:
        world.thread.join(0.01)
    assert world.end() == 0


def test_events_that_were_recorded_are_sent_before_the_process_ends() -> None:
    world = World()
    node = Node(metadata=world.api.client.create(NODES, "", {"metadata": {"name": "n1"}}, Node).metadata)
    world.manager.events.event(node, "Stopping", "bye")
    world.thread.start()
    assert world.end() == 0
    assert [event["message"] for event in world.api.list(EVENTS)] == ["bye"]


def test_no_thread_of_it_is_left() -> None:
    before = set(threading.enumerate())
    world = World(leads=True)
    world.wire(lambda stop: "")
    world.thread.start()
    while world.manager.health.answer("/readyz", "")[0] != 200:
        world.thread.join(0.01)
    assert world.end() == 0
    left = [thread for thread in threading.enumerate() if thread not in before]
    for thread in left:
        thread.join(LONG_SECONDS)
    assert [thread.name for thread in left if thread.is_alive()] == []


def test_two_controllers_of_one_name_are_refused() -> None:
    world = World()
    world.manager.controller("demo", Recording(lambda stop: ""))
    with pytest.raises(ValueError, match="demo"):
        world.manager.controller("demo", Recording(lambda stop: ""))
    world.thread.start()
    assert world.end() == 0
