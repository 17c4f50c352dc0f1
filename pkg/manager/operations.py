"""Long work beside reconcilers that never block: start, observe, cancel.

An operation is keyed like its object and runs in a thread of its own. Its end re-enqueues the key, and its outcome
is kept until it is forgotten, so a reconciler that fails to record it finds it again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

import structlog

from pkg.kube.clock import Clock
from pkg.kube.stop import StopToken
from pkg.manager.threads import join_all
from pkg.workqueue.key import Key

log = structlog.get_logger()

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Running:
    """It goes on."""

    since: float = 0.0


@dataclass(frozen=True, slots=True)
class Succeeded(Generic[R]):
    """It returned."""

    result: R


@dataclass(frozen=True, slots=True)
class Crashed:
    """It raised."""

    error: BaseException


@dataclass(slots=True)
class _Operation:
    stop: StopToken
    since: float


Outcome: TypeAlias = "Running | Succeeded[R] | Crashed"


class Operations(Generic[R]):
    """The operations of one controller."""

    def __init__(self, name: str, *, clock: Clock, on_finished: Callable[[Key], None]) -> None:
        self._name = name
        self._clock = clock
        self._on_finished = on_finished
        self._lock = threading.Lock()
        self._running: dict[Key, _Operation] = {}
        self._outcomes: dict[Key, Succeeded[R] | Crashed] = {}
        self._threads: set[threading.Thread] = set()
        self._closed = ""

    def start(self, key: Key, work: Callable[[StopToken], R]) -> bool:
        """Starts work for a key; returns False where one runs, an outcome waits to be read, or the process stops."""
        with self._lock:
            if self._closed or key in self._running or key in self._outcomes:
                return False
            stop = StopToken()
            thread = threading.Thread(target=self._run, args=(key, work, stop), name=f"{self._name}:{key}", daemon=True)
            self._running[key] = _Operation(stop=stop, since=self._clock.monotonic())
            self._threads.add(thread)
            thread.start()
        return True

    def observe(self, key: Key) -> Running | Succeeded[R] | Crashed | None:
        """How the key's operation stands; None where there is none."""
        with self._lock:
            if key in self._outcomes:
                return self._outcomes[key]
            operation = self._running.get(key)
            return Running(operation.since) if operation is not None else None

    def forget(self, key: Key) -> None:
        """Drops an outcome that was recorded; a running operation stays."""
        with self._lock:
            self._outcomes.pop(key, None)

    def cancel(self, key: Key, reason: str) -> None:
        """Asks the key's operation to end; it ends when it notices."""
        with self._lock:
            operation = self._running.get(key)
        if operation is not None:
            operation.stop.cancel(reason)

    def cancel_all(self, reason: str) -> None:
        """Asks all to end, and starts no more."""
        with self._lock:
            self._closed = reason
            operations = list(self._running.values())
        for operation in operations:
            operation.stop.cancel(reason)

    def wait_all(self, timeout_seconds: float) -> list[threading.Thread]:
        """Waits until all have ended and were announced; returns the threads of those that have not."""
        with self._lock:
            threads = list(self._threads)
        return join_all(threads, timeout_seconds)

    def _run(self, key: Key, work: Callable[[StopToken], R], stop: StopToken) -> None:
        outcome: Succeeded[R] | Crashed
        try:
            outcome = Succeeded(work(stop))
        except BaseException as error:
            log.exception("Operation crashed", operation=self._name, key=str(key), error=repr(error))
            outcome = Crashed(error)
        with self._lock:
            self._outcomes[key] = outcome
            del self._running[key]
        self._announce(key)

    def _announce(self, key: Key) -> None:
        try:
            self._on_finished(key)
        except Exception:
            log.exception("End of an operation not announced", operation=self._name, key=str(key))
        with self._lock:
            self._threads.discard(threading.current_thread())
