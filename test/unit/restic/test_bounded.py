"""restic within the container's memory and cache."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pkg.apis.reasons import Reason
from pkg.kube.stop import StopToken
from pkg.restic.bounded import BoundedRunner
from pkg.restic.cache import Cache
from pkg.restic.cgroup import MemoryState
from pkg.restic.classify import error_from
from pkg.restic.command import Command, version
from pkg.restic.environment import ResticEnvironment
from pkg.restic.errors import KilledError
from pkg.restic.finished import Ended, Finished
from pkg.restic.memory import MIB, MemoryWatch
from pkg.restic.password import Password
from pkg.restic.runner import RunningChild
from pkg.testing.fakeclock import FakeClock
from pkg.testing.fakerestic import FakeRestic

BACKUP = Command(verb="backup", arguments=("backup",))
ENVIRONMENT = ResticEnvironment(
    repository="s3:x/y", password=Password("pass-word"), cache_dir="/elsewhere", repository_id="ab" * 32
)
DONE = Finished(verb="backup", repository="s3:x/y", exit_code=0)
FAILED = Finished(verb="backup", repository="s3:x/y", exit_code=1)
KILLED = Finished(verb="backup", repository="s3:x/y", exit_code=137, pid=77, files_done=1234)


class OneChild:
    """A child of 700 MiB."""

    def running(self) -> tuple[RunningChild, ...]:
        return (RunningChild(pid=77, verb="backup", repository="s3:x/y"),)

    def kill(self, pid: int, because: str) -> bool:
        return False


class World:
    """A restic that ends as `script` says, in a container of 2 GiB."""

    def __init__(self, directory: Path, *, limit_bytes: int | None = 2048 * MIB) -> None:
        self.cache = Cache(directory, limit_bytes=MIB)
        self.oom_kills = 0
        self.limit_bytes = limit_bytes
        self.seen: list[ResticEnvironment | None] = []
        self.script: Callable[[ResticEnvironment | None], Finished] = lambda environment: DONE
        self.memory = MemoryWatch(OneChild(), read=self.state, clock=FakeClock(), rss_bytes=lambda pid: 700 * MIB)
        inner = FakeRestic()
        inner.script = self._scripted
        self.runner = BoundedRunner(inner, cache=self.cache, memory=self.memory, parts=lambda: 4)

    def state(self) -> MemoryState | None:
        return MemoryState(limit_bytes=self.limit_bytes, usage_bytes=0, cache_bytes=0, oom_kills=self.oom_kills)

    def _scripted(self, command: Command, environment: ResticEnvironment | None) -> Finished:
        self.seen.append(environment)
        return self.script(environment)

    def run(self, environment: ResticEnvironment | None = ENVIRONMENT) -> Finished:
        return self.runner.run(BACKUP, environment, StopToken())


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "cache")


def only(world: World) -> ResticEnvironment:
    (seen,) = world.seen
    assert seen is not None
    return seen


def test_a_child_gets_its_part_of_the_memory_and_the_cache(world: World) -> None:
    world.run()
    assert only(world).go_memory_bytes == 416 * MIB
    assert only(world).cache_dir == str(world.cache.directory)


def test_without_a_limit_restic_is_told_none(tmp_path: Path) -> None:
    world = World(tmp_path, limit_bytes=None)
    world.run()
    assert only(world).go_memory_bytes == 0


def test_a_repository_of_unknown_id_does_without_a_cache(world: World) -> None:
    world.run(ResticEnvironment(repository="s3:x/y", password=Password("p"), cache_dir="/elsewhere"))
    assert only(world).cache_dir == ""


def test_a_call_of_no_repository_is_left_as_it_is(world: World) -> None:
    world.runner.run(version(), None, StopToken())
    assert world.seen == [None]


def test_the_cache_stays_while_restic_runs(world: World) -> None:
    """Its part is larger than the limit, and is cleaned only afterwards."""
    part = world.cache.directory / ENVIRONMENT.repository_id
    part.mkdir(parents=True)
    (part / "large").write_bytes(b"x" * 2 * MIB)

    def cleaned_meanwhile(environment: ResticEnvironment | None) -> Finished:
        world.cache.clean()
        assert part.is_dir()
        return DONE

    world.script = cleaned_meanwhile
    world.run()
    world.cache.clean()
    assert not part.exists()


def test_a_cache_that_fails_in_the_middle_costs_a_second_run_and_not_the_backup(world: World) -> None:
    def full(environment: ResticEnvironment | None) -> Finished:
        assert environment is not None
        if not environment.cache_dir:
            return DONE
        world.cache.directory.rmdir()
        world.cache.directory.write_text("this is a file now")
        return FAILED

    world.script = full
    assert world.run().exit_code == 0
    assert [seen.cache_dir == "" for seen in world.seen if seen is not None] == [False, True]


def test_a_failure_with_a_good_cache_is_a_failure(world: World) -> None:
    world.script = lambda environment: FAILED
    assert world.run().exit_code == 1
    assert len(world.seen) == 1


def killed_by_the_kernel(world: World) -> Finished:
    world.oom_kills += 1
    world.memory.step()
    return KILLED


def test_a_child_that_the_kernel_killed_is_out_of_memory_with_its_size_and_files(world: World) -> None:
    world.script = lambda environment: killed_by_the_kernel(world)
    error = error_from(world.run())
    assert (type(error), error.reason) == (KilledError, Reason.OUT_OF_MEMORY)
    assert error.message == (
        "killed by the kernel for want of memory; it held 700 MiB when it was looked at last, after 1234 files"
    )


def test_a_child_that_we_killed_says_why(world: World) -> None:
    ours = Finished(verb="backup", repository="r", exit_code=137, killed_because="900 MiB of 1000", files_done=5)
    world.script = lambda environment: ours
    error = error_from(world.run())
    assert (error.reason, error.message) == (Reason.OUT_OF_MEMORY, "900 MiB of 1000, after 5 files")


def test_a_child_that_somebody_else_killed_was_not_short_of_memory(world: World) -> None:
    world.script = lambda environment: KILLED
    error = error_from(world.run())
    assert (error.reason, error.message) == (Reason.INTERNAL, "killed by somebody else, and not for want of memory")


def test_a_child_that_was_stopped_is_no_question_of_memory(world: World) -> None:
    stopped = Finished(verb="backup", repository="r", exit_code=137, ended=Ended.STOPPED, stop_reason=Reason.CANCELED)
    world.script = lambda environment: stopped
    assert error_from(world.run()).reason is Reason.CANCELED
