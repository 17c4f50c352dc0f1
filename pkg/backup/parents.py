"""The snapshot that a new capture is compared with, so that restic reads only what changed.

It is the last one of the same claim, or of the same pod's volume where there is no claim, and it must lie in the very
repository that is written to: restic fails on a parent it does not know.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from pkg.apis.reasons import VolumePhase
from pkg.apis.volumes import PodVolumeBackup, PodVolumeBackupStatus
from pkg.volumes.ledger import LedgerEntry

_Key = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parent:
    """An earlier capture: its snapshot, how large the volume was, whose backup it is, and how long it took.

    Attributes:
        seconds: None where that is not known.
    """

    snapshot_id: str = ""
    bytes: int = 0
    backup: str = ""
    seconds: int | None = None


@dataclass(slots=True)
class Parents:
    """The last capture of each volume and repository, of as many captures as one likes."""

    _latest: dict[_Key, tuple[str, str]] = field(default_factory=dict)
    _known: dict[str, Parent] = field(default_factory=dict)

    def note(self, capture: PodVolumeBackup) -> None:
        """Takes a capture into account, if it is complete."""
        status, spec = capture.status, capture.spec
        if status.phase != VolumePhase.COMPLETED or not status.snapshot_id or status.completion_timestamp is None:
            return
        key = _key(status.repository_id, spec.source.claim_uid, spec.pod.namespace, spec.pod.name, spec.volume)
        found = (status.completion_timestamp.isoformat(), status.snapshot_id)
        self._latest[key] = max(found, self._latest.get(key, found))
        self._known[status.snapshot_id] = Parent(
            snapshot_id=status.snapshot_id,
            bytes=status.progress.total_bytes if status.progress else 0,
            backup=(spec.tags or {}).get("backup", ""),
            seconds=_run_seconds(status),
        )

    def find(self, entry: LedgerEntry, repository_id: str) -> str:
        """The full snapshot id; empty where there is none."""
        key = _key(repository_id, entry.claim_uid, entry.namespace, entry.pod, entry.volume)
        return self._latest.get(key, ("", ""))[1]

    def of(self, snapshot_id: str) -> Parent:
        """What is known of a snapshot."""
        return self._known.get(snapshot_id, Parent(snapshot_id=snapshot_id))


def slot_seconds(entries: Iterable[LedgerEntry], parents: Parents, repository_id: str) -> int | None:
    """How long volumes that share a slot needed it the last time; None where that is known of none."""
    found = (parents.of(parents.find(entry, repository_id)).seconds for entry in entries)
    known = [seconds for seconds in found if seconds is not None]
    return sum(known) if known else None


def _run_seconds(status: PodVolumeBackupStatus) -> int | None:
    """What restic took, or the time in the slot where an older agent did not say.

    An interrupted run tells nothing: the one after it found most of the work done.
    """
    if status.attempts > 1 or status.interruptions:
        return None
    if status.run_seconds:
        return status.run_seconds
    if status.slot_at is None or status.completion_timestamp is None:
        return None
    return math.ceil((status.completion_timestamp - status.slot_at).total_seconds())


def _key(repository_id: str, claim_uid: str, namespace: str, pod: str, volume: str) -> _Key:
    return (repository_id, claim_uid) if claim_uid else (repository_id, namespace, pod, volume)
