"""The server removes the locks of pods that are gone, and nothing else, wherever it dies meanwhile."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from pkg.apis.meta import Json, JsonObject
from pkg.apis.reasons import Reason
from pkg.apis.volumes import ResticRepository
from pkg.controllers.gone_holders import (
    LOOK_AGAIN_SECONDS,
    HolderCleaner,
    HolderFinding,
    HolderReconciler,
    repositories_of_pod,
)
from pkg.controllers.holder_pods import HolderPods
from pkg.controllers.repository_access import RepositoryAccess
from pkg.controllers.stores import StoreFailure
from pkg.kube.errors import TransportError
from pkg.kube.refs import PODS, RESTIC_REPOSITORIES
from pkg.manager.reconciler import Result, again_in, done
from pkg.testing.fakedeletion import NAMESPACE, InlineOperations, KilledError, StoresInMemory
from pkg.testing.fakelocks import KEY, LockWorld
from pkg.workqueue.key import Key

RUNNING: Json = [{"name": "ark", "state": {"running": {"startedAt": "2020-01-01T00:00:00Z"}}}]
ENDED: Json = [{"name": "m", "state": {"terminated": {"finishedAt": "2020-01-01T00:00:00Z"}}}]


class Server:
    """The server of a world; made anew when it died."""

    def __init__(self, world: LockWorld) -> None:
        self.world = world
        self.stores: StoresInMemory = world.stores()
        client = world.client
        self.operations: InlineOperations[HolderFinding | None] = InlineOperations(
            "dead-holders", clock=world.clock, on_finished=lambda key: None
        )
        cleaner = HolderCleaner(
            pods=HolderPods(client=client, clock=world.clock),
            stores=self.stores,
            runner=world.restic,
            access=RepositoryAccess(client=client, namespace=NAMESPACE, scratch_dir=world.path),
        )
        self.reconciler = HolderReconciler(
            client, world.repositories, world.pods, cleaner=cleaner, operations=self.operations
        )

    def turn(self) -> Result:
        """Look, and record what was found."""
        self.world.sync()
        first = self.reconciler.reconcile(KEY)
        self.world.sync()
        return first if self.operations.observe(KEY) is None else self.reconciler.reconcile(KEY)

    def minutes(self, count: int) -> None:
        """Let so many turns pass."""
        for _ in range(count):
            self.turn()
            self.world.clock.advance(LOOK_AGAIN_SECONDS)


@pytest.fixture
def world(tmp_path: Path) -> LockWorld:
    return LockWorld(tmp_path)


def test_nothing_is_asked_while_every_holder_lives(world: LockWorld) -> None:
    world.pod("restic-a", "u1", phase="Running", containerStatuses=RUNNING)
    world.hold("u1", "restic-a")
    world.lock("1", "restic-a")
    server = Server(world)
    assert server.turn() == done()
    assert (world.calls.made, world.store.calls) == (0, [])


def test_the_lock_of_a_pod_that_is_gone_goes_after_minutes_with_its_record(world: LockWorld) -> None:
    world.hold("u1", "restic-a")
    dead, foreign = world.lock("1", "restic-a"), world.lock("2", "laptop")
    server = Server(world)
    assert server.turn() == again_in(LOOK_AGAIN_SECONDS)
    assert world.left == {dead, foreign}
    assert "u1" in world.holders
    server.minutes(4)
    assert world.left == {foreign}
    assert world.holders == {}
    assert server.turn() == done()


def test_the_lock_of_a_job_that_has_ended_goes_at_once(world: LockWorld) -> None:
    world.pod("job-1", "u1", phase="Failed", containerStatuses=ENDED)
    world.hold("u1", "job-1")
    world.lock("1", "job-1", exclusive=True)
    Server(world).turn()
    assert (world.left, world.holders) == (set(), {})


def test_a_pod_of_the_same_name_is_another(world: LockWorld) -> None:
    world.pod("restic-a", "u2", phase="Running", containerStatuses=RUNNING)
    world.hold("u1", "restic-a")
    world.hold("u2", "restic-a")
    theirs = world.lock("1", "restic-a")
    server = Server(world)
    server.minutes(10)
    assert world.left == {theirs}
    assert set(world.holders) == {"u1", "u2"}


def test_a_namesake_that_has_taken_no_lock_does_not_keep_its_forerunners(world: LockWorld) -> None:
    world.pod("restic-a", "u2", phase="Running", containerStatuses=RUNNING)
    world.hold("u1", "restic-a")
    world.lock("1", "restic-a")
    Server(world).minutes(5)
    assert (world.left, world.holders) == (set(), {})


def test_a_holder_on_a_node_that_is_gone_keeps_its_lock_until_it_must_have_noticed(world: LockWorld) -> None:
    world.node("node1", ready=False)
    world.hold("u1", "restic-a")
    world.lock("1", "restic-a", seconds_ago=0)
    server = Server(world)
    server.minutes(24)
    assert len(world.left) == 1
    server.minutes(3)
    assert world.left == set()


def test_a_lock_that_is_refreshed_by_a_pod_nobody_sees_is_never_removed(world: LockWorld) -> None:
    world.node("node1", ready=False)
    world.hold("u1", "restic-a")
    server = Server(world)
    for turn in range(12):
        world.store.objects.clear()
        world.lock(f"{turn:x}", "restic-a", seconds_ago=0)
        server.minutes(5)
        assert len(world.left) == 1


def test_a_host_that_is_not_the_pods_own_proves_nothing(world: LockWorld) -> None:
    world.hold("u1", "restic-a", host="node1")
    world.lock("1", "node1")
    Server(world).minutes(40)
    assert len(world.left) == 1


def test_a_container_that_waits_to_be_started_again_is_looked_at(world: LockWorld) -> None:
    later = world.clock.now().isoformat()
    waiting: Json = [{"name": "ark", "state": {"waiting": {}}, "lastState": {"terminated": {"finishedAt": later}}}]
    world.pod("restic-a", "u1", phase="Running", containerStatuses=waiting)
    world.hold("u1", "restic-a")
    world.lock("1", "restic-a")
    fresh = world.lock("2", "restic-a", seconds_ago=-5)
    Server(world).turn()
    assert world.left == {fresh}
    assert "u1" in world.holders


def test_an_installation_that_only_restores_removes_nothing(world: LockWorld) -> None:
    world.hold("u1", "restic-a")
    world.lock("1", "restic-a")
    server = Server(world)
    server.stores.trouble = StoreFailure(Reason.RESTORE_ONLY, "restoreOnly")
    server.minutes(40)
    assert len(world.left) == 1


def test_a_pod_that_cannot_be_asked_for_is_not_gone(world: LockWorld) -> None:
    world.hold("u1", "restic-a")
    world.lock("1", "restic-a")
    server = Server(world)
    for _ in range(6):
        world.api.fail_next(TransportError("refused"), method="GET", ref=PODS, name="restic-a")
        server.minutes(1)
    assert len(world.left) == 1


def due(path: Path) -> tuple[LockWorld, Server]:
    """The turn in which everything is removed is the next one."""
    world = LockWorld(path)
    world.hold("u1", "restic-a")
    world.lock("1", "restic-a")
    world.lock("2", "laptop")
    world.lock("3", "restic-a")
    server = Server(world)
    server.minutes(4 - 1)
    world.calls.die_before(0)
    return world, server


def test_wherever_the_server_dies_the_next_one_ends_it(tmp_path: Path) -> None:
    probe, server = due(tmp_path)
    server.turn()
    assert probe.left == {"2" * 64}
    calls = probe.calls.made
    assert calls > 6
    for call in range(1, calls + 1):
        world, server = due(tmp_path)
        world.calls.die_before(call)
        with pytest.raises(KilledError):
            server.turn()
        assert "2" * 64 in world.left
        world.calls.die_before(0)
        Server(world).minutes(6)
        assert (world.left, world.holders) == ({"2" * 64}, {}), f"died before call {call}"


def test_two_servers_at_once_end_it_together(tmp_path: Path) -> None:
    world, server = due(tmp_path)
    other = Server(world)
    other.minutes(4)
    server.turn()
    assert (world.left, world.holders) == ({"2" * 64}, {})


def test_a_pods_change_wakes_the_repositories_that_know_it(world: LockWorld) -> None:
    world.pod("restic-a", "u1", phase="Running")
    world.pod("restic-b", "u2", phase="Running")
    world.hold("u1", "restic-a")
    keys = repositories_of_pod(world.repositories, NAMESPACE)
    assert [keys(pod) for pod in sorted(world.pods.list(), key=lambda one: one.metadata.name)] == [[KEY], []]


def test_a_repository_in_another_place_than_the_configs_is_left_alone(world: LockWorld) -> None:
    world.hold("u1", "restic-a")
    world.lock("1", "restic-a")
    patch: JsonObject = {"spec": {"resticIdentifier": "/elsewhere/shop"}}
    world.api.client.patch(RESTIC_REPOSITORIES, NAMESPACE, "shop", patch, ResticRepository)
    Server(world).minutes(40)
    assert len(world.left) == 1


def test_no_more_than_four_are_cleaned_at_once(world: LockWorld) -> None:
    world.hold("u1", "restic-a")
    shop = world.repositories.list()[0]
    for number in range(6):
        metadata = msgspec.structs.replace(shop.metadata, name=f"shop-{number}")
        world.repositories.put(msgspec.structs.replace(shop, metadata=metadata))
    reconciler = Server(world).reconciler
    keys = [Key(NAMESPACE, f"shop-{number}") for number in range(6)]
    assert [reconciler.reconcile(key) for key in keys] == [done()] * 4 + [again_in(1.0)] * 2
    reconciler.reconcile(keys[0])
    assert reconciler.reconcile(keys[4]) == done()
