"""The one door through which processes are started, and the promise that none outlives us.

A child leads a process group of its own, so a signal to us does not reach it and a signal to it reaches all it
started. `setpriv --pdeathsig KILL` makes the kernel kill it when we die in any way, so a second attempt never runs
beside a first. It ends by itself, by the stop token, or by the no-progress deadline; the last two send SIGTERM, wait
for restic to give its lock back, and send SIGKILL.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import IO, Protocol

import structlog

from pkg.apis.reasons import Reason
from pkg.kube.clock import REAL_CLOCK, Clock
from pkg.kube.stop import StopToken
from pkg.restic.command import Command
from pkg.restic.environment import ResticEnvironment, allowed
from pkg.restic.errors import ResticUnusableError
from pkg.restic.finished import Ended, Finished
from pkg.restic.messages import Message, redacted_message
from pkg.restic.output import Output
from pkg.restic.progress import ProgressWatch
from pkg.restic.spawner import Spawner
from pkg.restic.supervision import Outcome, Supervision, grace_seconds

log = structlog.get_logger()

NO_PROGRESS_SECONDS = 20 * 60.0
_DIES_WITH_US = ("setpriv", "--pdeathsig", "KILL", "--")
_DOCUMENTS = frozenset({"cat config", "key list", "snapshots", "prune", "list locks", "cat lock"})
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.001, 0.05


class ResticRunner(Protocol):
    """Whatever runs restic calls: the real thing or `pkg.testing.fakerestic`."""

    def run(
        self,
        command: Command,
        environment: ResticEnvironment | None,
        stop: StopToken,
        on_message: Callable[[Message], None] = lambda message: None,
    ) -> Finished:
        """Runs a call to its end; how it ended is in the result, not in an exception.

        Args:
            command: What to call.
            environment: Of which repository; None for calls without one.
            stop: Ends the call.
            on_message: Gets every message in this thread, in order per stream.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningChild:
    """A restic process that runs now."""

    pid: int
    verb: str
    repository: str


class Runner:
    """Runs the real restic; safe to use from many threads.

    Args:
        binary: Path of restic.
        base: Our environment, from which the child's is picked by allow-list.
        nice: Niceness of the children.
        no_progress_seconds: How long nothing may move.
        grace: How long restic may take to end, by the stop's reason.
        clock: For deadlines.
    """

    def __init__(
        self,
        *,
        binary: str = "restic",
        base: Mapping[str, str],
        nice: int = 0,
        no_progress_seconds: float = NO_PROGRESS_SECONDS,
        grace: Callable[[str], float] = grace_seconds,
        clock: Clock = REAL_CLOCK,
    ) -> None:
        self._binary = binary
        self._base = base
        self._no_progress_seconds = no_progress_seconds
        self._grace = grace
        self._clock = clock
        self._spawner = Spawner(nice=nice)
        self._lock = threading.Lock()
        self._running: dict[int, tuple[RunningChild, Child]] = {}

    def running(self) -> tuple[RunningChild, ...]:
        """The children that run now."""
        with self._lock:
            return tuple(shown for shown, _ in self._running.values())

    def kill(self, pid: int, because: str) -> bool:
        """Kills a running child at once, as the kernel would for want of memory; False when it has ended."""
        with self._lock:
            found = self._running.get(pid)
        return found is not None and found[1].kill(because)

    def run(
        self,
        command: Command,
        environment: ResticEnvironment | None,
        stop: StopToken,
        on_message: Callable[[Message], None] = lambda message: None,
    ) -> Finished:
        """Runs a call to its end; see `ResticRunner`."""
        repository = environment.repository if environment else ""
        if stop.cancelled:
            return _never_started(command, repository, stop.reason)
        child = self._spawner.call(lambda: self._spawn(command, environment))
        self._remember(child, command, repository)
        supervision = Supervision(
            child=child,
            output=Output(f"restic-{command.verb}-{child.pid}", keep_document=command.verb in _DOCUMENTS),
            watch=ProgressWatch(
                now=self._clock.monotonic(),
                limit_seconds=self._limit(command),
                lock_wait_seconds=command.lock_wait_seconds,
            ),
            stop=stop,
            grace=self._grace,
            on_message=on_message,
            clock=self._clock,
        )
        try:
            child.feed(command.stdin)
            outcome = supervision.to_the_end()
        finally:
            supervision.leave_nothing()
            self._forget(child)
        return self._finished(command, environment, outcome, child)

    def _limit(self, command: Command) -> float:
        if command.answer_seconds is not None:
            return command.answer_seconds
        return self._no_progress_seconds + command.slow_seconds

    def _spawn(self, command: Command, environment: ResticEnvironment | None) -> Child:
        variables = environment.variables(self._base) if environment else allowed(self._base)
        try:
            uncached = ("--no-cache",) if environment is not None and not environment.cache_dir else ()
            return Child([*_DIES_WITH_US, self._binary, *uncached, *command.arguments], command, variables)
        except OSError as error:
            raise ResticUnusableError(
                verb=command.verb,
                repository=environment.repository if environment else "",
                exit_code=127,
                reason=Reason.INTERNAL if command.directory is None else Reason.TARGET_UNUSABLE,
                message=f"cannot start: {error.strerror}: {error.filename}",
            ) from error

    def _remember(self, child: Child, command: Command, repository: str) -> None:
        with self._lock:
            shown = RunningChild(pid=child.pid, verb=command.verb, repository=repository)
            self._running[child.pid] = (shown, child)

    def _forget(self, child: Child) -> None:
        with self._lock:
            del self._running[child.pid]

    def _finished(
        self, command: Command, environment: ResticEnvironment | None, outcome: Outcome, child: Child
    ) -> Finished:
        redacted = environment.redacted if environment else str
        finished = Finished(
            verb=command.verb,
            repository=environment.repository if environment else "",
            exit_code=outcome.exit_code,
            stdout=outcome.document,
            stderr_tail=redacted(outcome.stderr_tail),
            messages=tuple(redacted_message(message, redacted) for message in outcome.messages),
            item_errors=tuple(redacted_message(error, redacted) for error in outcome.item_errors),
            noise_lines=outcome.noise.count,
            noise=tuple(redacted(text) for text in outcome.noise.first),
            ended=outcome.ended,
            stop_reason=outcome.stop_reason,
            silent_seconds=self._limit(command),
            reports_progress=command.answer_seconds is None,
            seconds=outcome.seconds,
            pid=child.pid,
            files_done=outcome.files_done,
            killed_because=child.killed_because,
        )
        if finished.noise_lines:
            log.warning(
                "Restic wrote what is no JSON", verb=command.verb, lines=finished.noise_lines, first=finished.noise
            )
        log.debug("Restic ended", verb=command.verb, exit_code=finished.exit_code, seconds=round(finished.seconds, 2))
        return finished


