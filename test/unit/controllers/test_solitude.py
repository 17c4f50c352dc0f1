"""One volume alone on its node, and nobody kept waiting for it without need."""

from __future__ import annotations

import pytest

from pkg.controllers.lone_slots import LoneSlots
from pkg.controllers.pod_slots import PodSlots
from pkg.controllers.solitude import WAITING_SECONDS, Solitude
from pkg.manager.slots import Slots
from pkg.testing.fakeclock import FakeClock
from pkg.workqueue.key import Key


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def node(clock: FakeClock) -> Solitude:
    return Solitude(clock=clock)


def test_beside_each_other_as_a_rule(node: Solitude) -> None:
    assert node.try_enter("a", alone=False)
    assert node.try_enter("b", alone=False)
    assert not node.kept


def test_who_is_alone_has_nobody_beside_it_until_it_ends(node: Solitude) -> None:
    assert node.try_enter("large", alone=True)
    assert node.kept
    assert not node.try_enter("b", alone=False)
    assert not node.try_hold("d", "pod")
    node.leave("large")
    assert node.try_enter("b", alone=False)


def test_who_wants_to_be_alone_waits_for_the_others_and_lets_no_new_one_begin(node: Solitude) -> None:
    node.try_enter("a", alone=False)
    assert not node.try_enter("large", alone=True)
    assert not node.try_enter("b", alone=False)
    assert not node.try_hold("c", "pod")
    node.leave("a")
    assert node.try_enter("large", alone=True)


def test_who_asks_no_more_keeps_nobody_waiting(node: Solitude, clock: FakeClock) -> None:
    """Its object was deleted."""
    node.try_enter("a", alone=False)
    node.try_enter("large", alone=True)
    clock.advance(WAITING_SECONDS + 1)
    assert node.try_enter("b", alone=False)


def test_asking_again_changes_nothing(node: Solitude) -> None:
    assert node.try_enter("large", alone=True)
    assert node.try_enter("large", alone=True)
    node.leave("large")
    node.leave("large")
    assert not node.kept


def test_a_frozen_pod_goes_on_before_one_that_waits_to_be_alone(node: Solitude) -> None:
    node.try_hold("frozen", "pod")
    node.try_enter("a", alone=False)
    assert not node.try_enter("large", alone=True)
    assert node.try_hold("its fellow", "pod")
    assert node.try_enter("frozen", alone=False)
    for ended in ("a", "frozen"):
        node.leave(ended)
    assert not node.try_enter("large", alone=True), "the fellow's pod stands still"
    node.leave("its fellow")
    assert node.try_enter("large", alone=True)


def test_two_frozen_pods_with_one_large_volume_each_do_not_wait_for_each_other(node: Solitude) -> None:
    node.try_hold("large 1", "pod 1")
    node.try_hold("large 2", "pod 2")
    assert node.try_enter("large 1", alone=True)
    assert not node.try_enter("large 2", alone=True)
    node.leave("large 1")
    assert node.try_enter("large 2", alone=True)


def test_two_that_want_to_be_alone_go_one_after_the_other(node: Solitude) -> None:
    node.try_enter("a", alone=False)
    assert not node.try_enter("large 1", alone=True)
    assert not node.try_enter("large 2", alone=True)
    node.leave("a")
    assert node.try_enter("large 2", alone=True)
    assert not node.try_enter("large 1", alone=True)
    node.leave("large 2")
    assert node.try_enter("large 1", alone=True)


class Node:
    """Slots for backups and for restores on one node."""

    def __init__(self, limit: int) -> None:
        self.solitude = Solitude(clock=FakeClock())
        self.slots = Slots(limit)
        self.backups = LoneSlots(PodSlots(self.slots), self.solitude, "backups")
        self.restores = LoneSlots(PodSlots(Slots(limit)), self.solitude, "restores")


def key(name: str) -> Key:
    return Key("heptio-ark", name)


def test_a_backup_alone_has_no_restore_beside_it_even_of_the_same_name() -> None:
    node = Node(4)
    assert node.backups.try_run(key("a"), "app", alone=True)
    assert not node.restores.try_run(key("a"), "app")
    node.backups.release(key("a"))
    assert node.restores.try_run(key("a"), "app")


def test_who_gets_no_slot_does_not_count_as_running() -> None:
    node = Node(1)
    assert node.backups.try_run(key("a"), "app")
    assert not node.backups.try_run(key("b"), "app")
    node.backups.release(key("a"))
    assert node.restores.try_run(key("large"), "app", alone=True)


def test_who_is_to_be_alone_and_gets_no_slot_goes_on_waiting() -> None:
    node = Node(1)
    node.slots.try_take("somebody outside", "app")
    assert not node.backups.try_run(key("large"), "app", alone=True)
    assert not node.solitude.kept
    assert not node.restores.try_run(key("b"), "app")
    node.slots.release("somebody outside")
    assert node.backups.try_run(key("large"), "app", alone=True)


def test_a_pod_that_gets_no_slot_is_not_held() -> None:
    node = Node(1)
    node.backups.try_run(key("a"), "app")
    assert not node.backups.hold(key("b"), "pod", "app")
    node.backups.release(key("a"))
    assert node.restores.try_run(key("large"), "app", alone=True)


def test_a_held_volume_stays_held_while_somebody_waits() -> None:
    node = Node(2)
    assert node.backups.hold(key("a"), "pod", "app")
    node.restores.try_run(key("large"), "app", alone=True)
    assert node.backups.hold(key("a"), "pod", "app")
    assert node.backups.holds(key("a"))
