"""The bounds of an agent, put together."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from pkg.apis.core import ContainerState, ContainerStateTerminated, ContainerStatus, Pod, PodStatus
from pkg.apis.meta import ObjectMeta
from pkg.controllers.agent_bounds import SLOTS_HALVED, AgentBounds
from pkg.kube.refs import EVENTS
from pkg.kube.stop import StopToken
from pkg.manager.manager import Manager
from pkg.restic.runner import Runner, RunningChild
from pkg.testing.fakeapi import FakeApi
from pkg.testing.fakeclock import FakeClock


class Busy(Runner):
    """A runner that says how many children it has."""

    children = 0

    def running(self) -> tuple[RunningChild, ...]:
        return tuple(RunningChild(pid=pid, verb="backup", repository="r") for pid in range(self.children))


class World:
    def __init__(self, directory: Path) -> None:
        self.api, self.registry, self.restic = FakeApi(), CollectorRegistry(), Busy(base={})
        self.manager = Manager(
            self.api.client,
            metrics_address="127.0.0.1:0",
            grace_seconds=1,
            registry=self.registry,
            clock=FakeClock(),
        )
        self.bounds = AgentBounds(self.manager, self.registry, self.restic, directory, cache_bytes=1 << 30)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    made.manager.health.start()
    yield made
    made.manager.health.stop()


def test_memory_is_shared_by_the_slots_or_by_those_that_run_where_they_are_more(world: World) -> None:
    world.bounds.slots = lambda: 4
    assert world.bounds.parts() == 4
    world.restic.children = 6
    assert world.bounds.parts() == 7


def test_who_is_alone_has_all_of_it(world: World) -> None:
    world.bounds.slots = lambda: 4
    world.bounds.solitude.try_enter("large", alone=True)
    assert world.bounds.parts() == 1


def test_the_cache_and_the_kills_are_shown(world: World) -> None:
    assert world.registry.get_sample_value("ark_restic_cache_limit_bytes") == 1 << 30
    assert world.registry.get_sample_value("ark_restic_cache_bytes") == 0
    assert world.registry.get_sample_value("ark_agent_memory_kills_total") == 0


def test_a_kill_of_the_container_is_an_event_on_its_pod(world: World) -> None:
    killed = ContainerState(terminated=ContainerStateTerminated(reason="OOMKilled"))
    own = Pod(
        metadata=ObjectMeta(name="restic-x", namespace="heptio-ark", uid="u"),
        status=PodStatus(container_statuses=(ContainerStatus(last_state=killed),)),
    )
    assert world.bounds.ceiling(lambda: own)(4) == 2
    stop = StopToken()
    sender = threading.Thread(target=world.manager.events.run, args=(stop,))
    stop.cancel()
    sender.start()
    sender.join(10)
    (event,) = world.api.list(EVENTS, "heptio-ark")
    assert (event["reason"], event["type"]) == (SLOTS_HALVED, "Warning")
    assert event["involvedObject"] == {
        "apiVersion": "v1",
        "kind": "Pod",
        "namespace": "heptio-ark",
        "name": "restic-x",
        "uid": "u",
    }
    assert "killed for want of memory" in str(event["message"])
