"""Kill one restic before the kernel kills the container with everything in it (operators.md 14).

On cgroup v2 an out-of-memory kill takes all processes of the container: every volume of the node, and the agent. So
at 90 % of the limit the largest child is killed, and the volume that it worked on says so. One child goes at a time:
while one is dying its memory is still counted, and a second victim would be one too many.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import structlog
from cachetools import LRUCache

from pkg.kube.clock import Clock
from pkg.kube.stop import StopToken
from pkg.restic.cgroup import MemoryState
from pkg.restic.runner import RunningChild

MIB = 1 << 20
KILL_SHARE = 0.9
KEPT_FOR_THE_AGENT_BYTES = 384 * MIB
LEAST_CHILD_BYTES = 128 * MIB  # below it Go would do nothing but collect garbage
_WATCHFUL_SHARE = 0.6
_CALM_SECONDS, _WATCHFUL_SECONDS = 0.25, 0.1  # an index is loaded at hundreds of MiB a second
_DYING_SECONDS = 5.0
_REMEMBERED = 256

log = structlog.get_logger()


class Children(Protocol):
    """What the watch needs of a runner."""

    def running(self) -> tuple[RunningChild, ...]:
        """The children that run now."""
        ...

    def kill(self, pid: int, because: str) -> bool:
        """Kills one at once; False when it has ended."""
        ...


class MemoryWatch:
    """Watches the memory of this process and its children.

    Args:
        children: Whom to kill.
        read: How the control group stands; None where that is not known.
        rss_bytes: How much memory a process holds; 0 when it is gone.

    Attributes:
        kills: How many it killed.
    """

    def __init__(
        self,
        children: Children,
        *,
        read: Callable[[], MemoryState | None],
        clock: Clock,
        rss_bytes: Callable[[int], int] | None = None,
    ) -> None:
        self._children = children
        self._read = read
        self._clock = clock
        self._rss_bytes = rss_bytes or resident_bytes
        self._sizes: LRUCache[int, int] = LRUCache(maxsize=_REMEMBERED)
        self._dying: tuple[int, float] | None = None
        self.kills = 0

    def state(self) -> MemoryState | None:
        """How the control group stands; None where that is not known."""
        return self._read()

    def last_rss_bytes(self, pid: int) -> int:
        """How large a child was when it was looked at last; 0 when it never was."""
        return self._sizes.get(pid, 0)

    def run(self, stop: StopToken) -> None:
        """Watches until stopped."""
        while not self._clock.wait(stop, self.step()):
            pass

    def step(self) -> float:
        """Looks once, kills if it must, and returns in how many seconds to look again."""
        running = self._children.running()
        if not running:
            return _CALM_SECONDS
        for child in running:
            self._sizes[child.pid] = self._rss_bytes(child.pid)
        state = self._read()
        if state is None or state.limit_bytes is None:
            return _CALM_SECONDS
        if state.needed_share >= KILL_SHARE:
            self._kill_the_largest(running, state)
        return _CALM_SECONDS if state.needed_share < _WATCHFUL_SHARE else _WATCHFUL_SECONDS

    def _kill_the_largest(self, running: tuple[RunningChild, ...], state: MemoryState) -> None:
        if self._one_is_dying(running):
            return
        largest = max(running, key=lambda child: self.last_rss_bytes(child.pid))
        size = self.last_rss_bytes(largest.pid)
        because = (
            f"killed before the kernel would kill the container: {_mib(state.needed_bytes)} of "
            f"{_mib(state.limit_bytes or 0)} were in use, {_mib(size)} of them by this restic, the largest of "
            f"{len(running)}"
        )
        if self._children.kill(largest.pid, because):
            self._dying = (largest.pid, self._clock.monotonic() + _DYING_SECONDS)
            self.kills += 1
            log.warning(
                "Largest restic killed for want of memory",
                verb=largest.verb,
                repository=largest.repository,
                rss_bytes=size,
                needed_bytes=state.needed_bytes,
                limit_bytes=state.limit_bytes,
                running=len(running),
            )

    def _one_is_dying(self, running: tuple[RunningChild, ...]) -> bool:
        if self._dying is None:
            return False
        pid, until = self._dying
        if self._clock.monotonic() < until and any(child.pid == pid for child in running):
            return True
        self._dying = None
        return False


def go_memory_limit_bytes(limit_bytes: int | None, parts: int) -> int:
    """What Go's garbage collector should keep one child below; 0 to leave it alone, where there is no limit.

    Args:
        limit_bytes: Of the container.
        parts: How many children share it.
    """
    if limit_bytes is None:
        return 0
    return max(LEAST_CHILD_BYTES, (limit_bytes - KEPT_FOR_THE_AGENT_BYTES) // max(1, parts))


def resident_bytes(pid: int) -> int:
    """The resident memory of a process; 0 when it is gone."""
    try:
        pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
    except (OSError, IndexError):
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def _mib(size_bytes: int) -> str:
    return f"{size_bytes / MIB:.0f} MiB"
