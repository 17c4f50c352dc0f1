"""When a call counts as stuck: nothing it reports has changed for too long.

restic repeats its status twice a second with a new time in it even when nothing moves, and retries a dead backend
for up to 34 minutes; so only what changes in the counts counts. Time spent waiting for a lock does not.
"""

from __future__ import annotations

from pkg.restic.messages import Message


class ProgressWatch:
    """Notices when nothing moves.

    Args:
        now: Monotonic seconds at the start.
        limit_seconds: How long nothing may move.
        lock_wait_seconds: What restic may wait for a lock, before its first message.
    """

    def __init__(self, *, now: float, limit_seconds: float, lock_wait_seconds: float = 0.0) -> None:
        self._limit_seconds = limit_seconds
        self._last: Message | None = None
        self._deadline = now + limit_seconds + lock_wait_seconds

    def saw(self, message: Message, now: float) -> None:
        """Takes a message in; it moves the deadline when it differs from the last one."""
        if message != self._last:
            self._last = message
            self._deadline = now + self._limit_seconds

    def seconds_left(self, now: float) -> float:
        """How long until the call counts as stuck; not above zero once it does."""
        return self._deadline - now
