"""restic within what the container has: a part of its memory for each child, and a cache that stays small.

A `ResticRunner` around the one that starts processes. It tells the cache what is in use, hands each child its share
of the memory, runs a call once more without a cache where the cache was what failed, and finds out from the kernel's
own counter whether a child that somebody killed was killed for want of memory.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import structlog

from pkg.kube.stop import StopToken
from pkg.restic.cache import Cache
from pkg.restic.cgroup import MemoryState
from pkg.restic.command import Command
from pkg.restic.environment import ResticEnvironment
from pkg.restic.finished import Ended, Finished
from pkg.restic.memory import MIB, MemoryWatch, go_memory_limit_bytes
from pkg.restic.messages import Message
from pkg.restic.runner import ResticRunner

_KILLED = 137

log = structlog.get_logger()


class BoundedRunner:
    """Runs restic within bounds.

    Args:
        inner: Starts the processes.
        cache: What they share.
        memory: Watches them.
        parts: Among how many children the memory is shared now.
    """

    def __init__(self, inner: ResticRunner, *, cache: Cache, memory: MemoryWatch, parts: Callable[[], int]) -> None:
        self._inner = inner
        self._cache = cache
        self._memory = memory
        self._parts = parts

    def run(
        self,
        command: Command,
        environment: ResticEnvironment | None,
        stop: StopToken,
        on_message: Callable[[Message], None] = lambda message: None,
    ) -> Finished:
        """Runs a call to its end; see `ResticRunner`."""
        if environment is None:
            return self._inner.run(command, environment, stop, on_message)
        before = self._memory.state()
        limit = before.limit_bytes if before is not None else None
        bounded = dataclasses.replace(environment, go_memory_bytes=go_memory_limit_bytes(limit, self._parts()))
        finished = self._run_cached(command, bounded, stop, on_message)
        return explained(finished, before, self._memory) if finished.exit_code == _KILLED else finished

    def _run_cached(
        self, command: Command, environment: ResticEnvironment, stop: StopToken, on_message: Callable[[Message], None]
    ) -> Finished:
        uncached = dataclasses.replace(environment, cache_dir="")
        with self._cache.used(environment.repository_id) as usable:
            if not usable:
                return self._inner.run(command, uncached, stop, on_message)
            cached = dataclasses.replace(environment, cache_dir=str(self._cache.directory))
            finished = self._inner.run(command, cached, stop, on_message)
        if _may_be_the_caches_fault(finished) and not stop.cancelled and not self._cache.is_usable():
            log.warning("Restic failed with a cache that is unusable, and runs without", verb=command.verb)
            return self._inner.run(command, uncached, stop, on_message)
        return finished


def explained(finished: Finished, before: MemoryState | None, memory: MemoryWatch) -> Finished:
    """The same call, killed from outside, with what is known of its death."""
    after = memory.state()
    if finished.ended is not Ended.ITSELF or finished.killed_because or before is None or after is None:
        return finished
    if after.oom_kills == before.oom_kills:
        return dataclasses.replace(finished, was_short_of_memory=False)
    size = memory.last_rss_bytes(finished.pid)
    held = f"; it held {size / MIB:.0f} MiB when it was looked at last" if size else ""
    return dataclasses.replace(finished, killed_because=f"killed by the kernel for want of memory{held}")


def _may_be_the_caches_fault(finished: Finished) -> bool:
    """Whether a failure is of the general kind; a full cache directory is not told apart by restic's exit code."""
    return finished.exit_code == 1 and finished.ended is Ended.ITSELF
