"""What becomes of a volume for which restic was killed for want of memory (operators.md 14).

It may have been the largest only because others ran beside it, so it runs once more with nobody beside it. Where that
is not enough, no further try would be: somebody has to raise the limit.
"""

from __future__ import annotations

from pkg.apis.reasons import Reason
from pkg.apis.volumes import PodVolumeBackupStatus, PodVolumeRestoreStatus
from pkg.controllers.interruptions import MAX_ATTEMPTS
from pkg.restic.errors import KilledError, ResticError


def runs_alone_next(error: ResticError, status: PodVolumeBackupStatus | PodVolumeRestoreStatus) -> bool:
    """Whether a failure is answered with a run alone."""
    short_of_memory = isinstance(error, KilledError) and error.reason is Reason.OUT_OF_MEMORY
    return short_of_memory and not status.out_of_memory and status.attempts < MAX_ATTEMPTS


def failure_text(error: ResticError, status: PodVolumeBackupStatus | PodVolumeRestoreStatus) -> str:
    """What a status says of a failure, with what to do where the memory was too small for one volume alone."""
    if error.reason is not Reason.OUT_OF_MEMORY:
        return str(error)
    beside = "alone on its node" if status.out_of_memory else "at its last attempt"
    return f"{error}; it ran {beside}: raise the memory limit of the agents"
