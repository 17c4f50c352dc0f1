"""What a sync could not read, so that it is told once and asked for ever more rarely.

A directory without metadata is a backup in progress elsewhere, the log of one that failed, or nothing of Ark's; one
with damaged metadata stays damaged. Asking for each at every sync would cost a request per directory and period.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pkg.kube.clock import Clock

FIRST_WAIT_SECONDS = 60.0
LONGEST_WAIT_SECONDS = 24 * 3600.0


@dataclass(slots=True)
class _Trouble:
    message: str
    wait_seconds: float
    ask_at: float


class Troubles:
    """The directories that gave no backup, by name; lives as long as the process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._by_name: dict[str, _Trouble] = {}

    def due(self, name: str) -> bool:
        """Whether it is worth asking for this one now."""
        known = self._by_name.get(name)
        return known is None or self._clock.monotonic() >= known.ask_at

    def note(self, name: str, message: str = "") -> bool:
        """Takes note that a directory gave no backup; whether its message is new.

        Args:
            name: The directory.
            message: What is wrong with it; empty where nothing is, because there is just no metadata.
        """
        known = self._by_name.get(name)
        wait = FIRST_WAIT_SECONDS if known is None else min(known.wait_seconds * 2, LONGEST_WAIT_SECONDS)
        self._by_name[name] = _Trouble(message=message, wait_seconds=wait, ask_at=self._clock.monotonic() + wait)
        return bool(message) and (known is None or known.message != message)

    def forget(self, name: str) -> None:
        """Takes note that a directory gave a backup."""
        self._by_name.pop(name, None)

    def keep_only(self, names: Iterable[str]) -> None:
        """Forgets every directory that is not there any more."""
        there = set(names)
        self._by_name = {name: trouble for name, trouble in self._by_name.items() if name in there}

    @property
    def damaged(self) -> int:
        """How many directories hold metadata that cannot be used."""
        return sum(1 for trouble in self._by_name.values() if trouble.message)
