"""Spaces out writes of progress: what did not change is not written, and what changed is written every ten seconds."""

from __future__ import annotations

from collections.abc import Callable

from pkg.apis.meta import JsonObject
from pkg.kube.clock import Clock

INTERVAL_SECONDS = 10.0


class Pace:
    """Lets a write through when it says something new and the last one is long enough ago."""

    def __init__(self, clock: Clock, interval_seconds: float = INTERVAL_SECONDS) -> None:
        self._clock = clock
        self._interval_seconds = interval_seconds
        self._last: JsonObject | None = None
        self._last_at = -interval_seconds

    def offer(self, content: JsonObject, write: Callable[[], None]) -> None:
        """Writes the content if it is time."""
        now = self._clock.monotonic()
        if content == self._last or now - self._last_at < self._interval_seconds:
            return
        self._last, self._last_at = content, now
        write()
