"""Delays between attempts that grow, spread out and forget.

`Backoff` is the reflector's delay of client-go: doubled up to a cap, each delay stretched by a random factor so
that many clients do not come back together, and started over once no delay was needed for a while.
"""

from __future__ import annotations

import random as random_module
from collections.abc import Callable
from typing import TypeVar

from pkg.kube.clock import REAL_CLOCK, Clock
from pkg.kube.errors import ApiStatusError, ConflictError, KubeError, ServerError, ThrottledError, TransportError
from pkg.kube.stop import StopToken

R = TypeVar("R")


class Backoff:
    """One caller's sequence of delays; not thread-safe.

    Args:
        initial_seconds: The first delay before jitter.
        factor: What each delay is multiplied by for the next one.
        cap_seconds: The highest delay before jitter.
        jitter: Each delay is multiplied by a random number in [1, 1 + jitter).
        reset_after_seconds: Starts over when that long passed since the last delay was asked for; 0 never.
        clock: Tells how long ago that was.
        random: Returns numbers in [0, 1).
    """

    def __init__(
        self,
        *,
        initial_seconds: float = 0.8,
        factor: float = 2.0,
        cap_seconds: float = 30.0,
        jitter: float = 1.0,
        reset_after_seconds: float = 120.0,
        clock: Clock = REAL_CLOCK,
        random: Callable[[], float] = random_module.random,
    ) -> None:
        self._initial = initial_seconds
        self._factor = factor
        self._cap = cap_seconds
        self._jitter = jitter
        self._reset_after = reset_after_seconds
        self._clock = clock
        self._random = random
        self._delay = initial_seconds
        self._last_asked = clock.monotonic()

    def next(self) -> float:
        """The seconds to wait before the next attempt."""
        now = self._clock.monotonic()
        if self._reset_after and now - self._last_asked > self._reset_after:
            self.reset()
        self._last_asked = now
        delay = min(self._delay, self._cap)
        self._delay = min(delay * self._factor, self._cap)
        return delay * (1.0 + self._jitter * self._random())

    def reset(self) -> None:
        """Starts the sequence over."""
        self._delay = self._initial


def retry_on_conflict(
    fn: Callable[[], R],
    *,
    stop: StopToken,
    attempts: int = 5,
    delay_seconds: float = 0.01,
    factor: float = 2.0,
    clock: Clock = REAL_CLOCK,
) -> R:
    """Calls a read-decide-write function again while it ends in a ConflictError; the last one is raised.

    The function must read from the API, not from a cache: a cache would give the same stale object again.
    """
    backoff = Backoff(initial_seconds=delay_seconds, factor=factor, jitter=0.5, clock=clock)
    for _ in range(attempts - 1):
        try:
            return fn()
        except ConflictError:
            if clock.wait(stop, backoff.next()):
                break
    return fn()


def retry_transient(
    fn: Callable[[], R],
    *,
    stop: StopToken,
    attempts: int = 6,
    backoff: Backoff | None = None,
    clock: Clock = REAL_CLOCK,
) -> R:
    """Calls an idempotent function again while the server throttles, fails or does not answer.

    A Retry-After of the server is honoured where it is longer than the own delay; the last error is raised, also
    when the token is cancelled meanwhile.
    """
    delays = backoff or Backoff(clock=clock)
    for attempt in range(1, attempts + 1):
        try:
            return fn()
        except (TransportError, ThrottledError, ServerError) as error:
            if attempt == attempts or clock.wait(stop, delay_after(error, delays)):
                raise
    raise AssertionError("attempts must be positive")


def delay_after(error: KubeError, backoff: Backoff) -> float:
    """The own next delay, or the server's Retry-After if that is longer."""
    asked = error.retry_after_seconds if isinstance(error, ApiStatusError) else None
    return max(backoff.next(), asked or 0.0)
