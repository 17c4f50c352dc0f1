"""A handler that knows what cannot have happened: whatever an informer tells must be a story of real objects.

For each object the versions only grow, it is added when it was not there and deleted when it was, and an update
begins at the state that was told last. At the end the picture must be the server's.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping

from pkg.apis.meta import Object

WAIT_SECONDS = 30.0


class Witness:
    """Keeps its own picture and notes every contradiction in `defects`; thread-safe.

    Attributes:
        told: Every version that was added or updated to, by key, in order.
        deleted: (key, version, final_state_known) of each deletion.
    """

    def __init__(self, name: str = "witness", *, pause_seconds: float = 0.0) -> None:
        self.name = name
        self._pause_seconds = pause_seconds
        self._changed = threading.Condition()
        self._never = threading.Event()
        self._newest: dict[str, int] = {}
        self.versions: dict[str, str] = {}
        self.told: dict[str, list[str]] = {}
        self.deleted: list[tuple[str, str, bool]] = []
        self.defects: list[str] = []

    def on_add(self, obj: Object, initial: bool) -> None:
        """Takes an object that must be new."""
        self._check(obj.metadata.key not in self.versions, "added though it was there", obj)
        self._take(obj)

    def on_update(self, old: Object, new: Object) -> None:
        """Takes a change that must begin at what was told last."""
        known = self.versions.get(old.metadata.key)
        self._check(known == old.metadata.resource_version, f"updated from {old.metadata.resource_version}", new)
        self._check(old.metadata.key == new.metadata.key, f"updated from {old.metadata.key}", new)
        if new is not old:  # a resync shows the same again
            self._take(new)

    def on_delete(self, obj: Object, final_state_known: bool) -> None:
        """Takes the end of an object that must be there."""
        key, version = obj.metadata.key, obj.metadata.resource_version
        last = self.versions.get(key)
        self._check(last is not None, "deleted though it was not there", obj)
        self._check(final_state_known or version == last, "deleted with a state that was never told", obj)
        self._check(not final_state_known or int(version) > self._newest.get(key, 0), "deleted in the past", obj)
        with self._changed:
            self._newest[key] = max(int(version), self._newest.get(key, 0))
            self.versions.pop(key, None)
            self.deleted.append((key, version, final_state_known))
            self._changed.notify_all()

    def wait_for(self, expected: Mapping[str, str], timeout_seconds: float = WAIT_SECONDS) -> None:
        """Blocks until the picture is the expected one; AssertionError if not, or if anything was contradictory."""
        with self._changed:
            same = self._changed.wait_for(lambda: self.versions == expected, timeout_seconds)
        if not same:
            lost = {key: expected[key] for key in expected.keys() - self.versions.keys()}
            invented = {key: self.versions[key] for key in self.versions.keys() - expected.keys()}
            stale = {
                key: (self.versions[key], expected[key])
                for key in expected.keys() & self.versions.keys()
                if self.versions[key] != expected[key]
            }
            raise AssertionError(f"{self.name}: lost {lost}, invented {invented}, stale {stale}")
        if self.defects:
            raise AssertionError(f"{self.name}: {'; '.join(self.defects[:10])}")

    def _take(self, obj: Object) -> None:
        key, version = obj.metadata.key, obj.metadata.resource_version
        self._check(int(version) > self._newest.get(key, 0), f"told after {self._newest.get(key)}", obj)
        with self._changed:
            self._newest[key] = int(version)
            self.versions[key] = version
            self.told.setdefault(key, []).append(version)
            self._changed.notify_all()
        if self._pause_seconds:
            self._never.wait(self._pause_seconds)

    def _check(self, fine: bool, what: str, obj: Object) -> None:
        if not fine:
            self.defects.append(f"{obj.metadata.key} at {obj.metadata.resource_version}: {what}")
