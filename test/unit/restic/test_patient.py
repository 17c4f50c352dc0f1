"""Waiting for a lock in rounds."""

import datetime

import msgspec
import pytest

from pkg.kube.stop import StopToken
from pkg.restic import command
from pkg.restic.classify import error_from
from pkg.restic.command import Command
from pkg.restic.environment import ResticEnvironment
from pkg.restic.errors import RepositoryLockedError
from pkg.restic.finished import Ended, Finished
from pkg.restic.locks import LockContent
from pkg.restic.messages import ExitError, Message, Status
from pkg.restic.password import Password
from pkg.restic.patient import PatientRunner
from pkg.testing.fakeclock import FakeClock
from pkg.testing.fakerestic import FakeRestic

ENVIRONMENT = ResticEnvironment(repository="s3:x/shop", password=Password("p"), cache_dir="/nowhere")
LOCKED = ExitError(code=11, message="unable to create lock in backend: repository is already locked by PID 7 on laptop")


class World:
    """A repository that is locked for so many rounds."""

    def __init__(self, rounds: int) -> None:
        self.clock, self.stop, self.said = FakeClock(automatic=True), StopToken(), list[str]()
        self.restic, self.rounds, self.ran = FakeRestic(), rounds, list[Command]()
        self.restic.script = self.answer
        self.runner = PatientRunner(
            self.restic, self.clock, on_locked=self.said.append, describe=lambda lock: lock.described(self.clock.now())
        )

    def answer(self, called: Command, environment: ResticEnvironment | None) -> Finished | None:
        if called.verb == "list locks":
            return Finished(verb=called.verb, repository="", exit_code=0, stdout=b"1" * 64 + b"\n" + b"2" * 64 + b"\n")
        if called.verb == "cat lock":
            exclusive = called.arguments[2].startswith("1")
            content = LockContent(time=self.clock.now(), exclusive=exclusive, hostname="laptop", pid=7)
            return Finished(verb=called.verb, repository="", exit_code=0, stdout=msgspec.json.encode(content))
        if self.stop.cancelled:
            return Finished(verb="backup", repository="", exit_code=130, ended=Ended.STOPPED)
        self.ran.append(called)
        self.clock.advance(called.lock_wait_seconds)
        if len(self.ran) <= self.rounds:
            return Finished(verb="backup", repository="", exit_code=11, messages=(LOCKED,))
        return Finished(verb="backup", repository="", exit_code=0)

    def run(self, wait: int = 7200) -> Finished:
        return self.runner.run(
            command.backup(directory="/v", tags={}, lock_wait_seconds=wait),
            ENVIRONMENT,
            self.stop,
            lambda message: None,
        )


def test_each_round_is_short_and_names_the_lock_that_is_in_the_way() -> None:
    world = World(rounds=2)
    assert world.run().exit_code == 0
    assert [one.lock_wait_seconds for one in world.ran] == [5, 30, 30]
    assert "5s" in world.ran[0].arguments
    assert len(world.said) == 2
    assert world.said[0].startswith("11111111: exclusive, laptop pid 7")
    assert "22222222" not in world.said[0]


def test_the_deadline_ends_it_with_the_holder_named() -> None:
    world = World(rounds=10_000)
    began = world.clock.now()
    finished = world.run(wait=600)
    waited = world.clock.now() - began
    assert finished.exit_code == 11
    assert datetime.timedelta(seconds=600) <= waited <= datetime.timedelta(seconds=660)
    error = error_from(finished)
    assert isinstance(error, RepositoryLockedError)
    assert "waited 10 min for a lock: 11111111: exclusive, laptop pid 7" in str(error)


def test_locks_that_cannot_be_read_are_named_in_restics_words() -> None:
    world = World(rounds=1)
    kept = world.restic.script

    def refuse(called: Command, environment: ResticEnvironment | None) -> Finished | None:
        if called.verb == "list locks":
            return Finished(verb="list locks", repository="", exit_code=1)
        return kept(called, environment)

    world.restic.script = refuse
    world.run()
    assert world.said == [LOCKED.message]


def test_a_stop_while_it_waits_ends_it() -> None:
    world = World(rounds=10_000)
    world.runner = PatientRunner(
        world.restic,
        world.clock,
        on_locked=lambda text: world.stop.cancel("Canceled"),
        describe=lambda lock: lock.id,
    )
    assert world.run().exit_code == 130
    assert len(world.ran) == 1


@pytest.mark.parametrize("code", [0, 1, 3, 10, 12, 137])
def test_any_other_end_is_the_end(code: int) -> None:
    world = World(rounds=0)
    world.restic.script = lambda called, environment: Finished(verb="backup", repository="", exit_code=code)
    assert world.run().exit_code == code
    assert world.said == []


def test_what_waits_for_no_lock_is_run_as_it_is() -> None:
    world = World(rounds=0)
    call = command.cat_config(no_lock=True)
    world.restic.script = lambda called, environment: Finished(verb=called.verb, repository="", exit_code=0)
    world.runner.run(call, ENVIRONMENT, world.stop)
    assert world.restic.commands == [call]


def test_the_line_about_the_lock_is_taken_back_when_restic_goes_on() -> None:
    said: list[str] = []
    rounds = iter([11, 0])

    class Talking:
        def run(self, called: Command, environment: object, stop: StopToken, on_message: object = None) -> Finished:
            if called.verb != "backup":
                return Finished(verb=called.verb, repository="", exit_code=1)
            code = next(rounds)
            messages: list[Message] = [LOCKED] if code else [Status(bytes_done=1), Status(bytes_done=2)]
            assert callable(on_message)
            for message in messages:
                on_message(message)
            return Finished(verb="backup", repository="", exit_code=code, messages=(LOCKED,) if code else ())

    runner = PatientRunner(Talking(), FakeClock(automatic=True), on_locked=said.append, describe=lambda lock: lock.id)
    runner.run(command.backup(directory="/v", tags={}, lock_wait_seconds=60), ENVIRONMENT, StopToken())
    assert said == [LOCKED.message, ""]


def test_each_lock_is_read_once_however_often_it_is_in_the_way() -> None:
    world = World(rounds=5)
    world.run()
    assert [called.arguments[2][:1] for called in world.restic.commands if called.verb == "cat lock"] == ["1", "2"]
    assert len(world.said) == 5
