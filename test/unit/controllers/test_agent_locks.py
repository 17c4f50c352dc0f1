"""An agent minds its locks: says who it is, removes what its dead children left, and leaves every other lock alone."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from pkg.apis.volumes import ResticRepository
from pkg.controllers.agent import Agent
from pkg.controllers.agent_locks import RETRY_SECONDS, AgentLockReconciler
from pkg.controllers.config import ConfigReconciler
from pkg.controllers.holder_records import HolderRecords, Identity, own_identity
from pkg.controllers.kept_runner import EndedChild
from pkg.controllers.lock_keeping import LockKeeping
from pkg.controllers.lock_sweep import Swept
from pkg.controllers.own_locks import SETTLE, OwnLocks
from pkg.kube.errors import TransportError
from pkg.kube.refs import RESTIC_REPOSITORIES
from pkg.kube.stop import StopToken
from pkg.manager.reconciler import Result, again_in, done
from pkg.objectstore.errors import StoreUnreachableError
from pkg.restic import command
from pkg.restic.environment import ResticEnvironment
from pkg.restic.errors import ResticFailedError
from pkg.restic.finished import Finished
from pkg.restic.password import Password
from pkg.testing.fakedeletion import NAMESPACE, InlineOperations, KilledError
from pkg.testing.fakelocks import KEY, LockWorld
from pkg.testing.fakes import FakeLister
from pkg.workqueue.key import Key

POD, UID = "restic-a", "u1"


class OneAgent:
    """One process of the agent in pod `restic-a`."""

    def __init__(self, world: LockWorld, *, host: str = POD) -> None:
        self.world, self.running, self.woken = world, set[int](), list[Key]()
        world.clock.advance(1)
        identity = Identity(pod=POD, pod_uid=UID, node="node1", host=host, started_at=world.clock.now())
        client = world.client
        self.own = OwnLocks(identity, lambda: self.running)
        self.keeping = LockKeeping(
            client=client,
            namespace=NAMESPACE,
            clock=world.clock,
            repositories=world.repositories,
            records=HolderRecords(client=client, clock=world.clock, identity=identity),
            own=self.own,
            wake=self.woken.append,
        )
        self.runner = self.keeping.runner(world.restic)
        self.operations: InlineOperations[Swept | None] = InlineOperations(
            "locks", clock=world.clock, on_finished=lambda key: None
        )
        self.reconciler = AgentLockReconciler(
            self._agent(),
            self.keeping,
            operations=self.operations,
            runner=world.restic,
            open_store=lambda s: world.store,
        )

    def _agent(self) -> Agent:
        world = self.world
        return Agent(
            node="node1",
            namespace=NAMESPACE,
            holder=f"{UID}/1",
            pods_dir=world.path,
            scratch_dir=world.path,
            client=world.client,
            clock=world.clock,
            runner=self.runner,
            pods=FakeLister(),
            repositories=world.repositories,
            config=ConfigReconciler(world.configs, {}, NAMESPACE),
        )

    def child(self, pid: int, exit_code: int, *, stderr: str = "") -> None:
        """Back a volume up with a child that ends like this."""
        inner, world = self.world.restic.script, self.world

        def end(called: command.Command, environment: ResticEnvironment | None) -> Finished | None:
            if called.verb != "backup":
                return inner(called, environment)
            world.clock.advance(10)
            return Finished(
                verb="backup",
                repository=world.place,
                exit_code=exit_code,
                pid=pid,
                stderr_tail=stderr,
            )

        world.restic.script = end
        environment = ResticEnvironment(repository=world.place, password=Password("secret"), cache_dir="/nowhere")
        self.runner.run(command.backup(directory="/v", tags={}), environment, StopToken())
        world.restic.script = inner
        world.sync()

    def turn(self) -> Result:
        """Let the reconciler come to rest."""
        first = self.reconciler.reconcile(KEY)
        return first if self.operations.observe(KEY) is None else self.reconciler.reconcile(KEY)


@pytest.fixture
def world(tmp_path: Path) -> LockWorld:
    return LockWorld(tmp_path)


def test_the_record_is_written_once_before_the_first_lock(world: LockWorld) -> None:
    agent = OneAgent(world)
    agent.child(7, 0)
    entry = world.holders[UID]
    assert isinstance(entry, dict)
    assert (entry["pod"], entry["node"], entry["host"]) == (POD, "node1", POD)
    writes = world.api.count("PATCH", RESTIC_REPOSITORIES)
    agent.child(8, 0)
    assert world.api.count("PATCH", RESTIC_REPOSITORIES) == writes


def test_two_agents_records_stand_beside_each_other(world: LockWorld) -> None:
    world.hold("u2", "restic-b")
    OneAgent(world).child(7, 0)
    assert set(world.holders) == {"u1", "u2"}


def test_what_takes_no_lock_writes_no_record(world: LockWorld) -> None:
    agent = OneAgent(world)
    environment = ResticEnvironment(repository=world.place, password=Password("secret"), cache_dir="/nowhere")
    agent.runner.run(command.snapshots(tags={}, no_lock=True), environment, StopToken())
    agent.runner.run(command.restore(snapshot_id="1" * 64, target="/v", no_lock=True), environment, StopToken())
    assert world.holders == {}


def test_restic_is_not_started_where_the_record_cannot_be_written(world: LockWorld) -> None:
    agent = OneAgent(world)
    for _ in range(20):
        world.api.fail_next(TransportError("refused"), method="PATCH", ref=RESTIC_REPOSITORIES)
    with pytest.raises(ResticFailedError):
        agent.child(7, 0)
    assert world.restic.commands == []


def test_restic_is_not_started_in_a_repository_that_no_object_names(world: LockWorld) -> None:
    agent = OneAgent(world)
    environment = ResticEnvironment(repository="/elsewhere", password=Password("secret"), cache_dir="/nowhere")
    with pytest.raises(ResticFailedError):
        agent.runner.run(command.backup(directory="/v", tags={}), environment, StopToken())
    assert world.restic.commands == []


@pytest.mark.parametrize(
    ("code", "stderr", "left"),
    [
        pytest.param(0, "", False, id="a snapshot was made"),
        pytest.param(3, "", False, id="with unread files"),
        pytest.param(11, "", False, id="it never had the lock"),
        pytest.param(137, "", True, id="it was killed"),
        pytest.param(130, "", True, id="it was ended and may not have reached the store"),
        pytest.param(1, "", True, id="the store went away"),
        pytest.param(0, "error while unlocking: context canceled", True, id="it could not take its lock back"),
    ],
)
def test_a_child_that_may_have_left_its_lock_has_the_repository_looked_at(
    world: LockWorld, code: int, stderr: str, left: bool
) -> None:
    agent = OneAgent(world)
    agent.child(7, code, stderr=stderr)
    assert agent.woken == ([KEY] if left else [])
    agent.turn()
    assert bool(world.store.calls) is left


def test_the_lock_of_a_killed_child_goes_at_once_and_no_other(world: LockWorld) -> None:
    agent = OneAgent(world)
    agent.child(7, 137)
    agent.running = {8}
    dead = world.lock("1", POD, seconds_ago=5, pid=7)
    kept = {
        world.lock("2", POD, seconds_ago=5, pid=8),
        world.lock("3", "restic-b", seconds_ago=5, pid=7),
        world.lock("4", "laptop", seconds_ago=5, pid=7),
        world.lock("5", POD, seconds_ago=5, pid=9),
        world.lock("6", POD, seconds_ago=-60, pid=7),
    }
    agent.turn()
    assert world.left == kept
    assert dead not in world.left


def test_what_arrives_after_the_end_of_a_child_is_found_by_the_second_look(world: LockWorld) -> None:
    agent = OneAgent(world)
    agent.child(7, 137)
    assert agent.turn() == again_in(SETTLE.total_seconds())
    world.lock("1", POD, seconds_ago=2, pid=7)
    world.clock.advance(SETTLE.total_seconds())
    agent.turn()
    assert world.left == set()
    calls = len(world.store.calls)
    assert agent.turn() == done()
    assert len(world.store.calls) == calls


def test_a_new_process_of_the_pod_removes_what_the_old_one_left(world: LockWorld) -> None:
    OneAgent(world).child(7, 0)
    world.lock("1", POD, seconds_ago=3, pid=7)
    theirs = world.lock("2", "restic-b", seconds_ago=3)
    world.clock.advance(30)
    agent = OneAgent(world)
    agent.turn()
    assert world.left == {theirs}


def test_a_new_process_that_begins_with_a_backup_still_removes_what_the_old_one_left(world: LockWorld) -> None:
    OneAgent(world).child(7, 0)
    world.lock("1", POD, seconds_ago=3, pid=7)
    world.clock.advance(30)
    agent = OneAgent(world)
    agent.child(9, 0)
    agent.turn()
    assert world.left == set()


def test_the_first_process_of_a_pod_asks_nothing(world: LockWorld) -> None:
    world.hold("u2", "restic-b")
    world.lock("1", POD, seconds_ago=600)
    agent = OneAgent(world)
    assert agent.turn() == done()
    assert world.store.calls == []


def test_a_live_child_keeps_its_lock_though_the_clock_was_set_back(world: LockWorld) -> None:
    OneAgent(world).child(7, 0)
    agent = OneAgent(world)
    agent.running = {12}
    live = world.lock("1", POD, seconds_ago=7200, pid=12)
    agent.turn()
    assert world.left == {live}


def test_on_a_host_whose_name_is_shared_nothing_is_removed(world: LockWorld) -> None:
    OneAgent(world, host="node1").child(7, 0)
    agent = OneAgent(world, host="node1")
    agent.child(7, 137)
    kept = {world.lock("1", "node1", seconds_ago=600, pid=7), world.lock("2", "node1", seconds_ago=5, pid=7)}
    agent.turn()
    assert world.left == kept


def test_a_store_that_does_not_answer_is_asked_again(world: LockWorld) -> None:
    agent = OneAgent(world)
    agent.child(7, 137)
    world.lock("1", POD, seconds_ago=5, pid=7)
    kept = world.store.before

    def refuse(verb: str, key: str) -> None:
        raise StoreUnreachableError("no route")

    world.store.before = refuse
    assert agent.turn() == again_in(RETRY_SECONDS)
    world.store.before = kept
    agent.turn()
    assert world.left == set()


def test_an_installation_that_only_restores_writes_nothing(world: LockWorld) -> None:
    agent = OneAgent(world)
    agent.child(7, 137)
    world.lock("1", POD, seconds_ago=5, pid=7)
    world.configure(restore_only=True)
    world.sync()
    assert agent.turn() == again_in(RETRY_SECONDS)
    assert (len(world.left), world.store.calls) == (1, [])


def test_wherever_the_agent_dies_its_next_process_ends_it(tmp_path: Path) -> None:
    def left_behind() -> tuple[LockWorld, OneAgent]:
        made = LockWorld(tmp_path)
        agent = OneAgent(made)
        agent.child(7, 137)
        made.lock("1", POD, seconds_ago=5, pid=7)
        made.lock("2", "restic-b", seconds_ago=5, pid=7)
        made.calls.die_before(0)
        return made, agent

    probe, agent = left_behind()
    agent.turn()
    calls = probe.calls.made
    assert calls >= 5
    for call in range(1, calls + 1):
        world, agent = left_behind()
        world.calls.die_before(call)
        with pytest.raises(KilledError):
            agent.turn()
        world.calls.die_before(0)
        world.clock.advance(5)
        OneAgent(world).turn()
        assert world.left == {"2" * 64}, f"died before call {call}"


def test_a_lock_that_is_waited_for_is_named_with_whose_it_is(world: LockWorld) -> None:
    world.hold("u2", "restic-b")
    world.lock("1", "restic-b", exclusive=True)
    said: list[str] = []
    agent = OneAgent(world)
    inner = world.restic.script
    codes = iter([11, 0])

    def locked(called: command.Command, environment: ResticEnvironment | None) -> Finished | None:
        if called.verb != "backup":
            return inner(called, environment)
        return Finished(verb="backup", repository=world.place, exit_code=next(codes))

    world.restic.script = locked
    environment = ResticEnvironment(repository=world.place, password=Password("secret"), cache_dir="/nowhere")
    call = command.backup(directory="/v", tags={}, lock_wait_seconds=60)
    agent.keeping.patient(agent.runner, said.append).run(call, environment, StopToken())
    assert len(said) == 1
    assert "exclusive, restic-b pid 7" in said[0]
    assert "Ark's pod restic-b on node node1" in said[0]


def test_only_the_manifests_tell_a_pods_name(world: LockWorld) -> None:
    named = own_identity({"POD_NAME": "restic-a", "NODE_NAME": "n"}, pod_uid="u", clock=world.clock)
    assert (named.pod, named.node) == ("restic-a", "n")
    assert not own_identity({}, pod_uid="u", clock=world.clock).holder().is_unique


def test_a_child_is_remembered_for_its_own_repository_only(world: LockWorld) -> None:
    agent = OneAgent(world)
    now = world.clock.now()
    agent.own.ended(EndedChild(repository="/elsewhere", pid=7, began=now, ended=now + datetime.timedelta(seconds=9)))
    repository = world.api.client.get(RESTIC_REPOSITORIES, NAMESPACE, "shop", ResticRepository)
    assert not agent.own.is_due(repository)
    lock_id = world.lock("1", POD, seconds_ago=-3, pid=7)
    assert agent.own.why_dead(world.locks[lock_id], world.place) == ""
    assert agent.own.why_dead(world.locks[lock_id], "/elsewhere")
