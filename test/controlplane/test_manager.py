"""The manager's parts on a real API server: the lease, events, and a controller from watch to status."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest
from prometheus_client import CollectorRegistry

from pkg.apis.meta import JsonObject, Object
from pkg.informers.lister import Lister
from pkg.kube.client import Client
from pkg.kube.clock import REAL_CLOCK
from pkg.kube.refs import CONFIG_MAPS, EVENTS, LEASES
from pkg.kube.stop import StopToken
from pkg.kube.transport import load_transport
from pkg.manager.events import EventRecorder
from pkg.manager.leader import LeaderElector, Lease, LeaseSettings
from pkg.manager.manager import Manager
from pkg.manager.operations import Operations, Succeeded
from pkg.manager.reconciler import Result, done
from pkg.testing.access import ClusterAccess
from pkg.testing.processes import wait_until
from pkg.workqueue.key import Key

LONG_SECONDS = 30.0
LEASE_SECONDS, RENEW_SECONDS = 10.0, 8.0  # longer than a machine stalls
DONE_LABEL = "test.ark.heptio.com/done"


class Event(Object, frozen=True, kw_only=True):
    type: str = ""
    reason: str = ""
    count: int = 0


class ConfigMap(Object, frozen=True, kw_only=True):
    data: dict[str, str] | None = None


@pytest.fixture
def client(control_plane: ClusterAccess) -> Client:
    return new_client(control_plane)


def new_client(access: ClusterAccess) -> Client:
    return Client(load_transport(str(access.kubeconfig)))


def elector(access: ClusterAccess, namespace: str, identity: str) -> LeaderElector:
    settings = LeaseSettings(
        namespace=namespace,
        name="ark",
        identity=identity,
        lease_seconds=LEASE_SECONDS,
        renew_seconds=RENEW_SECONDS,
        retry_seconds=0.2,
    )
    return LeaderElector(new_client(access), settings, REAL_CLOCK)


class Candidate:
    """A process that wants to lead."""

    def __init__(self, access: ClusterAccess, namespace: str, identity: str) -> None:
        self.elector = elector(access, namespace, identity)
        self.stop = StopToken()
        self.lost = threading.Event()
        self.became_at = 0.0
        self.thread = threading.Thread(target=self._run, name=identity, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        if self.elector.acquire(self.stop):
            self.became_at = time.monotonic()
            self.elector.renew(self.stop, self.lost.set)

    def leads(self) -> bool:
        return self.elector.is_leader

    def die(self) -> None:
        """Stops without a word, as a killed process does."""
        self.stop.cancel()
        self.thread.join(LONG_SECONDS)

    def leave(self) -> None:
        self.die()
        self.elector.release()


def holder(client: Client, namespace: str) -> str | None:
    return client.get(LEASES, namespace, "ark", Lease).spec.holder_identity


def until(reached: Callable[[], bool], what: str) -> None:
    wait_until(reached, timeout_seconds=LONG_SECONDS, what=what)


def test_of_two_candidates_one_leads_and_the_other_follows_at_once_when_it_leaves(
    control_plane: ClusterAccess, client: Client, namespace: str
) -> None:
    candidates = [Candidate(control_plane, namespace, name) for name in ("one", "two")]
    until(lambda: any(candidate.leads() for candidate in candidates), "a leader")
    deadline = time.monotonic() + 1.5 * LEASE_SECONDS
    while time.monotonic() < deadline:
        assert [candidate.leads() for candidate in candidates].count(True) <= 1
        time.sleep(0.05)
    until(lambda: any(candidate.leads() for candidate in candidates), "a leader")
    leader, follower = sorted(candidates, key=lambda candidate: not candidate.leads())
    assert holder(client, namespace) == leader.elector.leader
    leader.leave()
    left_at = time.monotonic()
    until(follower.leads, "the other to lead")
    assert follower.became_at - left_at < LEASE_SECONDS
    assert client.get(LEASES, namespace, "ark", Lease).spec.lease_transitions == 1
    follower.leave()
    assert holder(client, namespace) == ""


def test_a_dead_leader_is_followed_after_its_lease_and_not_before(
    control_plane: ClusterAccess, client: Client, namespace: str
) -> None:
    dead = Candidate(control_plane, namespace, "dead")
    until(dead.leads, "the first to lead")
    heir = Candidate(control_plane, namespace, "heir")
    until(lambda: heir.elector.leader == "dead", "the second to see the first")
    dead.die()
    renewed_at = dead.elector._renewed_at
    assert renewed_at is not None
    until(heir.leads, "the second to lead")
    assert heir.became_at - renewed_at >= LEASE_SECONDS
    assert not dead.lost.is_set()
    heir.leave()


def test_a_restarted_container_has_its_lease_back_at_once(
    control_plane: ClusterAccess, client: Client, namespace: str
) -> None:
    before = Candidate(control_plane, namespace, "pod-uid")
    until(before.leads, "the first container to lead")
    before.die()
    assert elector(control_plane, namespace, "pod-uid").try_acquire_or_renew()


def test_a_leader_that_is_robbed_of_its_lease_notices(
    control_plane: ClusterAccess, client: Client, namespace: str
) -> None:
    robbed = Candidate(control_plane, namespace, "robbed")
    until(robbed.leads, "it to lead")
    client.patch_raw(LEASES, namespace, "ark", {"spec": {"holderIdentity": "robber"}})
    assert robbed.lost.wait(LONG_SECONDS)
    assert not robbed.leads()
    assert holder(client, namespace) == "robber"


def test_events_are_accepted_counted_and_found_by_their_object(client: Client, namespace: str) -> None:
    owner = client.create(CONFIG_MAPS, namespace, {"metadata": {"name": "subject"}}, ConfigMap)
    recorder, stop = EventRecorder(client, "ark", REAL_CLOCK), StopToken()
    thread = threading.Thread(target=recorder.run, args=(stop,), daemon=True)
    thread.start()
    for _ in range(3):
        recorder.event(owner, "Repeated", "the same again")
    recorder.event(owner, "Failed", "something else", warning=True)

    def seen() -> list[tuple[str, str, int]]:
        about = f"involvedObject.uid={owner.metadata.uid}"
        found = client.list(EVENTS, namespace, Event, field_selector=about)
        return sorted((event.reason, event.type, event.count) for event in found)

    wanted = [("Failed", "Warning", 1), ("Repeated", "Normal", 3)]
    until(lambda: seen() == wanted, "the events")
    stop.cancel()
    thread.join(LONG_SECONDS)
    assert not thread.is_alive()


class Labelling:
    """Labels each ConfigMap by an operation, which takes a while."""

    def __init__(self, client: Client, lister: Lister[ConfigMap]) -> None:
        self.client = client
        self.lister = lister
        self.started: list[Key] = []
        self.hold = threading.Event()
        self.operations: Operations[str] | None = None

    def reconcile(self, key: Key) -> Result:
        assert self.operations is not None
        obj = self.lister.get(*key)
        match self.operations.observe(key):
            case None if obj is not None and not obj.metadata.label(DONE_LABEL):
                self.started.append(key)
                self.operations.start(key, self._work)
            case Succeeded(result=word) if obj is not None:
                change: JsonObject = {"metadata": {"labels": {DONE_LABEL: word}}}
                self.client.patch_raw(CONFIG_MAPS, key.namespace, key.name, change)
                self.operations.forget(key)
        return done()

    def _work(self, stop: StopToken) -> str:
        while not self.hold.is_set() and not stop.wait(0.01):
            pass
        return stop.reason or "yes"


def test_a_controller_brings_every_object_to_its_state_and_records_what_the_stop_interrupted(
    control_plane: ClusterAccess, client: Client, namespace: str
) -> None:
    for number in range(20):
        client.create_raw(CONFIG_MAPS, namespace, {"metadata": {"name": f"c{number}", "labels": {"mine": "yes"}}})
    own, stop = new_client(control_plane), StopToken()
    codes: list[int] = []
    manager = Manager(
        own,
        metrics_address="127.0.0.1:0",
        grace_seconds=LONG_SECONDS,
        registry=CollectorRegistry(),
        clock=REAL_CLOCK,
        elector=elector(control_plane, namespace, "manager"),
    )
    informer = manager.factory.informer(CONFIG_MAPS, ConfigMap, namespace=namespace, label_selector="mine=yes")
    reconciler = Labelling(own, informer.lister)
    controller = manager.controller("labelling", reconciler, workers=2)
    reconciler.operations = Operations("labelling", clock=REAL_CLOCK, on_finished=controller.enqueue)
    manager.add_operations(reconciler.operations)
    controller.watch(informer)
    thread = threading.Thread(target=lambda: codes.append(manager.run(stop)), daemon=True)
    thread.start()

    def labels(value: str) -> int:
        return len(client.list(CONFIG_MAPS, namespace, ConfigMap, label_selector=f"{DONE_LABEL}={value}"))

    reconciler.hold.set()
    until(lambda: labels("yes") == 20, "all to be labelled")
    reconciler.hold.clear()
    client.create_raw(CONFIG_MAPS, namespace, {"metadata": {"name": "late", "labels": {"mine": "yes"}}})
    until(lambda: Key(namespace, "late") in reconciler.started, "the late one to be worked on")
    stop.cancel("signal SIGTERM")
    thread.join(LONG_SECONDS)
    assert codes == [0]
    assert labels("shutdown") == 1
    assert len(reconciler.started) == len(set(reconciler.started)) == 21
    assert holder(client, namespace) == ""
