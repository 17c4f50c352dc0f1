"""Waiting for a lock, with its holder named: many short waits of restic's own instead of one long one.

With `--json` restic 0.19.1 waits for a lock without a word, so one call that may wait two hours could not be told
from one that hangs. Here the first call waits for some seconds and the others for half a minute; then it is known that
there is a lock, whose it is can be said, and the next call begins. What a queue costs in time counts against no other
deadline.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable

from pkg.kube.clock import Clock
from pkg.kube.stop import StopToken
from pkg.restic.command import Command
from pkg.restic.environment import ResticEnvironment
from pkg.restic.errors import ResticError
from pkg.restic.finished import Finished
from pkg.restic.locks import Lock, LockContent, list_locks
from pkg.restic.messages import ExitError, Message
from pkg.restic.runner import ResticRunner

LOCKED_EXIT_CODE = 11
FIRST_ROUND_SECONDS, ROUND_SECONDS = 5, 30
_PAUSE_SECONDS = 2.0
_NAMED = 3


class PatientRunner:
    """A runner whose calls wait for locks in rounds.

    Args:
        inner: Starts restic.
        clock: For the deadline.
        on_locked: Gets a line about the locks after each round in vain, and an empty one when restic goes on after
            all; in the calling thread.
        describe: A lock in words.
    """

    def __init__(
        self,
        inner: ResticRunner,
        clock: Clock,
        *,
        on_locked: Callable[[str], None],
        describe: Callable[[Lock], str],
    ) -> None:
        self._inner = inner
        self._clock = clock
        self._on_locked = on_locked
        self._describe = describe

    def run(
        self,
        command: Command,
        environment: ResticEnvironment | None,
        stop: StopToken,
        on_message: Callable[[Message], None] = lambda message: None,
    ) -> Finished:
        """Runs a call to its end; one that may wait for a lock ends by exit code 11 when that time is over."""
        if environment is None or not command.lock_wait_seconds:
            return self._inner.run(command, environment, stop, on_message)
        give_up, listener = self._clock.monotonic() + command.lock_wait_seconds, on_message
        known: dict[str, LockContent] = {}
        for seconds in itertools.chain((FIRST_ROUND_SECONDS,), itertools.repeat(ROUND_SECONDS)):
            left = max(1.0, give_up - self._clock.monotonic())
            once = command.with_lock_wait(int(min(left, seconds)))
            finished = self._inner.run(once, environment, stop, listener)
            if finished.exit_code != LOCKED_EXIT_CODE:
                return finished
            listener = self._going_on(on_message)
            named = self._named(command, environment, stop, known) or _first_line(finished)
            if self._clock.monotonic() >= give_up:
                return _gave_up(finished, command.lock_wait_seconds, named)
            self._on_locked(named)
            self._clock.wait(stop, _PAUSE_SECONDS)
        raise AssertionError("the rounds do not end")

    def _going_on(self, on_message: Callable[[Message], None]) -> Callable[[Message], None]:
        """Takes the line about the locks back at the first sign of progress."""
        told: list[Message] = []

        def listen(message: Message) -> None:
            if not told and not isinstance(message, ExitError):
                told.append(message)
                self._on_locked("")
            on_message(message)

        return listen

    def _named(
        self, command: Command, environment: ResticEnvironment, stop: StopToken, known: dict[str, LockContent]
    ) -> str:
        """The locks that are in the way; empty when they cannot be read, or are gone."""
        try:
            found = list_locks(self._inner, environment, stop, known)
        except ResticError:
            return ""
        exclusive = [lock for lock in found if lock.content is not None and lock.content.exclusive]
        shown = exclusive if command.verb in ("backup", "restore") else [lock for lock in found if lock.content]
        return "; ".join(self._describe(lock) for lock in itertools.islice(shown, _NAMED))


def _first_line(finished: Finished) -> str:
    return finished.exit_message.partition("\n")[0] or "a lock"


def _gave_up(finished: Finished, seconds: float, named: str) -> Finished:
    said = ExitError(code=LOCKED_EXIT_CODE, message=f"waited {seconds / 60:g} min for a lock: {named}")
    return dataclasses.replace(finished, messages=(*finished.messages, said))
