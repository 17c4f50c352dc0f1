"""Which volumes to fill next: a pure decision over the pods, what was started, and what the agents report.

One data restore per target claim; the pods that share it get their marker only after that one is Completed. A
claim's data is brought through the first pod that is scheduled, pods that mount it read-only last; when that fails,
the next pod's volume is tried with the data. Whoever looks at the same objects decides the same, so a restarted
server goes on where the last one stopped.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from pkg.apis.core import Pod
from pkg.apis.reasons import VolumePhase
from pkg.apis.volumes import PodVolumeRestoreStatus
from pkg.restore.captures import PodVolume

Statuses = Mapping[str, PodVolumeRestoreStatus]


@dataclass(frozen=True, slots=True, kw_only=True)
class Filling:
    """One volume of one restored pod; `name` is its PodVolumeRestore's."""

    name: str
    namespace: str
    pod: str
    pod_uid: str
    volume: PodVolume

    @property
    def target(self) -> tuple[str, str, str]:
        """What is filled: a claim, or the volume of this pod only."""
        if self.volume.claim:
            return self.namespace, "claim", self.volume.claim
        return self.namespace, self.pod_uid, self.volume.volume

    @property
    def text(self) -> str:
        """For messages."""
        return f"Pod {self.namespace}/{self.pod}, volume {self.volume.volume}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """A PodVolumeRestore to create."""

    filling: Filling
    marker_only: bool


def next_starts(
    fillings: Iterable[Filling],
    *,
    statuses: Statuses,
    started: Collection[str],
    ended: Collection[str],
    pods: PodsByUid,
) -> list[Start]:
    """The PodVolumeRestores that can be created now.

    Args:
        fillings: All of this restore.
        statuses: What exists.
        started: Names created by this process, which the view may not show yet.
        ended: Names that are given up or done.
        pods: The restored pods by UID.
    """
    by_target = sorted(fillings, key=lambda one: (one.target, one.volume.read_only, one.pod, one.name))
    starts: list[Start] = []
    for _, group in groupby(by_target, key=lambda one: one.target):
        starts += _starts_of(list(group), statuses, started, ended, pods)
    return starts


PodsByUid = Mapping[str, Pod]


def _starts_of(
    group: Sequence[Filling],
    statuses: Statuses,
    started: Collection[str],
    ended: Collection[str],
    pods: PodsByUid,
) -> list[Start]:
    phases = {one.name: statuses[one.name].phase for one in group if one.name in statuses}
    waiting = [
        one
        for one in group
        if one.name not in phases and one.name not in started and one.name not in ended and is_scheduled(pods, one)
    ]
    if VolumePhase.COMPLETED in phases.values():
        return [Start(filling=one, marker_only=True) for one in waiting]
    running = any(
        one.name not in ended and (one.name in started or one.name in phases) and not is_over(statuses, one)
        for one in group
    )
    return [] if running else [Start(filling=one, marker_only=False) for one in waiting[:1]]


def is_scheduled(pods: PodsByUid, filling: Filling) -> bool:
    """Whether the pod has a node."""
    pod = pods.get(filling.pod_uid)
    return pod is not None and bool(pod.spec.node_name)


def is_over(statuses: Statuses, filling: Filling) -> bool:
    """Whether its PodVolumeRestore came to its end."""
    status = statuses.get(filling.name)
    return status is not None and status.phase in (VolumePhase.COMPLETED, VolumePhase.FAILED)


def signature(fillings: Iterable[Filling], statuses: Statuses, pods: PodsByUid) -> tuple[object, ...]:
    """Changes whenever anything moves; what stays the same for long makes no progress."""
    return tuple(
        (
            one.name,
            is_scheduled(pods, one),
            (status.phase, status.attempts, status.progress) if (status := statuses.get(one.name)) else None,
        )
        for one in fillings
    )
