"""A runner that minds its locks: who may take one is written down first, and a child that may have left one is told.

restic takes its lock back at any orderly end. One that was killed, or could not reach the store, leaves it; that it
has ended is certain, because it was our child and we have reaped it.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass

from pkg.kube.clock import Clock
from pkg.kube.stop import StopToken
from pkg.restic.command import Command
from pkg.restic.environment import ResticEnvironment
from pkg.restic.finished import Finished
from pkg.restic.messages import Message
from pkg.restic.runner import ResticRunner

# It ended well, or before it had a lock: snapshot made (0, 3), no repository (10), locked (11), wrong password (12).
_GIVEN_BACK = frozenset({0, 3, 10, 11, 12})
_NOT_GIVEN_BACK = "error while unlocking"


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedChild:
    """A restic of ours that was reaped and may have left its lock; it lived within these two moments."""

    repository: str
    pid: int
    began: datetime.datetime
    ended: datetime.datetime


class KeptRunner:
    """Wraps a runner.

    Args:
        inner: Starts restic.
        clock: Tells when a child lived.
        before: Called with the repository's address before a child that takes a lock; what it raises is raised.
        left_behind: Called after a child that may have left its lock.
    """

    def __init__(
        self,
        inner: ResticRunner,
        clock: Clock,
        *,
        before: Callable[[str, StopToken], None],
        left_behind: Callable[[EndedChild], None],
    ) -> None:
        self._inner = inner
        self._clock = clock
        self._before = before
        self._left_behind = left_behind

    def run(
        self,
        command: Command,
        environment: ResticEnvironment | None,
        stop: StopToken,
        on_message: Callable[[Message], None] = lambda message: None,
    ) -> Finished:
        """Runs a call to its end.

        Raises:
            ResticError: It was not begun, because nobody could be told who takes the lock.
        """
        if environment is None or not command.takes_lock:
            return self._inner.run(command, environment, stop, on_message)
        self._before(environment.repository, stop)
        began = self._clock.now()
        finished = self._inner.run(command, environment, stop, on_message)
        if finished.pid and may_have_left_its_lock(finished):
            child = EndedChild(
                repository=environment.repository, pid=finished.pid, began=began, ended=self._clock.now()
            )
            self._left_behind(child)
        return finished


def may_have_left_its_lock(finished: Finished) -> bool:
    """Whether the way in which a child ended does not rule it out."""
    return finished.exit_code not in _GIVEN_BACK or _NOT_GIVEN_BACK in finished.stderr_tail
