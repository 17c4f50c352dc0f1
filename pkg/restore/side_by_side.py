"""Objects of one kind are created side by side, because each waits for the API server most of its time.

Results are taken in the order in which the calls were handed in, by the one thread that hands them in; so whoever
records them needs no lock, and a log reads the same whichever call was quicker.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Generic, Self, TypeVar

R = TypeVar("R")
WIDTH = 8
BACKLOG = 4 * WIDTH


class SideBySide(Generic[R]):
    """Runs at most `WIDTH` calls at a time; a context manager, at whose end no call runs any more."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(WIDTH, thread_name_prefix="restore-item")
        self._pending: deque[tuple[Future[R], Callable[[R], None]]] = deque()

    def start(self, call: Callable[[], R], then: Callable[[R], None]) -> None:
        """Hands a call in; blocks while too many wait. `then` gets its result here or in `finish`.

        What a call raises is raised here or in `finish` too.
        """
        self._pending.append((self._pool.submit(call), then))
        while len(self._pending) > BACKLOG or (self._pending and self._pending[0][0].done()):
            self._take()

    def finish(self) -> None:
        """Waits for every call and takes its result."""
        while self._pending:
            self._take()

    def _take(self) -> None:
        future, then = self._pending.popleft()
        then(future.result())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
