"""A memory control group of a test's own, below the one that the test runs in, for a process that is put into it."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from pkg.restic.cgroup import MemoryGroup, own_memory_group
from pkg.testing.processes import wait_until

_REMOVE_SECONDS = 20.0


class NoMemoryGroup(Exception):
    """Here none can be made; the message says why."""


@contextlib.contextmanager
def memory_group(limit_bytes: int) -> Iterator[MemoryGroup]:
    """A group with a limit, and removed at the end, when its processes have ended.

    Raises:
        NoMemoryGroup: There is no controller that this process may use.
    """
    own = own_memory_group()
    if own is None:
        raise NoMemoryGroup("no memory control group is mounted")
    # On version 2 a group that has processes cannot have groups with a controller below it; beside it they may be.
    parent = own.directory if own.version == 1 else own.directory.parent
    made = MemoryGroup(directory=parent / f"ark-test-{os.getpid()}-{secrets.token_hex(3)}", version=own.version)
    try:
        made.directory.mkdir()
    except OSError as error:
        raise NoMemoryGroup(f"{made.directory} cannot be made: {error.strerror}") from error
    try:
        _limit(made, limit_bytes)
        yield made
    finally:
        wait_until(lambda: _is_removed(made.directory), timeout_seconds=_REMOVE_SECONDS, what="the group to be empty")


def _limit(group: MemoryGroup, limit_bytes: int) -> None:
    name = "memory.limit_in_bytes" if group.version == 1 else "memory.max"
    try:
        (group.directory / name).write_text(str(limit_bytes))
    except OSError as error:
        raise NoMemoryGroup(f"{group.directory / name} cannot be written: {error.strerror}") from error


def _is_removed(directory: Path) -> bool:
    with contextlib.suppress(OSError):
        directory.rmdir()
    return not directory.exists()
