"""An agent's slots for volumes of which one may have to be alone on its node."""

from __future__ import annotations

from pkg.controllers.pod_slots import PodSlots
from pkg.controllers.solitude import Solitude
from pkg.kube.refs import POD_VOLUME_RESTORES
from pkg.manager.slots import SMALL_SECONDS
from pkg.workqueue.key import Key


class LoneSlots:
    """`PodSlots` of one kind of volume, within the solitude of all kinds on the node; all calls are idempotent.

    Args:
        slots: What there is for this kind.
        solitude: Shared by all kinds.
        kind: The plural of the objects; restores do not wait for a backup that only waits to be alone.
    """

    def __init__(self, slots: PodSlots, solitude: Solitude, kind: str) -> None:
        self._slots = slots
        self._solitude = solitude
        self._kind = kind
        self._first = kind == POD_VOLUME_RESTORES.plural

    def hold(self, key: Key, pod: str, group: str, last_seconds: float | None = None) -> bool:
        """Counts a volume to its pod's slot; see `PodSlots`."""
        if self._slots.holds(key):
            return True
        if not self._solitude.try_hold(self._who(key), pod):
            return False
        if self._slots.hold(key, pod, group, last_seconds):
            return True
        self._solitude.leave(self._who(key))
        return False

    def holds(self, key: Key) -> bool:
        """Whether a volume counts on its pod's slot."""
        return self._slots.holds(key)

    def try_run(self, key: Key, group: str, last_seconds: float | None = None, *, alone: bool = False) -> bool:
        """Whether a volume may be worked on now; see `PodSlots`."""
        brief = last_seconds is not None and last_seconds < SMALL_SECONDS
        if not self._solitude.try_enter(self._who(key), alone=alone, brief=brief, first=self._first):
            return False
        if self._slots.try_run(key, group, last_seconds):
            return True
        self._solitude.step_back(self._who(key))
        return False

    def release(self, key: Key) -> None:
        """Gives back what a volume has."""
        self._slots.release(key)
        self._solitude.leave(self._who(key))

    def _who(self, key: Key) -> str:
        return f"{self._kind} {key}"
