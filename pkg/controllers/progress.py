"""Progress of a transfer, written to the API rarely: the first bytes at once, then at most every 10 s and 1 %."""

from __future__ import annotations

from collections.abc import Callable

from pkg.apis.volumes import VolumeProgress
from pkg.kube.clock import Clock

INTERVAL_SECONDS = 10.0
STEP_RATIO = 0.01


class ProgressGate:
    """Lets through the progress that is worth a write; `write` must not raise."""

    def __init__(self, clock: Clock, write: Callable[[VolumeProgress], None]) -> None:
        self._clock = clock
        self._write = write
        self._last_at = 0.0
        self._last: VolumeProgress | None = None

    def offer(self, progress: VolumeProgress) -> None:
        """Takes what restic says; writes it when it is time."""
        if not is_worth_writing(self._last, progress, self._clock.monotonic() - self._last_at):
            return
        self._last, self._last_at = progress, self._clock.monotonic()
        self._write(progress)


def is_worth_writing(last: VolumeProgress | None, new: VolumeProgress, elapsed_seconds: float) -> bool:
    """Whether progress moved enough since the last write."""
    if new.bytes_done == 0:
        return False
    if last is None:
        return True
    moved = new.bytes_done - last.bytes_done
    return elapsed_seconds >= INTERVAL_SECONDS and moved >= STEP_RATIO * max(1, new.total_bytes)
