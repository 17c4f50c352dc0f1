"""Watching one child to its end: by itself, by the stop token, or because nothing moves any more.

SIGTERM comes first, because restic then gives its lock back; SIGKILL follows after the grace, and at any way out of
here. A child that had succeeded when the signal came has succeeded.
"""

from __future__ import annotations

import contextlib
import queue
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import IO, Protocol

from pkg.apis.reasons import Reason
from pkg.kube.clock import Clock
from pkg.kube.stop import StopToken
from pkg.restic.finished import Ended
from pkg.restic.messages import ItemError, Message, Status
from pkg.restic.output import EndOfStream, Noise, Output, WakeUp
from pkg.restic.progress import ProgressWatch

SHUTDOWN_GRACE_SECONDS = 75.0  # restic needs 60 s to give its lock back on a dead store
CANCEL_GRACE_SECONDS = 20.0
_HURRIED = frozenset(
    {
        Reason.CANCELED,
        Reason.POD_DELETED,
        Reason.FREEZE_EXCEEDED,
        Reason.THAWED,
        Reason.OUT_OF_MEMORY,
    }
)
_KEPT_ITEM_ERRORS = 20
_KEPT_MESSAGES = 100
_LONGEST_WAIT_SECONDS = 5.0


def grace_seconds(stop_reason: str) -> float:
    """How long restic may take to end, by the reason the stop token was cancelled with: a Reason, or a shutdown."""
    return CANCEL_GRACE_SECONDS if stop_reason in _HURRIED else SHUTDOWN_GRACE_SECONDS


class SupervisedChild(Protocol):
    """What supervision needs of a process."""

    @property
    def streams(self) -> tuple[IO[bytes], IO[bytes]]:
        """Standard output and standard error."""
        ...

    def signal_group(self, number: int) -> bool:
        """Sends a signal to all of the group; False once the child was reaped."""
        ...

    def reap(self, timeout_seconds: float) -> int | None:
        """The exit code; None while it runs after that long."""
        ...


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What a child left behind."""

    exit_code: int = 0
    document: bytes = b""
    stderr_tail: str = ""
    messages: list[Message] = field(default_factory=list)
    item_errors: list[ItemError] = field(default_factory=list)
    files_done: int = 0
    noise: Noise = field(default_factory=Noise)
    ended: Ended = Ended.ITSELF
    stop_reason: str = ""
    seconds: float = 0.0


@dataclass(slots=True, kw_only=True)
class Supervision:
    """One child and the three things that end it."""

    child: SupervisedChild
    output: Output
    watch: ProgressWatch
    stop: StopToken
    grace: Callable[[str], float]
    on_message: Callable[[Message], None]
    clock: Clock
    _open_streams: int = field(default=0, init=False)
    _ended: Ended = field(default=Ended.ITSELF, init=False)
    _kill_at: float = field(default=float("inf"), init=False)
    _exit_code: int | None = field(default=None, init=False)
    _outcome: Outcome = field(default_factory=Outcome, init=False)

    def to_the_end(self) -> Outcome:
        """Reads until the child has ended; messages reach `on_message` in this thread."""
        started = self.clock.monotonic()
        self._open_streams = 2
        self.output.start(*self.child.streams)
        unregister = self.stop.on_cancel(self._wake)
        try:
            while self._open_streams:
                self._read_one()
            while self._exit_code is None:
                self._enforce(self.clock.monotonic())
                self._exit_code = self.child.reap(self._patience(self.clock.monotonic()))
        finally:
            unregister()
        return self._filled(started)

    def leave_nothing(self) -> None:
        """Kills what still runs, reaps it and lets the readers end; does nothing after a normal end."""
        if self._exit_code is None:
            self.child.signal_group(signal.SIGKILL)
            while self._open_streams:
                self._open_streams -= isinstance(self.output.inbox.get(), EndOfStream)
            while self._exit_code is None:
                self._exit_code = self.child.reap(_LONGEST_WAIT_SECONDS)

    def _read_one(self) -> None:
        now = self.clock.monotonic()
        self._enforce(now)
        try:
            item = self.output.inbox.get(timeout=self._patience(now))
        except queue.Empty:
            return
        if isinstance(item, EndOfStream):
            self._open_streams -= 1
        elif not isinstance(item, WakeUp):
            self._take(item)

    def _take(self, message: Message) -> None:
        self.watch.saw(message, self.clock.monotonic())
        if isinstance(message, ItemError):
            if len(self._outcome.item_errors) < _KEPT_ITEM_ERRORS:
                self._outcome.item_errors.append(message)
        elif isinstance(message, Status):
            self._outcome.files_done = message.files_done or message.files_restored + message.files_skipped
        else:
            self._outcome.messages = [*self._outcome.messages[-_KEPT_MESSAGES:], message]
        self.on_message(message)

    def _enforce(self, now: float) -> None:
        if now >= self._kill_at:
            self._kill_at = float("inf")
            self.child.signal_group(signal.SIGKILL)
        elif self._ended is not Ended.ITSELF:
            return
        elif self.stop.cancelled:
            self._end(Ended.STOPPED, now + self.grace(self.stop.reason))
        elif self.watch.seconds_left(now) <= 0:
            self._end(Ended.NO_PROGRESS, now + self.grace(Reason.CANCELED))

    def _end(self, ended: Ended, kill_at: float) -> None:
        self._ended, self._kill_at = ended, kill_at
        self.child.signal_group(signal.SIGTERM)

    def _patience(self, now: float) -> float:
        left = self.watch.seconds_left(now) if self._ended is Ended.ITSELF else _LONGEST_WAIT_SECONDS
        return max(0.01, min(left, self._kill_at - now, _LONGEST_WAIT_SECONDS))

    def _wake(self) -> None:
        with contextlib.suppress(queue.Full):  # whoever has that much to read looks at the token anyway
            self.output.inbox.put_nowait(WakeUp())

    def _filled(self, started: float) -> Outcome:
        outcome = self._outcome
        outcome.exit_code = self._exit_code or 0
        outcome.document, outcome.stderr_tail = self.output.document, self.output.stderr_tail
        outcome.noise = self.output.noise
        outcome.seconds = self.clock.monotonic() - started
        if outcome.exit_code:
            outcome.ended = self._ended
            outcome.stop_reason = self.stop.reason if self._ended is Ended.STOPPED else ""
        return outcome
