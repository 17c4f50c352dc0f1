"""How long the agent of each node is waited for."""

from __future__ import annotations

from pkg.apis.core import DaemonSet, Node, Pod, PodCondition, PodSpec, PodStatus
from pkg.apis.meta import ObjectMeta
from pkg.apis.reasons import Reason
from pkg.controllers.agents import AGENT_WAIT_SECONDS
from pkg.controllers.nodes import NodeAgents
from pkg.kube.errors import KubeError, NotFoundError, TransportError
from pkg.testing.fakeclock import FakeClock
from pkg.testing.fakes import FakeLister

NAMESPACE = "heptio-ark"


class World:
    """A cluster with the DaemonSet and two nodes, and no agent yet."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.living: dict[str, Node] = {}
        self.api_trouble: KubeError | None = None
        self.looks = 0
        self.nodes = FakeLister([Node(metadata=ObjectMeta(name=name)) for name in ("n1", "n2")])
        self.pods: FakeLister[Pod] = FakeLister()
        daemon_set = DaemonSet(metadata=ObjectMeta(name="restic", namespace=NAMESPACE))
        self.agents = NodeAgents(
            NAMESPACE,
            nodes=self.nodes,
            daemon_sets=FakeLister([daemon_set]),
            agent_pods=self.pods,
            look=self.look,
            clock=self.clock,
        )

    def look(self, name: str) -> Node:
        """What the API says, where caches may lag behind it."""
        self.looks += 1
        if self.api_trouble is not None:
            raise self.api_trouble
        if name not in self.living:
            raise NotFoundError(f"node {name} not found")
        return self.living[name]

    def agent(self, node: str) -> None:
        condition = PodCondition(type="Ready", status="True")
        metadata = ObjectMeta(name=f"restic-{node}", namespace=NAMESPACE)
        self.pods.put(Pod(metadata=metadata, spec=PodSpec(node_name=node), status=PodStatus(conditions=(condition,))))

    def ask(self, node: str, *, for_seconds: float = 0) -> Reason | None:
        """Asks every five seconds, as a backup does; returns the last reason."""
        for _ in range(int(for_seconds / 5)):
            self.agents.verdict(node)
            self.clock.advance(5)
        return self.agents.verdict(node).reason


def test_a_missing_agent_is_waited_for_and_then_given_up() -> None:
    world = World()
    assert world.ask("n1", for_seconds=AGENT_WAIT_SECONDS - 5) is None
    assert world.ask("n1", for_seconds=5) is Reason.NO_AGENT


def test_each_node_has_its_own_wait() -> None:
    world = World()
    world.ask("n1", for_seconds=AGENT_WAIT_SECONDS)
    assert world.ask("n2") is None


def test_an_agent_that_came_and_went_is_waited_for_anew() -> None:
    world = World()
    world.ask("n1", for_seconds=AGENT_WAIT_SECONDS - 5)
    world.agent("n1")
    assert world.agents.verdict("n1").ready
    world.pods.remove(NAMESPACE, "restic-n1")
    assert world.ask("n1", for_seconds=AGENT_WAIT_SECONDS - 5) is None


def test_a_wait_that_nobody_went_on_with_does_not_count_for_the_next_backup() -> None:
    world = World()
    world.ask("n1", for_seconds=10)
    world.clock.advance(24 * 3600)
    assert world.ask("n1") is None
    assert world.ask("n1", for_seconds=AGENT_WAIT_SECONDS) is Reason.NO_AGENT


def test_a_node_that_is_gone_is_said_at_once() -> None:
    world = World()
    world.nodes.remove("", "n1")
    assert world.ask("n1") is Reason.NODE_GONE


def test_a_node_that_only_a_lagging_cache_lost_is_waited_for() -> None:
    world = World()
    world.nodes.remove("", "n1")
    world.living["n1"] = Node(metadata=ObjectMeta(name="n1"))
    assert world.ask("n1") is None


def test_while_the_api_does_not_answer_no_node_is_gone() -> None:
    world = World()
    world.nodes.remove("", "n1")
    world.api_trouble = TransportError("refused")
    assert world.ask("n1", for_seconds=3600) is None
    assert "refused" in world.agents.verdict("n1").message
    world.api_trouble = None
    assert world.ask("n1") is Reason.NODE_GONE


def test_the_volumes_of_a_node_ask_the_api_once_in_a_while() -> None:
    world = World()
    world.nodes.remove("", "n1")
    for _ in range(100):
        world.agents.verdict("n1")
    assert world.looks == 1
    world.clock.advance(60)
    world.agents.verdict("n1")
    assert world.looks == 2
