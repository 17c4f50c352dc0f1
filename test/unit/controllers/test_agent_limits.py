"""An agent's limits change while it runs, and a mistake changes nothing."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from pkg.apis.core import ConfigMap, Node
from pkg.apis.meta import ObjectMeta
from pkg.apis.names import LIMITS_CONFIG_MAP, RESTORE_SLOTS_LABEL, SLOTS_LABEL
from pkg.controllers.agent_limits import AgentLimits
from pkg.controllers.agent_limits_metrics import AgentLimitsCollector
from pkg.controllers.agent_limits_wiring import AgentSlots, LimitsTeller
from pkg.controllers.limits import NodeLimits
from pkg.controllers.limits_source import LimitsSource
from pkg.restic.bandwidth import Bandwidth
from pkg.testing.fakes import FakeLister
from pkg.workqueue.key import Key

NAMESPACE = "heptio-ark"
KEY = Key(NAMESPACE, LIMITS_CONFIG_MAP)


class World:
    """One node, and perhaps a ConfigMap."""

    def __init__(self) -> None:
        self.configs: FakeLister[ConfigMap] = FakeLister()
        self.nodes: FakeLister[Node] = FakeLister()
        self.most = 100
        self._versions = 0
        self.limits = AgentLimits(
            NodeLimits(backup_slots=4, restore_slots=4),
            LimitsSource(self.configs, NAMESPACE),
            self.nodes,
            "n1",
            lambda slots: min(slots, self.most),
        )
        self.slots = AgentSlots(self.limits)

    def configure(self, **data: str) -> None:
        self._versions += 1
        metadata = ObjectMeta(name=LIMITS_CONFIG_MAP, namespace=NAMESPACE, resource_version=str(self._versions))
        self.configs.put(ConfigMap(metadata=metadata, data=data))

    def label(self, **labels: str) -> None:
        self.nodes.put(Node(metadata=ObjectMeta(name="n1", labels=labels)))

    def both(self) -> tuple[int, int]:
        current = self.limits.current()
        return current.backup_slots, current.restore_slots


def test_a_label_of_the_node_comes_first() -> None:
    world = World()
    world.configure(backupSlots="8")
    world.label(**{SLOTS_LABEL: "2", RESTORE_SLOTS_LABEL: "1"})
    assert world.both() == (2, 1)
    world.label()
    assert world.both() == (8, 4)


def test_a_raised_limit_lets_waiting_work_begin_at_once() -> None:
    world = World()
    world.configure(backupSlots="1")
    assert world.slots.backups.try_take("a", "ns")
    assert not world.slots.backups.try_take("b", "ns")
    world.configure(backupSlots="2")
    assert world.slots.backups.try_take("b", "ns")


def test_a_lowered_limit_lets_running_work_finish() -> None:
    world = World()
    assert all(world.slots.restores.try_take(name, "ns") for name in "abc")
    world.label(**{RESTORE_SLOTS_LABEL: "1"})
    assert world.slots.restores.in_use == 3
    world.slots.restores.release("a")
    assert not world.slots.restores.try_take("d", "ns")


def test_a_full_node_of_backups_leaves_restores_their_slots() -> None:
    world = World()
    while world.slots.backups.try_take(f"b{world.slots.backups.in_use}", "ns"):
        pass
    assert world.slots.backups.in_use == 4
    assert world.slots.restores.try_take("r", "ns")


def test_a_bad_configmap_leaves_the_last_good_one_in_force() -> None:
    world = World()
    world.configure(backupSlots="8")
    assert world.both() == (8, 4)
    world.configure(backupSlots="eight")
    assert world.both() == (8, 4)
    (told,) = world.limits.problems()
    assert f"ConfigMap {NAMESPACE}/{LIMITS_CONFIG_MAP}" in told
    assert '"eight"' in told
    assert "kubectl" in told
    world.configure(backupSlots="2")
    assert (world.both(), world.limits.problems()) == ((2, 4), [])


def test_a_bad_label_leaves_its_last_good_value_in_force() -> None:
    world = World()
    world.label(**{SLOTS_LABEL: "2"})
    assert world.both() == (2, 4)
    world.label(**{SLOTS_LABEL: "lots", RESTORE_SLOTS_LABEL: "3"})
    assert world.both() == (2, 3)
    assert "node n1" in world.limits.problems()[0]
    world.label()
    assert (world.both(), world.limits.problems()) == ((4, 4), [])


def test_a_configmap_that_is_deleted_limits_nothing() -> None:
    world = World()
    world.configure(backupSlots="1")
    assert world.both() == (1, 4)
    world.configs.remove(NAMESPACE, LIMITS_CONFIG_MAP)
    assert world.both() == (4, 4)


def test_the_ceiling_lowers_both_kinds() -> None:
    world = World()
    world.configure(restoreSlots="1")
    world.most = 2
    assert world.both() == (2, 1)


@pytest.mark.parametrize(
    ("verb", "expected"),
    [("backup", Bandwidth(upload_kib=500, download_kib=100)), ("restore", Bandwidth(upload_kib=250, download_kib=50))],
)
def test_each_child_gets_its_part_of_the_nodes_bandwidth(verb: str, expected: Bandwidth) -> None:
    world = World()
    world.configure(backupSlots="2", restoreSlots="4", limitUploadKiB="1000", limitDownloadKiB="200")
    assert world.limits.bandwidth(verb) == expected


def test_changes_and_mistakes_are_told_once() -> None:
    world = World()
    teller = LimitsTeller(world.limits)
    with capture_logs() as logs:
        teller.reconcile(KEY)
        world.configure(backupSlots="none")
        teller.reconcile(KEY)
        teller.reconcile(KEY)
        world.configure(backupSlots="3")
        teller.reconcile(KEY)
    assert [line["event"] for line in logs] == ["Limits in force", "Limits not usable", "Limits in force"]
    assert logs[-1]["backup_slots"] == 3


def test_what_an_agent_uses_is_a_metric() -> None:
    world = World()
    world.configure(backupSlots="3", limitUploadKiB="10")
    world.most = 2
    for name in "abc":
        world.slots.backups.try_take(name, "ns")
    registry = CollectorRegistry()
    registry.register(AgentLimitsCollector(world.limits, world.slots.backups, world.slots.restores))
    backup = {"kind": "backup"}
    assert registry.get_sample_value("ark_agent_slots", backup) == 2
    assert registry.get_sample_value("ark_agent_slots_configured", backup) == 3
    assert registry.get_sample_value("ark_agent_slots_in_use", backup) == 2
    assert registry.get_sample_value("ark_agent_slots_waiting", backup) == 1
    assert registry.get_sample_value("ark_agent_slots_in_use", {"kind": "restore"}) == 0
    bytes_per_second = "ark_agent_bandwidth_limit_bytes_per_second"
    assert registry.get_sample_value(bytes_per_second, {"direction": "upload"}) == 10 * 1024
