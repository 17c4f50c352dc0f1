"""Who works on a node beside whom: a volume that was too much for the memory runs once more, alone (operators.md 14).

Whoever waits to be alone lets nobody else begin, or it would wait for ever on a busy node; what runs already ends in
its own time. One that only waits does not keep others back whose turn cannot wait or costs nothing: a pod that is
frozen, or about to be, for its application stands still; a restore; and what takes seconds, while something that takes
longer runs anyway. Who waits must ask again and again; one that has not asked for five seconds has given up. Nothing
here blocks.
"""

from __future__ import annotations

import threading

from pkg.kube.clock import REAL_CLOCK, Clock

WAITING_SECONDS = 5.0


class Solitude:
    """One node's volumes, backups and restores; all calls are idempotent."""

    def __init__(self, *, clock: Clock = REAL_CLOCK) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._running: dict[str, bool] = {}  # whether it takes seconds only
        self._held: dict[str, str] = {}
        self._waiting: dict[str, float] = {}
        self._alone = ""

    @property
    def kept(self) -> bool:
        """Whether somebody is alone now."""
        return bool(self._alone)

    def try_hold(self, who: str, pod: str) -> bool:
        """Counts a volume to a pod that is to be frozen; False while that must not begin."""
        with self._lock:
            begun = pod in self._held.values()  # its other volumes are held, so the freeze waits for this one
            if not begun and who not in self._held and (self._alone or self._somebody_waits(who)):
                return False
            self._held[who] = pod
            return True

    def try_enter(self, who: str, *, alone: bool = False, brief: bool = False, first: bool = False) -> bool:
        """Whether a volume may run now; it counts as running until it leaves.

        Args:
            who: The volume.
            alone: Nobody may run beside it.
            brief: It is known to take seconds.
            first: It does not wait for one that only waits.
        """
        with self._lock:
            if who in self._running:
                return True
            if not (self._is_empty_for(who) if alone else self._is_open_to(who, brief=brief, first=first)):
                if alone:
                    self._waiting[who] = self._clock.monotonic()
                return False
            self._waiting.pop(who, None)
            self._running[who] = brief
            self._alone = who if alone else self._alone
            return True

    def step_back(self, who: str) -> None:
        """A volume that entered does not run, for want of a slot; one that wants to be alone goes on waiting for it."""
        with self._lock:
            self._running.pop(who, None)
            if self._alone == who:
                self._alone = ""
                self._waiting[who] = self._clock.monotonic()

    def leave(self, who: str) -> None:
        """A volume ended, or waits no more."""
        with self._lock:
            self._running.pop(who, None)
            self._held.pop(who, None)
            self._waiting.pop(who, None)
            self._alone = "" if self._alone == who else self._alone

    def _is_empty_for(self, who: str) -> bool:
        others_frozen = bool(self._held) and who not in self._held
        return not self._running and not others_frozen

    def _is_open_to(self, who: str, *, brief: bool, first: bool) -> bool:
        if self._alone:
            return False
        costs_nothing = brief and not all(self._running.values())
        return first or costs_nothing or who in self._held or not self._somebody_waits(who)

    def _somebody_waits(self, besides: str) -> bool:
        now = self._clock.monotonic()
        self._waiting = {who: asked for who, asked in self._waiting.items() if now - asked <= WAITING_SECONDS}
        return any(who != besides for who in self._waiting)
