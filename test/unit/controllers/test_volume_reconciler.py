"""The loop of a volume: decide, claim with a slot, run, record."""

from __future__ import annotations

import pytest

from pkg.apis.reasons import Reason
from pkg.apis.volumes import PodVolumeBackup
from pkg.controllers.volume_reconciler import SLOT_POLL_SECONDS, VolumeOutcome
from pkg.kube.errors import ConflictError, TransportError
from pkg.kube.refs import POD_VOLUME_BACKUPS
from pkg.kube.stop import StopToken
from pkg.manager.reconciler import again_in, done
from pkg.testing.fakevolume import NAMESPACE, until_stopped
from pkg.testing.fakevolume import VolumeWorld as World
from pkg.workqueue.key import Key


def test_a_new_volume_is_claimed_with_its_slot_in_one_patch_and_then_run() -> None:
    world = World()
    key = world.add()
    assert world.reconcile(key) == done()
    world.await_end()
    claimed = world.stored(key).status
    assert (claimed.phase, claimed.holder, claimed.attempts) == ("InProgress", "agent-1", 1)
    assert claimed.slot_at == claimed.start_timestamp == world.clock.now()
    assert world.api.count("PATCH") == 1
    assert world.kind.ran[0].status == claimed


def test_a_finished_volume_is_recorded_once_and_forgotten() -> None:
    world = World()
    key = world.add()
    world.reconcile(key)
    world.await_end()
    assert world.reconcile(key) == done()
    assert (world.stored(key).status.phase, world.stored(key).status.snapshot_id) == ("Completed", "5n4p")
    assert world.operations.observe(key) is None
    assert world.slots.in_use == 0
    world.reconcile(key)
    assert world.api.count("PATCH") == 2
    assert len(world.kind.ran) == 1


def test_reconciling_twice_from_the_same_cache_runs_once() -> None:
    world = World()
    world.kind.work = until_stopped
    key = world.add()
    world.sync()
    world.reconciler.reconcile(key)
    world.reconciler.reconcile(key)
    assert world.api.count("PATCH") == 1
    world.operations.cancel_all("shutdown")
    world.await_end()


def test_an_outcome_that_could_not_be_recorded_is_kept_for_the_next_time() -> None:
    world = World()
    key = world.add()
    world.reconcile(key)
    world.await_end()
    world.sync()
    world.api.fail_next(TransportError("refused"), method="PATCH")
    with pytest.raises(TransportError):
        world.reconciler.reconcile(key)
    assert world.slots.in_use == 1
    world.reconcile(key)
    assert world.stored(key).status.snapshot_id == "5n4p"
    assert len(world.kind.ran) == 1


def test_a_claim_from_an_old_view_is_refused_and_gives_its_slot_back() -> None:
    world = World()
    key = world.add()
    world.sync()
    world.api.client.patch(POD_VOLUME_BACKUPS, NAMESPACE, "v", {"spec": {"cancel": True}}, PodVolumeBackup)
    with pytest.raises(ConflictError):
        world.reconciler.reconcile(key)
    assert world.slots.in_use == 0
    assert world.kind.ran == []


def test_a_volume_without_a_slot_writes_nothing_and_looks_again() -> None:
    world = World(slots=1)
    world.kind.work = until_stopped
    first, second = world.add("a"), world.add("b")
    world.reconcile(first)
    assert world.reconcile(second) == again_in(SLOT_POLL_SECONDS)
    assert world.stored(second).status.phase == ""
    world.operations.cancel(first, Reason.CANCELED)
    world.await_end()
    assert world.woken == []
    world.reconcile(first)
    assert world.woken == [second], "the slot that was given back is offered at once"
    assert world.reconcile(second) == done()
    assert world.stored(second).status.phase == "InProgress"
    world.operations.cancel_all("shutdown")
    world.await_end()


def test_a_canceled_transfer_is_stopped_and_its_end_recorded() -> None:
    world = World()
    world.kind.work = until_stopped
    key = world.add()
    world.reconcile(key)
    world.api.client.patch(POD_VOLUME_BACKUPS, NAMESPACE, "v", {"spec": {"cancel": True}}, PodVolumeBackup)
    world.reconcile(key)
    world.await_end()
    world.reconcile(key)
    assert (world.stored(key).status.phase, world.stored(key).status.reason) == ("Failed", "Canceled")


def test_a_pod_that_goes_away_stops_its_transfer_with_that_reason() -> None:
    world = World()
    world.kind.work = until_stopped
    key = world.add()
    world.reconcile(key)
    world.kind.pod = None
    world.reconcile(key)
    world.await_end()
    world.reconcile(key)
    assert world.stored(key).status.reason == "PodGone"


def test_a_volume_that_never_ran_is_told_outside_before_its_failure_is_recorded() -> None:
    world = World()
    world.kind.pod = None
    key = world.add()
    world.reconcile(key)
    status = world.stored(key).status
    assert (status.phase, status.reason) == ("Failed", "PodGone")
    assert status.completion_timestamp == world.clock.now()
    assert [reason for reason, _ in world.kind.told] == [Reason.POD_GONE]


