"""One thread that starts all children, because the kernel ties a child's death to the thread that started it.

`setpriv --pdeathsig` asks for a signal when the *thread* that forked ends. Worker threads come and go; this one lives
as long as the process, so a child dies with the process and never before.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


class Spawner:
    """Runs functions on one long-lived daemon thread.

    Args:
        nice: Niceness of that thread, which its children inherit; 0 leaves it as it is.
    """

    def __init__(self, *, nice: int = 0) -> None:
        self._nice = nice
        self._jobs: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def call(self, function: Callable[[], T]) -> T:
        """The function's result; its exception is raised here."""
        self._start()
        future: Future[T] = Future()
        self._jobs.put(lambda: _fulfil(future, function))
        return future.result()

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="restic-spawner", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        if self._nice:
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), self._nice)
        while True:
            self._jobs.get()()


def _fulfil(future: Future[T], function: Callable[[], T]) -> None:
    try:
        future.set_result(function())
    except BaseException as error:  # it belongs to the caller's thread, whatever it is
        future.set_exception(error)
