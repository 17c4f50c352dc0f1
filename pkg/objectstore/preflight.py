"""Is the store of any use? Asked before restic is started, because restic needs 15 minutes to say no.

A good answer is remembered for 60 s per store, so that a preflight costs no request per volume; a bad one is not,
so that a repaired store is used at once.
"""

from __future__ import annotations

import threading

from pkg.kube.clock import REAL_CLOCK, Clock
from pkg.objectstore.store import ObjectStore

GOOD_FOR_SECONDS = 60.0


def preflight(store: ObjectStore) -> None:
    """Returns when the store answers.

    Raises:
        StoreError: Within 10 s: BucketMissingError, CredentialsRefusedError, StoreUnreachableError …
    """
    store.probe()


class CachedPreflight:
    """A preflight whose good answer holds for a while; safe to use from many threads."""

    def __init__(self, *, clock: Clock = REAL_CLOCK, good_for_seconds: float = GOOD_FOR_SECONDS) -> None:
        self._clock = clock
        self._good_for_seconds = good_for_seconds
        self._lock = threading.Lock()
        self._good_until: dict[str, float] = {}

    def check(self, name: str, store: ObjectStore) -> None:
        """The preflight of the store that goes by this name.

        Raises:
            StoreError: As `preflight`.
        """
        with self._lock:
            if self._clock.monotonic() < self._good_until.get(name, float("-inf")):
                return
        preflight(store)
        with self._lock:
            self._good_until[name] = self._clock.monotonic() + self._good_for_seconds
