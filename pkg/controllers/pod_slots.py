"""An agent's slots, of which a pod with hooks holds one for all its volumes before it is frozen.

A frozen application must not wait for a slot: the pod's slot is taken while nothing is frozen yet, and its volumes
go through it one after another; where other slots are free, more of them go at once. Nothing here blocks.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from pkg.manager.slots import Slots
from pkg.workqueue.key import Key


@dataclass(slots=True)
class _Held:
    """The slot of one pod: who counts on it, and who uses it now."""

    members: set[Key] = field(default_factory=set)
    user: Key | None = None


class PodSlots:
    """Slots for volumes, alone or by pod; all calls are idempotent."""

    def __init__(self, slots: Slots) -> None:
        self._slots = slots
        self._lock = threading.Lock()
        self._pods: dict[str, _Held] = {}
        self._pod_of: dict[Key, str] = {}

    def hold(self, key: Key, pod: str, group: str, last_seconds: float | None = None) -> bool:
        """Counts a volume to its pod's slot, which is taken with the first of them; False while there is none.

        Args:
            key: The volume.
            pod: What tells the pod's freeze from every other.
            group: Among whom slots are shared fairly.
            last_seconds: How long the pod's volumes needed a slot the last time; None where that is not known.
        """
        with self._lock:
            if pod not in self._pods and not self._slots.try_take(f"pod {pod}", group, last_seconds):
                return False
            self._pods.setdefault(pod, _Held()).members.add(key)
            self._pod_of[key] = pod
            return True

    def holds(self, key: Key) -> bool:
        """Whether a volume counts on its pod's slot."""
        with self._lock:
            return key in self._pod_of

    def try_run(self, key: Key, group: str, last_seconds: float | None = None) -> bool:
        """Whether a volume may be worked on now: in its pod's slot, or in one of its own."""
        with self._lock:
            held = self._pods.get(self._pod_of.get(key, ""))
            if held is not None and held.user in (None, key):
                held.user = key
                return True
            return self._slots.try_take(str(key), group, last_seconds)

    def release(self, key: Key) -> None:
        """Gives back what a volume has; its pod's slot goes with the last one."""
        with self._lock:
            self._slots.release(str(key))
            pod = self._pod_of.pop(key, None)
            if pod is None:
                return
            held = self._pods[pod]
            held.members.discard(key)
            if held.user == key:
                held.user = None
            if not held.members:
                del self._pods[pod]
                self._slots.release(f"pod {pod}")