def test_a_crash_of_the_transfer_is_an_internal_failure_with_its_text() -> None:
    world = World()

    def crash(stop: StopToken) -> VolumeOutcome:
        raise KeyError("surprise")

    world.kind.work = crash
    key = world.add()
    world.reconcile(key)
    world.await_end()
    world.reconcile(key)
    status = world.stored(key).status
    assert (status.phase, status.reason) == ("Failed", "Internal")
    assert "surprise" in status.message
    assert (world.operations.observe(key), world.slots.in_use) == (None, 0)


def test_an_object_that_is_deleted_stops_its_transfer_and_frees_its_slot() -> None:
    world = World()
    world.kind.work = until_stopped
    key = world.add()
    world.reconcile(key)
    world.api.remove(POD_VOLUME_BACKUPS, NAMESPACE, "v")
    world.reconcile(key)
    world.await_end()
    world.reconcile(key)
    assert (world.operations.observe(key), world.slots.in_use) == (None, 0)


def test_what_a_deleted_object_left_is_never_recorded_on_its_successor() -> None:
    world = World()
    key = world.add()
    world.reconcile(key)
    world.await_end()
    world.kind.work = lambda stop: VolumeOutcome(status={"phase": "Completed", "snapshotID": "second"})
    world.api.remove(POD_VOLUME_BACKUPS, NAMESPACE, "v")
    world.add()
    assert world.reconcile(key) == again_in(0)
    world.reconcile(key)
    world.await_end()
    world.reconcile(key)
    assert world.stored(key).status.snapshot_id == "second"
    assert len(world.kind.ran) == 2


def test_a_running_transfer_of_a_deleted_object_is_stopped_for_its_successor() -> None:
    world = World()
    world.kind.work = until_stopped
    key = world.add()
    world.reconcile(key)
    world.api.remove(POD_VOLUME_BACKUPS, NAMESPACE, "v")
    world.add()
    world.reconcile(key)
    world.await_end()
    assert world.stored(key).status.phase == ""


def test_an_interrupted_transfer_leaves_its_claim_and_the_next_agent_takes_it_over() -> None:
    world = World()
    world.kind.work = until_stopped
    key = world.add()
    world.reconcile(key)
    world.operations.cancel_all("shutdown")
    world.await_end()
    world.reconcile(key)
    assert world.stored(key).status.phase == "InProgress"
    started = world.stored(key).status.start_timestamp

    after = World(world.api, holder="agent-2")
    after.clock.advance(60)
    after.reconcile(key)
    after.await_end()
    status = after.stored(key).status
    assert (status.holder, status.start_timestamp) == ("agent-2", started)
    assert (status.attempts, status.interruptions) == (1, 1)
    assert "costs no attempt" in status.message
    assert status.slot_at == after.clock.now()


def release(world: World, key: Key) -> None:
    world.api.client.patch_raw(POD_VOLUME_BACKUPS, key.namespace, key.name, {"spec": {"hold": False}})


def test_the_volumes_of_a_pod_to_be_frozen_are_claimed_with_one_slot_and_wait() -> None:
    world = World(slots=1)
    keys = [world.add(name, spec={"hold": True}) for name in ("a", "b")]
    for key in keys:
        world.reconcile(key)
    assert [world.stored(key).status.slot_at for key in keys] == [world.clock.now()] * 2
    assert (world.kind.ran, world.slots.in_use, world.api.count("PATCH")) == ([], 1, 2)


def test_a_claimed_volume_runs_when_its_pod_is_frozen_without_another_write() -> None:
    world = World()
    key = world.add(spec={"hold": True})
    world.reconcile(key)
    release(world, key)
    writes = world.api.count("PATCH")
    world.reconcile(key)
    world.await_end()
    assert world.api.count("PATCH") == writes
    world.reconcile(key)
    world.reconcile(key)
    assert (world.stored(key).status.attempts, world.stored(key).status.phase) == (1, "Completed")
    assert world.slots.in_use == 0


def test_an_agent_that_died_before_the_freeze_cost_no_attempt() -> None:
    first = World()
    key = first.add(spec={"hold": True})
    first.reconcile(key)
    second = World(first.api, holder="agent-2")
    second.reconcile(key)
    found = second.stored(key).status
    assert (found.holder, found.attempts, found.interruptions) == ("agent-2", 1, 1)
    release(second, key)
    second.reconcile(key)
    second.await_end()
    assert len(second.kind.ran) == 1


def test_a_held_volume_that_is_given_up_gives_its_slot_back() -> None:
    world = World()
    key = world.add(spec={"hold": True})
    world.reconcile(key)
    world.api.client.patch_raw(POD_VOLUME_BACKUPS, key.namespace, key.name, {"spec": {"cancel": True}})
    world.reconcile(key)
    assert world.stored(key).status.reason == Reason.CANCELED
    world.reconcile(key)
    assert world.slots.in_use == 0


def test_a_held_volume_that_was_deleted_gives_its_slot_back() -> None:
    world = World()
    key = world.add(spec={"hold": True})
    world.reconcile(key)
    world.api.remove(POD_VOLUME_BACKUPS, key.namespace, key.name)
    world.reconcile(key)
    assert world.slots.in_use == 0