class Child:
    """A started process and its group; no signal is sent once it was reaped and its number may be somebody else's.

    Raises:
        OSError: When program or directory are not there.
    """

    def __init__(self, argv: list[str], command: Command, variables: Mapping[str, str]) -> None:
        self._lock = threading.Lock()
        self.killed_because = ""
        self._never = threading.Event()  # to wait on; a wait for the child itself could not be shared with a signal
        self._process = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE if command.stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=command.directory,
            env=dict(variables),
            process_group=0,
        )

    @property
    def pid(self) -> int:
        """Number of the process and of its group."""
        return self._process.pid

    @property
    def streams(self) -> tuple[IO[bytes], IO[bytes]]:
        """Standard output and standard error."""
        stdout, stderr = self._process.stdout, self._process.stderr
        if stdout is None or stderr is None:
            raise AssertionError("both streams are pipes")
        return stdout, stderr

    def feed(self, data: bytes) -> None:
        """Writes all of standard input and closes it; small data only."""
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError), self._process.stdin as stdin:
                stdin.write(data)

    def signal_group(self, number: int) -> bool:
        """Sends a signal to all of the group; False once the child was reaped."""
        with self._lock, contextlib.suppress(ProcessLookupError):
            if self._process.returncode is None:  # not reaped, so the number is still ours
                os.killpg(self.pid, number)
                return True
        return False

    def kill(self, because: str) -> bool:
        """Kills all of the group and keeps why; False once the child was reaped."""
        self.killed_because = because  # before the signal, so that whoever sees its end sees this
        return self.signal_group(signal.SIGKILL)

    def reap(self, timeout_seconds: float) -> int | None:
        """The exit code, 128 + n for signal n; None while it runs after that long."""
        give_up, pause = time.monotonic() + timeout_seconds, _FIRST_PAUSE_SECONDS
        while True:
            with self._lock:
                code = self._process.poll()
            if code is not None:
                return 128 - code if code < 0 else code
            if time.monotonic() >= give_up:
                return None
            self._never.wait(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)


def _never_started(command: Command, repository: str, stop_reason: str) -> Finished:
    return Finished(
        verb=command.verb, repository=repository, exit_code=130, ended=Ended.STOPPED, stop_reason=stop_reason
    )
