"""How long a key that failed waits: exponentially longer with each failure, until it is forgotten."""

from __future__ import annotations

import threading
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)

BASE_SECONDS = 0.005
MAX_SECONDS = 1000.0


class ExponentialFailureLimiter(Generic[K]):
    """client-go's ItemExponentialFailureRateLimiter: base x 2^failures, at most the maximum."""

    def __init__(self, base_seconds: float = BASE_SECONDS, max_seconds: float = MAX_SECONDS) -> None:
        self._base_seconds = base_seconds
        self._max_seconds = max_seconds
        self._lock = threading.Lock()
        self._failures: dict[K, int] = {}

    def when(self, key: K) -> float:
        """Counts a failure and returns the seconds to wait."""
        with self._lock:
            failures = self._failures.get(key, 0)
            self._failures[key] = failures + 1
        return min(self._max_seconds, self._base_seconds * 2.0 ** min(failures, 60))

    def forget(self, key: K) -> None:
        """Starts over for a key."""
        with self._lock:
            self._failures.pop(key, None)

    def num_requeues(self, key: K) -> int:
        """How many failures were counted."""
        with self._lock:
            return self._failures.get(key, 0)
