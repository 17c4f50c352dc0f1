"""Who is killed when memory runs short, and how much of it each child is told to stay below."""

from __future__ import annotations

import os

import pytest

from pkg.kube.stop import StopToken
from pkg.restic.cgroup import MemoryState
from pkg.restic.memory import MIB, MemoryWatch, go_memory_limit_bytes, resident_bytes
from pkg.restic.runner import RunningChild
from pkg.testing.fakeclock import FakeClock

LIMIT = 1000 * MIB


class FakeChildren:
    """Children by process number and size in MiB; a killed one stays until it is reaped."""

    def __init__(self, **sizes: int) -> None:
        self.sizes = {int(name.removeprefix("pid")): size for name, size in sizes.items()}
        self.killed: list[tuple[int, str]] = []

    def running(self) -> tuple[RunningChild, ...]:
        return tuple(RunningChild(pid=pid, verb="backup", repository="s3:x") for pid in self.sizes)

    def kill(self, pid: int, because: str) -> bool:
        self.killed.append((pid, because))
        return True

    def rss_bytes(self, pid: int) -> int:
        return self.sizes[pid] * MIB

    @property
    def victims(self) -> list[int]:
        return [pid for pid, _ in self.killed]


class World:
    """A container with a limit of 1000 MiB."""

    def __init__(self, **sizes: int) -> None:
        self.children = FakeChildren(**sizes)
        self.clock = FakeClock(automatic=True)
        self.state: MemoryState | None = None
        self.watch = MemoryWatch(
            self.children, read=lambda: self.state, clock=self.clock, rss_bytes=self.children.rss_bytes
        )

    def needs(self, mib: int, *, cache_mib: int = 0, limit: int | None = LIMIT) -> float:
        usage = (mib + cache_mib) * MIB
        self.state = MemoryState(limit_bytes=limit, usage_bytes=usage, cache_bytes=cache_mib * MIB, oom_kills=0)
        return self.watch.step()


def test_at_ninety_per_cent_the_largest_goes_and_it_is_said_how_large_it_was() -> None:
    world = World(pid1=100, pid2=500, pid3=200)
    world.needs(899)
    assert world.children.victims == []
    world.needs(900)
    assert world.children.victims == [2]
    said = world.children.killed[0][1]
    assert "900 MiB of 1000 MiB were in use, 500 MiB of them by this restic, the largest of 3" in said


@pytest.mark.parametrize(
    ("needed", "cache", "limit"),
    [
        pytest.param(500, 450, LIMIT, id="page cache fills the rest"),
        pytest.param(5000, 0, None, id="there is no limit"),
    ],
)
def test_nobody_goes(needed: int, cache: int, limit: int | None) -> None:
    world = World(pid1=400)
    world.needs(needed, cache_mib=cache, limit=limit)
    assert world.children.victims == []


def test_nobody_goes_while_the_group_cannot_be_read() -> None:
    world = World(pid1=999)
    world.watch.step()
    assert world.children.victims == []


def test_a_second_one_goes_only_when_the_first_is_gone_and_it_was_not_enough() -> None:
    world = World(pid1=300, pid2=500)
    world.needs(950)
    world.needs(950)
    assert world.children.victims == [2]
    del world.children.sizes[2]
    world.needs(940)
    assert world.children.victims == [2, 1]


def test_one_that_does_not_die_is_not_waited_for_for_ever() -> None:
    world = World(pid1=300, pid2=500)
    world.needs(950)
    world.clock.advance(5)
    world.needs(950)
    assert world.children.victims == [2, 2]


def test_it_looks_more_often_the_less_is_left() -> None:
    world = World(pid1=1)
    assert world.needs(700) < world.needs(100)


def test_nothing_is_read_while_nothing_runs() -> None:
    def unread() -> MemoryState | None:
        raise AssertionError("read without need")

    MemoryWatch(FakeChildren(), read=unread, clock=FakeClock()).step()


def test_it_ends_with_its_token() -> None:
    world = World()
    stop = StopToken()
    stop.cancel()
    world.watch.run(stop)


def test_how_large_a_child_was_is_remembered_beyond_its_end() -> None:
    world = World(pid7=123)
    world.needs(1)
    world.children.sizes.clear()
    world.needs(1)
    assert world.watch.last_rss_bytes(7) == 123 * MIB
    assert world.watch.last_rss_bytes(8) == 0


@pytest.mark.parametrize(
    ("limit_mib", "parts", "expected_mib"),
    [
        pytest.param(2048, 4, 416, id="the shipped limit and four slots"),
        pytest.param(2048, 1, 1664, id="alone"),
        pytest.param(512, 4, 128, id="never less than a child can work with"),
        pytest.param(256, 4, 128, id="a limit below what the agent needs itself"),
        pytest.param(2048, 0, 1664, id="no slot at all"),
    ],
)
def test_each_childs_part_of_the_memory(limit_mib: int, parts: int, expected_mib: int) -> None:
    assert go_memory_limit_bytes(limit_mib * MIB, parts) == expected_mib * MIB


def test_no_limit_no_part() -> None:
    assert go_memory_limit_bytes(None, 4) == 0


def test_the_memory_of_a_process_is_read_from_proc() -> None:
    assert resident_bytes(os.getpid()) > MIB
    assert resident_bytes(2**22 + 1) == 0
