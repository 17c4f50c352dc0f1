"""When a repository must be looked at: until it is Ready, and then once a week, or when somebody met trouble in it.

A look costs four requests of the store, and Jobs compare the id anyway, so a Ready one is not asked more often. What a
capture or a Job met (no repository, a wrong password, another id) makes the next look come at once, and only what the
look itself finds of that kind ends Ready: a store that is away for a minute does not.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable

from pkg.apis.meta import Object
from pkg.apis.reasons import Reason, RepositoryPhase, VolumePhase
from pkg.apis.volumes import MaintenanceRun, PodVolumeBackup, PodVolumeRestore, ResticRepository
from pkg.controllers.maintenance_plan import in_use_by

LOOK_INTERVAL_SECONDS = 5.0
READY_INTERVAL_SECONDS = 7 * 24 * 3600.0
DOUBTS = frozenset(
    {
        Reason.REPOSITORY_MISSING.value,
        Reason.FOREIGN_REPOSITORY.value,
        Reason.WRONG_PASSWORD.value,
        Reason.PASSWORD_MISSING.value,
    }
)


def needs_a_look(
    repository: ResticRepository, now: float, *, wants_key: bool = False, doubted_at: datetime.datetime | None = None
) -> bool:
    """Whether restic must be asked.

    Args:
        repository: As it stands.
        now: Seconds since 1970.
        wants_key: Whether a cheap key should be made.
        doubted_at: When somebody last met trouble in it that a look explains.
    """
    status = repository.status
    since = now - status.checked_at.timestamp() if status.checked_at is not None else None
    if status.phase == RepositoryPhase.READY and status.repository_id:
        doubted = doubted_at is not None and (status.checked_at is None or status.checked_at < doubted_at)
        has_come = doubted_at is not None and doubted_at.timestamp() <= now  # else each look would ask for another
        return wants_key or (doubted and has_come) or since is None or since >= READY_INTERVAL_SECONDS
    return since is None or since >= LOOK_INTERVAL_SECONDS


def seconds_to_next(repository: ResticRepository, now: float, *, doubted_at: datetime.datetime | None = None) -> float:
    """Until a Ready repository is looked at again; for a doubt that a clock ahead of ours told, until its time."""
    checked = repository.status.checked_at
    if checked is None:
        return 1.0
    early = [doubted_at.timestamp() - now] if doubted_at is not None and doubted_at.timestamp() > now else []
    return max(1.0, min(checked.timestamp() + READY_INTERVAL_SECONDS - now, *early, READY_INTERVAL_SECONDS))


def ends_ready(repository: ResticRepository, reason: str) -> bool:
    """Whether a finding makes the repository NotReady; a Ready one stays so where the store only did not answer."""
    return repository.status.phase != RepositoryPhase.READY or reason in DOUBTS


def doubted_at(
    repository: ResticRepository, captures: Iterable[PodVolumeBackup], fillings: Iterable[PodVolumeRestore]
) -> datetime.datetime | None:
    """When a capture, a filling or a Job last failed for want of the right repository or password."""
    works: list[PodVolumeBackup | PodVolumeRestore] = [*captures, *fillings]
    moments = [
        one.status.completion_timestamp
        for one in works
        if is_doubt(one) and in_use_by(repository, one.spec.repository, one.spec.repo_identifier)
    ]
    seen = repository.status.verification
    runs: list[MaintenanceRun] = [*(repository.status.maintenance or ()), *((seen.runs if seen else None) or ())]
    moments += [run.completion_timestamp for run in runs if run.reason in DOUBTS]
    return max((moment for moment in moments if moment is not None), default=None)


def is_doubt(obj: Object) -> bool:
    """Whether a capture or a filling ended for such a reason."""
    if not isinstance(obj, PodVolumeBackup | PodVolumeRestore):
        return False
    return obj.status.phase == VolumePhase.FAILED and obj.status.reason in DOUBTS
