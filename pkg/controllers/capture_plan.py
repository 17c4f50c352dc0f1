"""What the server does next about the captures of a backup, decided from what its caches show.

Pure: `plan_captures` sorts every wanted capture into finished, lost, running or waiting, and `captures.py` acts.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field

from pkg.apis.reasons import Reason, VolumePhase
from pkg.apis.volumes import PodVolumeBackup, PodVolumeBackupSpec, PodVolumeBackupStatus
from pkg.controllers.admission import Candidate
from pkg.controllers.agents import AgentVerdict

TERMINAL = frozenset({VolumePhase.COMPLETED, VolumePhase.FAILED})
Admission = Callable[[Sequence[Candidate], Sequence[Candidate]], Container[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A capture that the engine asked for; `backup` is the UID of its Backup."""

    name: str
    spec: PodVolumeBackupSpec
    backup: str = ""

    @property
    def candidate(self) -> Candidate:
        """As admission sees it: the volumes of a pod that is to be frozen belong together."""
        group = self.spec.pod.uid if self.spec.hold else ""
        return Candidate(
            name=self.name,
            repository=self.spec.repository,
            backup=self.backup,
            node=self.spec.node,
            group=group,
        )


@dataclass(slots=True, kw_only=True)
class CapturePlan:
    """What to do now.

    Attributes:
        finished: Results by name; final.
        abandon: Created ones whose node has no agent any more, to be marked Failed.
        create: To be created now.
        unseen: Created ones that the cache does not show.
    """

    finished: dict[str, PodVolumeBackupStatus] = field(default_factory=dict)
    abandon: dict[str, tuple[Reason, str]] = field(default_factory=dict)
    create: list[Wanted] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)


def plan_captures(
    wanted: Sequence[Wanted],
    seen: Mapping[str, PodVolumeBackup],
    created: frozenset[str],
    verdict: Callable[[str], AgentVerdict],
    admission: Admission,
) -> CapturePlan:
    """Sorts the captures that have no result yet.

    Args:
        wanted: Those captures.
        seen: PodVolumeBackups in the cache, by name.
        created: Names that were created or adopted by this run.
        verdict: Whether a node can take work.
        admission: Names what may be created, given what waits and what runs of this backup.
    """
    plan = CapturePlan()
    waiting: list[Wanted] = []
    running: list[Candidate] = []
    for want in wanted:
        obj = seen.get(want.name)
        if obj is not None and obj.status.phase in TERMINAL:
            plan.finished[want.name] = obj.status
        elif obj is not None or want.name in created:
            running.append(want.candidate)
            _watch(plan, want, obj, verdict)
        else:
            _queue(plan, waiting, want, verdict(want.spec.node))
    admitted = admission([want.candidate for want in waiting], running)
    plan.create = [want for want in waiting if want.name in admitted]
    return plan


def _watch(
    plan: CapturePlan, want: Wanted, obj: PodVolumeBackup | None, verdict: Callable[[str], AgentVerdict]
) -> None:
    if obj is None:
        plan.unseen.append(want.name)
        return
    found = verdict(want.spec.node)
    if found.reason is not None:
        plan.abandon[want.name] = (found.reason, found.message)


def _queue(plan: CapturePlan, waiting: list[Wanted], want: Wanted, found: AgentVerdict) -> None:
    if found.reason is not None:
        plan.finished[want.name] = failed(found.reason, found.message)
    elif found.ready:
        waiting.append(want)


def failed(reason: Reason, message: str) -> PodVolumeBackupStatus:
    """The result of a capture that has none of its own."""
    return PodVolumeBackupStatus(phase=VolumePhase.FAILED.value, reason=reason.value, message=message)
