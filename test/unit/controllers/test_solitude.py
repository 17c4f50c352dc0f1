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
    assert node.try_enter("a")
    assert node.try_enter("b")
    assert not node.kept


def test_who_is_alone_has_nobody_beside_it_until_it_ends(node: Solitude) -> None:
    assert node.try_enter("large", alone=True)
    assert node.kept
    assert not node.try_enter("b")
    assert not node.try_hold("d", "pod")
    node.leave("large")
    assert node.try_enter("b")


def test_who_wants_to_be_alone_waits_for_the_others_and_lets_no_new_one_begin(node: Solitude) -> None:
    node.try_enter("a")
    assert not node.try_enter("large", alone=True)
    assert not node.try_enter("b")
    assert not node.try_hold("c", "pod")
    node.leave("a")
    assert node.try_enter("large", alone=True)


def test_who_asks_no_more_keeps_nobody_waiting(node: Solitude, clock: FakeClock) -> None:
    """Its object was deleted."""
    node.try_enter("a")
    node.try_enter("large", alone=True)
    clock.advance(WAITING_SECONDS + 1)
    assert node.try_enter("b")


def test_asking_again_changes_nothing(node: Solitude) -> None:
    assert node.try_enter("large", alone=True)
    assert node.try_enter("large", alone=True)
    node.leave("large")
    node.leave("large")
    assert not node.kept


def test_a_frozen_pod_goes_on_before_one_that_waits_to_be_alone(node: Solitude) -> None:
    node.try_hold("frozen", "pod")
    node.try_enter("a")
    assert not node.try_enter("large", alone=True)
    assert node.try_hold("its fellow", "pod")
    assert node.try_enter("frozen")
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
    node.try_enter("a")
    assert not node.try_enter("large 1", alone=True)
    assert not node.try_enter("large 2", alone=True)
    node.leave("a")
    assert node.try_enter("large 2", alone=True)
    assert not node.try_enter("large 1", alone=True)
    node.leave("large 2")
    assert node.try_enter("large 1", alone=True)


def test_a_restore_does_not_wait_for_one_that_only_waits(node: Solitude) -> None:
    node.try_enter("a")
    node.try_enter("large", alone=True)
    assert node.try_enter("restore", first=True)
    for ended in ("a", "restore"):
        node.leave(ended)
    node.try_enter("large", alone=True)
    assert not node.try_enter("another restore", first=True), "alone is alone"


def test_what_takes_seconds_goes_on_while_something_long_runs_and_no_longer(node: Solitude) -> None:
    node.try_enter("takes hours")
    node.try_enter("large", alone=True)
    assert node.try_enter("tiny 1", brief=True)
    assert not node.try_enter("unknown")
    node.leave("takes hours")
    assert not node.try_enter("tiny 2", brief=True)
    node.leave("tiny 1")
    assert node.try_enter("large", alone=True)


class Node:
    """Slots for backups and for restores on one node."""

    def __init__(self, limit: int) -> None:
        self.solitude = Solitude(clock=FakeClock())
        self.slots = Slots(limit)
        self.backups = LoneSlots(PodSlots(self.slots), self.solitude, "podvolumebackups")
        self.restores = LoneSlots(PodSlots(Slots(limit)), self.solitude, "podvolumerestores")


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
    assert not node.backups.hold(key("b"), "pod", "app")
    node.slots.release("somebody outside")
    assert node.backups.try_run(key("large"), "app", alone=True)


def test_a_restore_and_a_tiny_backup_pass_one_that_waits_to_be_alone() -> None:
    node = Node(4)
    node.backups.try_run(key("takes hours"), "app", 7200.0)
    assert not node.backups.try_run(key("large"), "app", alone=True)
    assert not node.backups.try_run(key("unknown"), "app")
    assert node.backups.try_run(key("tiny"), "app", 3.0)
    assert node.restores.try_run(key("any"), "app")


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
