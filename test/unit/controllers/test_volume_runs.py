"""How often a volume is run again after it was interrupted, and when it is given up."""

from __future__ import annotations

from pkg.apis.meta import JsonObject
from pkg.apis.reasons import Reason
from pkg.controllers.interruptions import ALONE_AFTER
from pkg.controllers.volume_reconciler import VolumeOutcome
from pkg.testing.fakeapi import FakeApi
from pkg.testing.fakevolume import NAMESPACE, until_stopped
from pkg.testing.fakevolume import VolumeWorld as World
from pkg.workqueue.key import Key


def interrupted(api: FakeApi, number: int) -> World:
    """An agent that takes everything on and ends before anything is done."""
    world = World(api, holder=f"agent-{number}")
    world.kind.work = until_stopped
    world.reconcile(Key(NAMESPACE, "v"))
    world.operations.cancel_all("shutdown")
    return world


def test_a_volume_with_which_its_agent_ends_each_time_is_given_up_after_ten() -> None:
    api = FakeApi()
    key = World(api).add()
    runs = 0
    for number in range(20):
        runs += len(interrupted(api, number).kind.ran)
    status = World(api).stored(key).status
    assert (runs, status.phase, status.reason) == (11, "Failed", Reason.ATTEMPTS_EXHAUSTED)
    assert (status.attempts, status.interruptions) == (1, 10)


def test_a_run_that_somebody_else_ended_is_made_three_times() -> None:
    world = World()
    world.kind.work = lambda stop: VolumeOutcome(status=None, again="somebody ended restic")
    key = world.add()
    for _ in range(10):
        world.reconcile(key)
        if world.operations.observe(key) is not None:
            world.await_end()
    status = world.stored(key).status
    assert len(world.kind.ran) == 3
    assert (status.phase, status.reason, status.attempts) == ("Failed", Reason.ATTEMPTS_EXHAUSTED, 3)
    assert "somebody ended restic" in status.message
    assert world.slots.in_use == 0


def test_a_claim_whose_answer_was_lost_is_not_counted_twice() -> None:
    world = World()
    key = world.add(status={"phase": "InProgress", "holder": "agent-1", "attempts": 1})
    world.reconcile(key)
    world.await_end()
    assert (world.stored(key).status.attempts, world.stored(key).status.interruptions) == (1, 0)


def test_a_volume_that_was_interrupted_often_runs_alone_so_that_others_survive_what_it_does() -> None:
    world = World(slots=4)
    world.kind.work = until_stopped
    status: JsonObject = {"phase": "InProgress", "holder": "agent-0", "attempts": 1}
    often = world.add("often", status={**status, "interruptions": ALONE_AFTER})
    seldom = world.add("seldom", status={**status, "interruptions": ALONE_AFTER - 1})
    world.reconcile(seldom)
    world.reconcile(often)
    assert [obj.metadata.name for obj in world.kind.ran] == ["seldom"]
    world.operations.cancel(seldom, Reason.CANCELED)
    world.await_end()
    world.reconcile(seldom)
    world.reconcile(often)
    world.reconcile(world.add("new"))
    assert [obj.metadata.name for obj in world.kind.ran] == ["seldom", "often"]
    world.operations.cancel_all("shutdown")
    world.await_end()
