"""A pod's slot is taken before the pod is frozen, once for all its volumes."""

from __future__ import annotations

from pkg.controllers.pod_slots import PodSlots
from pkg.manager.slots import Slots
from pkg.workqueue.key import Key

A, B, C = (Key("ark", name) for name in "abc")


def test_a_pods_volumes_share_one_slot() -> None:
    limited = Slots(1)
    slots = PodSlots(limited)
    assert slots.hold(A, "db", "shop")
    assert slots.hold(B, "db", "shop")
    assert limited.in_use == 1


def test_a_pod_is_not_held_without_a_slot() -> None:
    slots = PodSlots(Slots(1))
    assert slots.try_run(C, "shop")
    assert not slots.hold(A, "db", "shop")
    assert not slots.holds(A)


def test_a_frozen_pods_volumes_follow_each_other_in_its_slot() -> None:
    slots = PodSlots(Slots(1))
    assert slots.hold(A, "db", "shop")
    assert slots.hold(B, "db", "shop")
    assert slots.try_run(A, "shop")
    assert slots.try_run(A, "shop")
    assert not slots.try_run(B, "shop")
    slots.release(A)
    assert slots.try_run(B, "shop")


def test_free_slots_shorten_a_freeze() -> None:
    limited = Slots(2)
    slots = PodSlots(limited)
    assert slots.hold(A, "db", "shop")
    assert slots.hold(B, "db", "shop")
    assert slots.try_run(A, "shop")
    assert slots.try_run(B, "shop")
    assert limited.in_use == 2


def test_the_pods_slot_is_free_when_its_last_volume_ended() -> None:
    limited = Slots(1)
    slots = PodSlots(limited)
    assert slots.hold(A, "db", "shop")
    assert slots.hold(B, "db", "shop")
    slots.release(A)
    assert limited.in_use == 1
    slots.release(B)
    slots.release(B)
    assert limited.in_use == 0
    assert not slots.holds(A)


def test_two_backups_hold_one_pod_with_a_slot_each() -> None:
    slots = PodSlots(Slots(1))
    assert slots.hold(A, "backup-1/db", "shop")
    assert not slots.hold(B, "backup-2/db", "shop")
