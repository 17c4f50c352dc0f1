"""A changed ConfigMap reaches whoever waits at a limit, and both processes show what holds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry

from pkg.apis.meta import JsonObject
from pkg.apis.names import LIMITS_CONFIG_MAP, SLOTS_LABEL
from pkg.controllers.admission import Candidate
from pkg.controllers.agent_limits_wiring import add_agent_limits
from pkg.controllers.change_signal import ChangeSignal
from pkg.controllers.limits import DEFAULT_LIMITS, NodeLimits
from pkg.controllers.server_limits_wiring import add_server_limits
from pkg.kube.clock import REAL_CLOCK
from pkg.kube.refs import CONFIG_MAPS, NODES
from pkg.kube.stop import StopToken
from pkg.manager.manager import Manager
from pkg.testing.fakeapi import FakeApi

NAMESPACE = "heptio-ark"
LONG_SECONDS = 20.0


class World:
    """A process over an API server in memory; its informers run."""

    def __init__(self) -> None:
        self.api, self.registry, self.stop = FakeApi(), CollectorRegistry(), StopToken()
        self.manager = Manager(
            self.api.client, metrics_address="127.0.0.1:0", grace_seconds=1, registry=self.registry, clock=REAL_CLOCK
        )

    def start(self) -> None:
        self.manager.factory.start(self.stop)
        assert self.manager.factory.wait_for_sync(self.stop, LONG_SECONDS)

    def configure(self, **data: str) -> None:
        values: JsonObject = {**data}
        self.api.add(CONFIG_MAPS, {"metadata": {"name": LIMITS_CONFIG_MAP, "namespace": NAMESPACE}, "data": values})


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    made.manager.health.start()
    yield made
    made.stop.cancel("over")
    made.manager.factory.shutdown(LONG_SECONDS)
    made.manager.health.stop()


def test_a_raised_limit_wakes_the_backups_that_wait_and_lets_them_begin(world: World) -> None:
    changes = ChangeSignal()
    desk = add_server_limits(
        world.manager,
        DEFAULT_LIMITS,
        world.registry,
        namespace=NAMESPACE,
        changes=changes,
        is_closed=lambda repository: False,
        clock=REAL_CLOCK,
    )
    world.start()
    wanted = [Candidate(name=f"c{number}", repository="app", backup="b", node=f"n{number}") for number in range(6)]
    assert len(desk.ask("b", wanted, []).names) == 4
    before = changes.version
    world.configure(perRepository="6")
    changes.wait(world.stop, before, LONG_SECONDS)
    assert changes.version > before
    assert len(desk.ask("b", wanted[4:], wanted[:4]).names) == 2
    assert world.registry.get_sample_value("ark_volume_backups_limit", {"scope": "repository"}) == 6


def test_an_agent_knows_its_limits_before_it_begins(world: World) -> None:
    world.api.add(NODES, {"metadata": {"name": "n1", "labels": {SLOTS_LABEL: "3"}}})
    world.api.add(NODES, {"metadata": {"name": "n2", "labels": {SLOTS_LABEL: "9"}}})
    world.configure(restoreSlots="2")
    flags = NodeLimits(backup_slots=1, restore_slots=1)
    limits, slots = add_agent_limits(world.manager, flags, world.registry, namespace=NAMESPACE, node="n1")
    world.start()
    assert limits.current() == NodeLimits(backup_slots=3, restore_slots=2)
    assert (slots.backups.limit, slots.restores.limit) == (3, 2)
    assert world.registry.get_sample_value("ark_agent_slots", {"kind": "backup"}) == 3


def test_half_of_an_agents_backup_slots_is_kept_and_none_of_its_restore_slots(world: World) -> None:
    flags = NodeLimits(backup_slots=4, restore_slots=4)
    _, slots = add_agent_limits(world.manager, flags, world.registry, namespace=NAMESPACE, node="n1")
    large = 3600.0
    assert [slots.backups.try_take(name, "ns", large) for name in "abc"] == [True, True, False]
    assert [slots.restores.try_take(name, "ns", large) for name in "abc"] == [True, True, True]
