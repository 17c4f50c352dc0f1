"""Child processes of the tests: started, watched, and never left behind.

Every child leads a process group of its own, so a Ctrl-C at the terminal reaches Python alone, which stops
its children in order. If Python itself is killed, the kernel kills them: `setpriv` asks for that in the child
(a preexec_fn is not safe beside threads), and the request is bound to the *thread* that started the child, so
one thread that lives as long as the interpreter starts them all.
"""

import contextlib
import os
import signal as signals
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

T = TypeVar("T")
POLL_SECONDS = 0.05
_starter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="process-starter")


class HarnessError(Exception):
    """The test environment does not do what it should; the message says what and shows the log."""


class Process:
    """One child process with a log file; may be started again after it has ended.

    Args:
        name: what messages call it.
        argv: the program and its arguments.
        log: file that its output is appended to.
        prefix: command words put in front, such as `nsenter --net=…`; they must `exec`, not fork.
        environment: the child's whole environment; None means ours.
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str | Path],
        *,
        log: Path,
        prefix: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.log = log
        self._argv = [*prefix, "setpriv", "--pdeathsig", "KILL", "--", *map(str, argv)]
        self._environment = environment
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        """Start the process, or do nothing when it runs."""
        if not self.is_running:
            self.log.parent.mkdir(parents=True, exist_ok=True)
            self._child = _starter.submit(self._spawn).result()
        return self

    def _spawn(self) -> "subprocess.Popen[bytes]":
        with self.log.open("ab") as log:
            return subprocess.Popen(
                self._argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment,
                process_group=0,
            )

    @property
    def pid(self) -> int:
        """The process id of the running or last process."""
        if self._child is None:
            raise HarnessError(f"{self.name} was never started")
        return self._child.pid

    @property
    def was_started(self) -> bool:
        """Whether `start` was ever called."""
        return self._child is not None

    @property
    def is_running(self) -> bool:
        """Whether the process lives."""
        return self._child is not None and self._child.poll() is None

    @property
    def exit_code(self) -> int | None:
        """How the process ended (negative: by that signal); None while it lives or before its start."""
        return None if self._child is None else self._child.poll()

    def wait(self, timeout_seconds: float) -> int:
        """Wait for the process to end by itself and return its exit code."""
        if self._child is None:
            raise HarnessError(f"{self.name} was never started")
        try:
            return self._child.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            raise HarnessError(f"{self.name} still runs after {timeout_seconds} s\n{self.tail()}") from None

    def signal(self, number: signals.Signals) -> None:
        """Send a signal to the process alone; nothing happens when it has ended."""
        if self._child is not None:
            self._child.send_signal(number)

    def stop(self, grace_seconds: float = 10) -> None:
        """End the process and its group: SIGTERM, then SIGKILL to what is left of it."""
        if self._child is None or not self.is_running:
            return  # an ended group's number may be somebody else's by now
        self._signal_group(signals.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(grace_seconds)
        self._signal_group(signals.SIGKILL)
        self._child.wait()

    def kill(self) -> None:
        """End the process and its group at once, as a crash of the machine would."""
        if self._child is not None and self.is_running:
            self._signal_group(signals.SIGKILL)
            self._child.wait()

    def _signal_group(self, number: signals.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def tail(self, lines: int = 30) -> str:
        """Return the end of the log under a heading, for an error message."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        state = "running" if self.is_running else f"ended with {self.exit_code}"
        return "\n".join([f"--- {self.name} ({state}), {self.log}", *text.splitlines()[-lines:]])

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def wait_until(
    predicate: Callable[[], T | None],
    *,
    timeout_seconds: float,
    what: str,
    watched: Sequence[Process] = (),
) -> T:
    """Call a predicate until it returns something true, and return that.

    Args:
        predicate: asked again and again; what it raises ends the wait.
        timeout_seconds: after this the wait fails.
        what: completes the sentence "waited for …".
        watched: processes that must stay alive meanwhile; their logs are shown when the wait fails.
    """
    deadline = time.monotonic() + timeout_seconds
    while True:
        if found := predicate():
            return found
        dead = [process for process in watched if not process.is_running]
        if dead or time.monotonic() >= deadline:
            why = f"{dead[0].name} has ended" if dead else f"{timeout_seconds:g} s are over"
            tails = "\n".join(process.tail() for process in (dead or watched))
            raise HarnessError(f"waited for {what}, but {why}\n{tails}".rstrip())
        time.sleep(POLL_SECONDS)
