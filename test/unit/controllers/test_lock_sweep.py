"""A sweep removes what is dead, whatever interrupts it."""

import datetime
import itertools

import msgspec
import pytest

from pkg.controllers.lock_sweep import LockSweep, Swept
from pkg.kube.stop import StopToken
from pkg.objectstore.errors import StoreError
from pkg.restic.command import Command
from pkg.restic.environment import ResticEnvironment
from pkg.restic.errors import ResticError
from pkg.restic.finished import Finished
from pkg.restic.locks import MANY, LockContent
from pkg.restic.messages import ExitError
from pkg.restic.password import Password
from pkg.testing.fakerestic import FakeRestic
from pkg.testing.fakestore import FakeStore

ENVIRONMENT = ResticEnvironment(repository="s3:x/shop", password=Password("p"), cache_dir="/nowhere")
TIME = datetime.datetime(2026, 5, 1, tzinfo=datetime.UTC)
DEAD, LIVE, FOREIGN = "1" * 64, "2" * 64, "3" * 64


class Died(Exception):
    """The process ends here."""


class World:
    """A repository with a dead, a live and a foreign lock."""

    def __init__(self) -> None:
        self.store = FakeStore()
        self.restic = FakeRestic()
        self.restic.script = self.answer
        self.locks = {DEAD: ("restic-a", 1), LIVE: ("restic-b", 2), FOREIGN: ("laptop", 3)}
        for lock_id in self.locks:
            self.store.objects[f"shop/locks/{lock_id}"] = b"sealed"
        self.store.objects["shop/data/00/" + "9" * 64] = b"data"
        self.known: dict[str, LockContent] = {}

    def answer(self, command: Command, environment: ResticEnvironment | None) -> Finished | None:
        lock_id = command.arguments[2]
        assert command.verb == "cat lock"
        if f"shop/locks/{lock_id}" not in self.store.objects:
            missing = ExitError(code=1, message="Load(<lock/1>) failed: The specified key does not exist.")
            return Finished(verb="cat lock", repository="", exit_code=1, messages=(missing,))
        host, pid = self.locks[lock_id]
        content = msgspec.json.encode(LockContent(time=TIME, hostname=host, pid=pid))
        return Finished(verb="cat lock", repository="", exit_code=0, stdout=content)

    def sweep(self) -> Swept:
        return LockSweep(
            store=self.store,
            directory="shop",
            runner=self.restic,
            environment=lambda: ENVIRONMENT,
            why_dead=lambda lock: "ended" if lock.hostname == "restic-a" else "",
            known=self.known,
        ).run(StopToken())

    @property
    def left(self) -> set[str]:
        return {key.rpartition("/")[2] for key in self.store.objects if "/locks/" in key}


def test_exactly_the_dead_lock_is_removed() -> None:
    world = World()
    swept = world.sweep()
    assert [lock.id for lock in swept.removed] == [DEAD]
    assert world.left == {LIVE, FOREIGN}
    assert [key for verb, key in world.store.calls if verb == "delete"] == [f"shop/locks/{DEAD}"]
    assert swept.holds("laptop")
    assert not swept.holds("restic-a")


def test_a_repository_without_locks_costs_one_listing() -> None:
    world = World()
    world.store.objects.clear()
    assert world.sweep() == Swept()
    assert world.store.calls == [("list", "shop/locks")]
    assert world.restic.commands == []


@pytest.mark.parametrize("verb", ["list", "cat", "judge", "delete"])
def test_a_sweep_that_dies_anywhere_is_made_good_by_the_next(verb: str) -> None:
    world = World()
    kept = world.restic.script

    def dies(command: Command, environment: ResticEnvironment | None) -> Finished | None:
        if verb == "cat":
            raise Died
        return kept(command, environment)

    def dies_in_store(called: str, key: str) -> None:
        if called == verb:
            raise Died

    world.restic.script, world.store.before = dies, dies_in_store
    sweep = LockSweep(
        store=world.store,
        directory="shop",
        runner=world.restic,
        environment=lambda: ENVIRONMENT,
        why_dead=lambda lock: died() if verb == "judge" else "ended",
    )
    with pytest.raises(Died):
        sweep.run(StopToken())
    assert world.left == {DEAD, LIVE, FOREIGN}
    world.restic.script, world.store.before = kept, lambda called, key: None
    world.sweep()
    assert world.left == {LIVE, FOREIGN}


def died() -> str:
    raise Died


def test_a_lock_that_is_refreshed_while_it_is_judged_stays() -> None:
    world = World()
    renewed = "4" * 64

    def refresh(called: str, key: str) -> None:
        if called == "delete":
            world.locks[renewed] = world.locks[DEAD]
            world.store.objects[f"shop/locks/{renewed}"] = b"sealed"

    world.store.before = refresh
    world.sweep()
    assert renewed in world.left


def test_a_lock_that_goes_meanwhile_is_no_error() -> None:
    world = World()
    gone = itertools.count()

    def vanish(command: Command, environment: ResticEnvironment | None) -> Finished | None:
        if next(gone) == 0:
            world.store.objects.pop(f"shop/locks/{DEAD}")
        return world.answer(command, environment)

    world.restic.script = vanish
    assert world.sweep().removed == ()


def test_what_cannot_be_read_is_not_removed() -> None:
    world = World()
    refused = ExitError(code=12, message="Fatal: wrong password or no key found")
    world.restic.script = lambda command, environment: Finished(
        verb="cat lock", repository="", exit_code=12, messages=(refused,)
    )
    with pytest.raises(ResticError):
        world.sweep()
    assert world.left == {DEAD, LIVE, FOREIGN}


def test_two_that_sweep_at_once_remove_the_same_and_nothing_else() -> None:
    world = World()
    nested: list[Swept] = []

    def second(called: str, key: str) -> None:
        if called == "delete" and not nested:
            nested.append(Swept())
            nested.append(world.sweep())

    world.store.before = second
    assert [lock.id for lock in world.sweep().removed] == [DEAD]
    assert world.left == {LIVE, FOREIGN}


def test_a_store_that_refuses_the_deletion_is_told() -> None:
    world = World()

    def refuse(called: str, key: str) -> None:
        if called == "delete":
            raise StoreError("AccessDenied")

    world.store.before = refuse
    with pytest.raises(StoreError):
        world.sweep()


def test_files_that_are_no_locks_are_left_alone() -> None:
    world = World()
    world.store.objects["shop/locks/README"] = b"x"
    world.sweep()
    assert "README" in world.left


def test_many_foreign_locks_are_read_once_and_hide_no_dead_one() -> None:
    world = World()
    foreign = {f"{number:064x}": ("laptop", 3) for number in range(MANY + 20)}
    world.locks |= foreign
    world.store.objects |= {f"shop/locks/{lock_id}": b"sealed" for lock_id in foreign}
    assert not world.sweep().complete
    assert world.sweep().complete
    assert DEAD not in world.left
    read = len(world.restic.commands)
    swept = world.sweep()
    assert len(world.restic.commands) == read, "nothing is read again"
    assert {lock.id for lock in swept.left} == {LIVE, FOREIGN, *foreign}
    assert set(world.known) == {LIVE, FOREIGN, *foreign}
