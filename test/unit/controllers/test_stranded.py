"""The volumes of a node that is gone."""

from __future__ import annotations

import pytest

from pkg.apis.core import DaemonSet, Node, Pod, PodCondition, PodSpec, PodStatus
from pkg.apis.meta import JsonObject, ObjectMeta
from pkg.apis.volumes import PodVolumeBackup, PodVolumeBackupStatus, PodVolumeRestore, PodVolumeRestoreStatus
from pkg.controllers.nodes import NodeAgents
from pkg.controllers.stranded import LOOK_AGAIN_SECONDS, StrandedReconciler
from pkg.kube.errors import ConflictError
from pkg.kube.refs import NODES, POD_VOLUME_BACKUPS, POD_VOLUME_RESTORES
from pkg.manager.reconciler import Result, again_in, done
from pkg.testing.fakeapi import FakeApi
from pkg.testing.fakeclock import FakeClock
from pkg.testing.fakes import FakeLister
from pkg.workqueue.key import Key

NAMESPACE = "heptio-ark"
KEY = Key(NAMESPACE, "v")


class World:
    """A volume on node n1, which has an agent."""

    def __init__(self, status: JsonObject, *, node: str = "n1") -> None:
        self.api, self.clock = FakeApi(), FakeClock()
        body: JsonObject = {"metadata": {"name": "v", "namespace": NAMESPACE}, "spec": {"node": node}}
        for ref in (POD_VOLUME_BACKUPS, POD_VOLUME_RESTORES):
            self.api.add(ref, {**body, "status": status})
        self.nodes = FakeLister([Node(metadata=ObjectMeta(name="n1"))])
        ready = PodStatus(conditions=(PodCondition(type="Ready", status="True"),))
        metadata = ObjectMeta(name="restic-1", namespace=NAMESPACE)
        self.pods = FakeLister([Pod(metadata=metadata, spec=PodSpec(node_name="n1"), status=ready)])
        self.agents = NodeAgents(
            NAMESPACE,
            nodes=self.nodes,
            daemon_sets=FakeLister([DaemonSet(metadata=ObjectMeta(name="restic", namespace=NAMESPACE))]),
            agent_pods=self.pods,
            look=lambda name: self.api.client.get(NODES, "", name, Node),
            clock=self.clock,
        )
        client = self.api.client
        self.captures = FakeLister([client.get(POD_VOLUME_BACKUPS, NAMESPACE, "v", PodVolumeBackup)])
        self.fillings = FakeLister([client.get(POD_VOLUME_RESTORES, NAMESPACE, "v", PodVolumeRestore)])

    def reconcile(self) -> list[Result]:
        client, agents, clock = self.api.client, self.agents, self.clock
        of_captures = StrandedReconciler(client, POD_VOLUME_BACKUPS, self.captures, agents=agents, clock=clock)
        of_fillings = StrandedReconciler(client, POD_VOLUME_RESTORES, self.fillings, agents=agents, clock=clock)
        return [of_captures.reconcile(KEY), of_fillings.reconcile(KEY)]

    @property
    def stored(self) -> list[PodVolumeBackupStatus | PodVolumeRestoreStatus]:
        client = self.api.client
        return [
            client.get(POD_VOLUME_BACKUPS, NAMESPACE, "v", PodVolumeBackup).status,
            client.get(POD_VOLUME_RESTORES, NAMESPACE, "v", PodVolumeRestore).status,
        ]


@pytest.mark.parametrize(
    ("status", "doing"),
    [
        pytest.param({}, "before it began", id="waiting"),
        pytest.param({"phase": "InProgress", "holder": "x/1", "attempts": 1}, "while it ran", id="running"),
    ],
)
def test_nothing_of_a_node_that_is_gone_stays_open(status: JsonObject, doing: str) -> None:
    world = World(status)
    world.nodes.remove("", "n1")
    assert world.reconcile() == [done(), done()]
    for found in world.stored:
        assert (found.phase, found.reason) == ("Failed", "NodeGone")
        assert found.message == f"node n1 does not exist any more; {doing}"
        assert found.completion_timestamp == world.clock.now()


def test_a_node_whose_agent_comes_back_goes_on() -> None:
    world = World({"phase": "InProgress"})
    agent = world.pods.get(NAMESPACE, "restic-1")
    assert agent is not None
    world.pods.remove(NAMESPACE, "restic-1")
    assert world.reconcile() == [again_in(LOOK_AGAIN_SECONDS)] * 2
    world.clock.advance(200)
    world.pods.put(agent)
    assert world.reconcile() == [done(), done()]
    assert world.api.count("PATCH") == 0


def test_an_agent_that_does_not_come_back_is_said_with_its_node() -> None:
    world = World({"phase": "InProgress"})
    world.pods.remove(NAMESPACE, "restic-1")
    for _ in range(30):
        world.reconcile()
        world.clock.advance(LOOK_AGAIN_SECONDS)
    world.reconcile()
    assert {found.reason for found in world.stored} == {"NoAgent"}
    assert "n1" in world.stored[0].message


@pytest.mark.parametrize(
    ("status", "node"),
    [
        pytest.param({"phase": "Completed"}, "n2", id="what has ended"),
        pytest.param({"phase": "Failed"}, "n2", id="what has failed"),
        pytest.param({"phase": "InProgress"}, "", id="what names no node"),
    ],
)
def test_what_is_left_alone(status: JsonObject, node: str) -> None:
    world = World(status, node=node)
    assert world.reconcile() == [done(), done()]
    assert world.api.count("PATCH") == 0


def test_what_an_agent_recorded_meanwhile_is_not_overwritten() -> None:
    world = World({"phase": "InProgress"})
    world.nodes.remove("", "n1")
    completed: JsonObject = {"status": {"phase": "Completed"}}
    for ref in (POD_VOLUME_BACKUPS, POD_VOLUME_RESTORES):
        world.api.client.patch_raw(ref, NAMESPACE, "v", completed, subresource="status")
    with pytest.raises(ConflictError):
        world.reconcile()
    assert {found.phase for found in world.stored} == {"Completed"}
