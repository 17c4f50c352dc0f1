"""Time as a parameter, so that tests step it instead of sleeping."""

from __future__ import annotations

import datetime
import time
from typing import Protocol

from pkg.kube.stop import StopToken


class Clock(Protocol):
    """The time and the way to wait for it."""

    def monotonic(self) -> float:
        """Seconds that never go backwards."""
        ...

    def now(self) -> datetime.datetime:
        """The wall clock in UTC, aware."""
        ...

    def wait(self, stop: StopToken, seconds: float) -> bool:
        """Blocks for that long or until the token is cancelled; returns whether it is cancelled."""
        ...


class RealClock:
    """The machine's clock."""

    def monotonic(self) -> float:
        """Seconds that never go backwards."""
        return time.monotonic()

    def now(self) -> datetime.datetime:
        """The wall clock in UTC, aware."""
        return datetime.datetime.now(datetime.UTC)

    def wait(self, stop: StopToken, seconds: float) -> bool:
        """Blocks for that long or until the token is cancelled; returns whether it is cancelled."""
        return stop.wait(max(0.0, seconds))


REAL_CLOCK = RealClock()
