"""The server's cache of restic: few calls fill it, but `ark restic exec` reads trees, and nothing else empties it.

Such a call is a process beside the server, which is told of none of them. So what was used within six hours counts as
used.
"""

from __future__ import annotations

from pathlib import Path

from pkg.kube.clock import Clock
from pkg.kube.stop import StopToken
from pkg.restic.cache import GIB, Cache

LIMIT_BYTES = GIB
KEPT_SECONDS = 6 * 3600.0
EVERY_SECONDS = 600.0


def keep_cache_small(scratch_dir: Path, clock: Clock, stop: StopToken) -> None:
    """Cleans now and then until stopped."""
    cache = Cache(scratch_dir / "restic-cache", limit_bytes=LIMIT_BYTES, kept_seconds=KEPT_SECONDS)
    while True:
        cache.clean()
        if clock.wait(stop, EVERY_SECONDS):
            return
