"""What becomes of a DeleteBackupRequest, decided from what is seen and from nothing else.

A request that is new is refused with a sentence where it must not go on, so that nothing is deleted later by a wish
that everybody has forgotten. One that was begun can be neither finished nor undone while deletions are frozen, so it
waits. One request works on a backup at a time; of several new ones the youngest counts, as in 0.9.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from pkg.apis.ark import Backup, DeleteBackupRequest, Restore
from pkg.apis.names import DELETION_CONFIRMED_ANNOTATION, PINNED_ANNOTATION, SCHEDULE_LABEL
from pkg.apis.reasons import TERMINAL_PHASES, BackupPhase, Reason, RequestPhase
from pkg.controllers.deletion_facts import is_mass_held, is_open, is_refused, may_be_deleted, meant_uid, open_restores
from pkg.controllers.mass_deletion import allowance, deleted_lately, held_text
from pkg.controllers.ownership import source_cluster

_LONG_AGO = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


class DeletionStep(Enum):
    """What to do with a request that is not Processed."""

    REFUSE = "refuse"
    HOLD = "hold"
    WAIT = "wait"  # for another request of the same backup
    START = "start"
    FINISHED = "finished"  # the backup went in an earlier life of this request


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletionDecision:
    """What to do, and why."""

    step: DeletionStep
    reason: Reason | None = None
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletionView:
    """What the decision rests on.

    Attributes:
        backup: As the API server has it now; None when it is gone.
        requests: All DeleteBackupRequests, this one among them.
        unexpired: How many unexpired backups the backup's schedule has.
    """

    now: datetime.datetime
    cluster_id: str
    backup: Backup | None
    requests: Sequence[DeleteBackupRequest]
    restores: Sequence[Restore]
    unexpired: int = 0
    frozen: str = ""
    restore_only: bool = False


def decide_deletion(request: DeleteBackupRequest, view: DeletionView) -> DeletionDecision:
    """The next step of a request."""
    if not request.spec.backup_name:
        return _refuse(Reason.INVALID_SPEC, "spec.backupName is required")
    if leader(request, view.requests) is not request:
        return DeletionDecision(step=DeletionStep.WAIT)
    begun = request.status.phase == RequestPhase.IN_PROGRESS
    backup = view.backup
    if backup is None or meant_uid(request) not in ("", backup.metadata.uid):
        return DeletionDecision(step=DeletionStep.FINISHED) if begun else _refuse(*_gone(request, backup))
    return (
        _stopped(view, begun=begun)
        or _unfit(backup, view)
        or _mass_held(request, backup, view)
        or DeletionDecision(step=DeletionStep.START)
    )


def leader(request: DeleteBackupRequest, requests: Sequence[DeleteBackupRequest]) -> DeleteBackupRequest:
    """Of the open requests for a backup the one that counts: the one that was begun, else the youngest."""
    rivals = [one for one in same_backup(request, requests) if is_open(one)]
    if not any(one.metadata.uid == request.metadata.uid for one in rivals):
        rivals.append(request)
    first = max(rivals, key=_precedence)
    return request if first.metadata.uid == request.metadata.uid else first


def same_backup(request: DeleteBackupRequest, requests: Sequence[DeleteBackupRequest]) -> list[DeleteBackupRequest]:
    """The requests for the same backup; one without a UID means any of the name."""
    uid = meant_uid(request)
    return [
        one
        for one in requests
        if one.spec.backup_name == request.spec.backup_name and (not uid or meant_uid(one) in ("", uid))
    ]


def _precedence(request: DeleteBackupRequest) -> tuple[bool, datetime.datetime, str]:
    created = request.metadata.creation_timestamp or _LONG_AGO
    return request.status.phase == RequestPhase.IN_PROGRESS, created, request.metadata.name


def _refuse(reason: Reason, message: str) -> DeletionDecision:
    return DeletionDecision(step=DeletionStep.REFUSE, reason=reason, message=message)


def _hold(reason: Reason, message: str) -> DeletionDecision:
    return DeletionDecision(step=DeletionStep.HOLD, reason=reason, message=message)


def _gone(request: DeleteBackupRequest, successor: Backup | None) -> tuple[Reason, str]:
    if successor is None:
        return Reason.BACKUP_NOT_FOUND, "backup not found"
    return (
        Reason.BACKUP_NOT_FOUND,
        f"the backup with UID {meant_uid(request)} is gone; {request.spec.backup_name} is another one now",
    )


def _stopped(view: DeletionView, *, begun: bool) -> DeletionDecision | None:
    """What stops every deletion: a new one is refused, one that was begun waits."""
    end = _hold if begun else _refuse
    if view.restore_only:
        return end(Reason.RESTORE_ONLY, "the server is in restoreOnly mode, in which nothing in the bucket is changed")
    if view.frozen:
        return end(Reason.DELETIONS_FROZEN, f"deletions are frozen: {view.frozen}; ark unfreeze-deletions ends that")
    return None


def _unfit(backup: Backup, view: DeletionView) -> DeletionDecision | None:
    """What speaks against deleting this backup."""
    name, begun = backup.metadata.name, backup.status.phase == BackupPhase.DELETING
    if not begun and backup.status.phase not in TERMINAL_PHASES:
        return _refuse(Reason.BACKUP_IN_PROGRESS, "backup is still in progress")
    if not begun and not may_be_deleted(backup, view.cluster_id):
        owner = source_cluster(backup)
        return _refuse(
            Reason.FOREIGN_CLUSTER,
            f"backup {name} belongs to cluster {owner}; ark adopt makes that cluster's backups this one's",
        )
    why = backup.metadata.annotation(PINNED_ANNOTATION)
    if PINNED_ANNOTATION in (backup.metadata.annotations or {}) and not begun:
        return _refuse(Reason.PINNED, f"backup {name} is pinned: {why}; ark backup unpin {name} ends that")
    restores = open_restores(backup, view.restores)
    if restores:
        text = f"restore {restores[0]} of backup {name} has not ended"
        return (_hold if begun else _refuse)(Reason.BACKUP_IN_USE, text)
    return None


def _mass_held(request: DeleteBackupRequest, backup: Backup, view: DeletionView) -> DeletionDecision | None:
    """Holds what is too much for one hour; a hold lasts until it is confirmed."""
    schedule = backup.metadata.label(SCHEDULE_LABEL)
    let_through = request.status.phase == RequestPhase.IN_PROGRESS or backup.status.phase == BackupPhase.DELETING
    confirmed = backup.metadata.annotation(DELETION_CONFIRMED_ANNOTATION)
    if not schedule or let_through or confirmed or is_refused(backup):
        return None
    if is_mass_held(request):
        return _hold(Reason.MASS_DELETION_HELD, request.status.message)
    lately = deleted_lately(view.requests, schedule, view.now)
    allowed = allowance(view.unexpired + lately)
    return _hold(Reason.MASS_DELETION_HELD, held_text(schedule, allowed)) if lately >= allowed else None
