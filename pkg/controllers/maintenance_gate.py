"""Holds new captures of a repository back while maintenance has it, or is about to take it.

The server is the only one who creates captures, so it alone can keep them away from a Job that needs the repository
for itself. After `close`, and once `wait_quiet` said yes, no capture is created until `open`; whatever was created
before can be seen in the API. A server that starts anew knows from the Jobs which repositories are closed.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pkg.kube.clock import Clock
from pkg.kube.stop import StopToken

WANTED_SECONDS = 30.0
_LOOK_SECONDS = 0.2


class MaintenanceGate:
    """One gate for each repository, known by the ResticRepository's name.

    Args:
        busy: Whether an unfinished Job of this repository is known.
        changed: Called when a gate opens, to wake who waits.
    """

    def __init__(self, clock: Clock, *, busy: Callable[[str], bool], changed: Callable[[], None]) -> None:
        self._clock = clock
        self._busy = busy
        self._changed = changed
        self._lock = threading.Lock()
        self._closed: dict[str, float] = {}
        self._wanted: dict[str, float] = {}
        self._entering: Counter[str] = Counter()

    def is_closed(self, repository: str) -> bool:
        """Whether captures must wait; whoever asks is known to want the repository."""
        busy = self._busy(repository)
        with self._lock:
            closed = busy or repository in self._closed
            if closed:
                self._wanted[repository] = self._clock.monotonic()
            return closed

    @contextmanager
    def entering(self, repository: str, *, anyway: bool = False) -> Iterator[bool]:
        """Wraps the creation of a capture; yields whether it may be created.

        Args:
            repository: Where it goes.
            anyway: Lets it in through a closed gate: another capture of the same frozen pod is inside.
        """
        busy = self._busy(repository)
        with self._lock:
            allowed = anyway or not (busy or repository in self._closed)
            self._entering[repository] += allowed
        try:
            yield allowed
        finally:
            with self._lock:
                self._entering[repository] -= allowed

    def close(self, repository: str) -> None:
        """Lets no new capture in."""
        with self._lock:
            self._closed.setdefault(repository, self._clock.monotonic())

    def open(self, repository: str) -> None:
        """Lets captures in again."""
        with self._lock:
            was_closed = self._closed.pop(repository, None) is not None
            self._wanted.pop(repository, None)
        if was_closed:
            self._changed()

    def closed_seconds(self, repository: str) -> float:
        """For how long it has been closed; 0 when it is not."""
        with self._lock:
            since = self._closed.get(repository)
            return 0.0 if since is None else self._clock.monotonic() - since

    def is_wanted(self, repository: str) -> bool:
        """Whether a capture asked for it in vain just now."""
        with self._lock:
            asked = self._wanted.get(repository)
            return asked is not None and self._clock.monotonic() - asked <= WANTED_SECONDS

    def wait_quiet(self, repository: str, stop: StopToken, timeout_seconds: float) -> bool:
        """Waits until no capture is just being created; False when the time is over."""
        deadline = self._clock.monotonic() + timeout_seconds
        while True:
            with self._lock:
                if not self._entering[repository]:
                    return True
            if stop.cancelled or self._clock.monotonic() >= deadline:
                return False
            self._clock.wait(stop, _LOOK_SECONDS)
