"""Which captures wait for which pod's hooks. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pkg.apis.volumes import PodVolumeBackup
from pkg.backup.hooks import HookedPod
from pkg.backup.podvolumes import FINISHED
from pkg.volumes.ledger import EntryState, LedgerEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class HookedCaptures:
    """A pod with hooks and its captures.

    Attributes:
        begun: A run before this one let them run.
    """

    pod: HookedPod
    captures: tuple[str, ...]
    begun: bool


def hooked_captures(
    hooked: Mapping[str, HookedPod], pending: Mapping[str, LedgerEntry], existing: Sequence[PodVolumeBackup]
) -> list[HookedCaptures]:
    """The pods whose captures are to be made, each with them."""
    let_run = {one.metadata.name for one in existing if not one.spec.hold and one.status.phase not in FINISHED}
    by_pod: dict[str, list[str]] = {}
    for name, entry in pending.items():
        if entry.pod_uid in hooked:
            by_pod.setdefault(entry.pod_uid, []).append(name)
    return [
        HookedCaptures(pod=hooked[uid], captures=tuple(names), begun=not let_run.isdisjoint(names))
        for uid, names in by_pod.items()
    ]


def without_captures(hooked: Mapping[str, HookedPod], entries: Iterable[LedgerEntry]) -> list[HookedPod]:
    """The pods with hooks of which nothing is captured at all; their hooks stand around the pod itself."""
    captured = {entry.pod_uid for entry in entries if entry.capture}
    return [pod for uid, pod in hooked.items() if uid not in captured]


def through_others(
    hooked: Mapping[str, HookedPod], entries: Iterable[LedgerEntry], pending: Mapping[str, LedgerEntry]
) -> list[HookedPod]:
    """The pods with hooks that share a claim which is captured through another pod."""
    own = {entry.pod_uid for entry in pending.values()}
    sharing = {
        entry.pod_uid
        for entry in entries
        if entry.state is EntryState.EXPECTED and entry.capture in pending and entry.pod_uid not in own
    }
    return [pod for uid, pod in hooked.items() if uid in sharing]
