"""Which expired backups may go, decided from what is seen and from nothing else (operators.md 3, 4 and 12).

Deleting what should not be deleted cannot be mended, so every doubt keeps the backup and says why. The order of the
rules is the order in which a person would want to hear the reasons. A hold for a mass deletion is the one that does
not end by itself: it stays on the Backup until somebody confirms.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from pkg.apis.ark import Backup, DeleteBackupRequest, Restore, VolumeEntry
from pkg.apis.duration import parse_duration
from pkg.apis.names import (
    DELETION_CONFIRMED_ANNOTATION,
    DELETION_HELD_CONDITION,
    PINNED_ANNOTATION,
    SCHEDULE_LABEL,
    SHRINK_ACKNOWLEDGED_ANNOTATION,
)
from pkg.apis.reasons import TERMINAL_PHASES, BackupPhase, Reason
from pkg.controllers.conditions import find_condition
from pkg.controllers.deletion_facts import is_mass_held, is_open, is_refused, made_at, open_restores, requests_of
from pkg.controllers.mass_deletion import allowance, deleted_lately, held_text
from pkg.controllers.ownership import expires_at, is_ours

RESTORABLE = frozenset({BackupPhase.COMPLETED, BackupPhase.PARTIALLY_FAILED})
DEFAULT_MIN_KEEP = 1


class GcStep(Enum):
    """What to do with a backup."""

    KEEP = "keep"  # not expired, or nothing that age deletes
    WAIT = "wait"  # a request for it is there, or nothing may be decided now
    HOLD = "hold"
    DELETE = "delete"


@dataclass(frozen=True, slots=True, kw_only=True)
class GcDecision:
    """What to do, why, and when to look again at the latest (None: only when something changes)."""

    step: GcStep
    reason: Reason | None = None
    message: str = ""
    look_at: datetime.datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GcView:
    """What the decision rests on.

    Attributes:
        backups: All Backups that Ark's namespace holds.
        group: Our own among them with the schedule label of the one in question.
        requests: All DeleteBackupRequests.
        min_keep: `minKeep` of the Schedule, None where there is no such Schedule or it does not say.
        frozen: Why deletions are frozen.
    """

    now: datetime.datetime
    cluster_id: str
    backups: Sequence[Backup]
    group: Sequence[Backup]
    requests: Sequence[DeleteBackupRequest]
    restores: Sequence[Restore]
    min_keep: int | None = None
    frozen: str = ""
    restore_only: bool = False


def decide_gc(backup: Backup, view: GcView) -> GcDecision:
    """What deletion by age does with a backup now."""
    if backup.status.phase == BackupPhase.DELETING:
        return _resume(backup, view)
    expiration = expiry(backup, view.cluster_id)
    if expiration is None or backup.status.phase not in TERMINAL_PHASES:
        return GcDecision(step=GcStep.KEEP)
    if view.now < expiration:
        return GcDecision(step=GcStep.KEEP, look_at=expiration)
    if view.restore_only or requests_of(backup, view.requests):
        return GcDecision(step=GcStep.WAIT)
    return _hold(backup, view) or GcDecision(step=GcStep.DELETE)


def expiry(backup: Backup, cluster_id: str) -> datetime.datetime | None:
    """From when on a backup may go for its age; a refused one, which never began, counts from its creation."""
    created = backup.metadata.creation_timestamp
    if not is_refused(backup) or backup.status.expiration is not None or created is None:
        return expires_at(backup, cluster_id)
    try:
        seconds = parse_duration(backup.spec.ttl or "0s")
    except ValueError:
        return None
    return created + datetime.timedelta(seconds=seconds) if seconds > 0 else None


def _resume(backup: Backup, view: GcView) -> GcDecision:
    """A deletion that was begun is brought to its end, whoever took its request away."""
    if not is_ours(backup, view.cluster_id) or view.restore_only or requests_of(backup, view.requests):
        return GcDecision(step=GcStep.WAIT)
    return _frozen(view) or GcDecision(step=GcStep.DELETE)


def _hold(backup: Backup, view: GcView) -> GcDecision | None:
    return (
        _held_before(backup)
        or _frozen(view)
        or _pinned(backup)
        or _last_good(backup, view)
        or _shrunk(backup, view)
        or _in_use(backup, view)
        or _mass(backup, view)
    )


def _held(reason: Reason, message: str) -> GcDecision:
    return GcDecision(step=GcStep.HOLD, reason=reason, message=message)


def _held_before(backup: Backup) -> GcDecision | None:
    """A hold for a mass deletion lasts until it is confirmed, whatever the count says later."""
    found = find_condition(backup.status.conditions, DELETION_HELD_CONDITION)
    if found is None or found.reason != Reason.MASS_DELETION_HELD:
        return None
    if backup.metadata.annotation(DELETION_CONFIRMED_ANNOTATION):
        return None
    return _held(Reason.MASS_DELETION_HELD, found.message)


def _frozen(view: GcView) -> GcDecision | None:
    return _held(Reason.DELETIONS_FROZEN, f"deletions are frozen: {view.frozen}") if view.frozen else None


def _pinned(backup: Backup) -> GcDecision | None:
    if PINNED_ANNOTATION not in (backup.metadata.annotations or {}):
        return None
    return _held(Reason.PINNED, f"pinned: {backup.metadata.annotation(PINNED_ANNOTATION)}".rstrip(": "))


def _last_good(backup: Backup, view: GcView) -> GcDecision | None:
    schedule = backup.metadata.label(SCHEDULE_LABEL)
    keep = DEFAULT_MIN_KEEP if view.min_keep is None else max(0, view.min_keep)
    if not schedule or backup.metadata.uid not in {one.metadata.uid for one in last_good(view, keep)}:
        return None
    return _held(
        Reason.EXPIRATION_HELD,
        f"among the newest backups of schedule {schedule} that can be restored; its minKeep is {keep}",
    )


def last_good(view: GcView, keep: int) -> list[Backup]:
    """The newest Completed backups of a schedule; where there are too few, the newest PartiallyFailed beside them."""
    mine = [one for one in view.group if one.status.phase in RESTORABLE]
    ranked = sorted(mine, key=lambda one: (one.status.phase == BackupPhase.COMPLETED, made_at(one)), reverse=True)
    return ranked[:keep]


def _shrunk(backup: Backup, view: GcView) -> GcDecision | None:
    """A volume that lost most of its contents holds the backup that has them, and the one that says so."""
    for flagged in view.backups:
        parents = suspicious_parents(flagged, view)
        if not parents or flagged.metadata.annotation(SHRINK_ACKNOWLEDGED_ANNOTATION):
            continue
        if backup.metadata.name in parents or backup.metadata.uid == flagged.metadata.uid:
            return _held(
                Reason.SUSPICIOUS_SHRINK,
                f"backup {flagged.metadata.name} holds a volume that shrank below a tenth; if that is right: "
                f"ark backup acknowledge-shrink {flagged.metadata.name}",
            )
    return None


def suspicious_parents(backup: Backup, view: GcView) -> set[str]:
    """Names of the backups that have the captures before a suspicious shrinking; empty where there was none."""
    entries = backup.status.volumes.entries if backup.status.volumes else None
    named = {one.parent_backup for one in entries or () if is_shrunk(one)}
    if not named and find_condition(backup.status.conditions, Reason.SUSPICIOUS_SHRINK) is not None:
        named = {""}  # more volumes than status shows
    return {name or _previous(backup, view) for name in named}


def is_shrunk(entry: VolumeEntry) -> bool:
    """Whether a volume shrank; where it also lacks files that is its reason, and only the earlier backup is named."""
    return entry.reason == Reason.SUSPICIOUS_SHRINK or bool(entry.parent_backup)


def _previous(backup: Backup, view: GcView) -> str:
    """The last backup of the same schedule before this one that can be restored."""
    schedule = backup.metadata.label(SCHEDULE_LABEL)
    alike = [one for one in view.backups if one.metadata.label(SCHEDULE_LABEL) == schedule]
    before = [one for one in alike if one.status.phase in RESTORABLE and made_at(one) < made_at(backup)]
    return max(before, key=made_at).metadata.name if before else ""


def _in_use(backup: Backup, view: GcView) -> GcDecision | None:
    names = open_restores(backup, view.restores)
    return _held(Reason.BACKUP_IN_USE, f"restore {names[0]} of it has not ended") if names else None


def _mass(backup: Backup, view: GcView) -> GcDecision | None:
    """The oldest candidates go, as many as one hour may take; the others are held."""
    schedule = backup.metadata.label(SCHEDULE_LABEL)
    if not schedule or is_refused(backup) or backup.metadata.annotation(DELETION_CONFIRMED_ANNOTATION):
        return None
    lately = deleted_lately(view.requests, schedule, view.now)
    allowed = allowance(count_unexpired(view.group, view.cluster_id, view.now) + lately)
    earlier = [one for one in view.group if _is_candidate(one, view) and _rank(one) < _rank(backup)]
    pending = [one for one in view.group if _has_new_request(one, view)]
    taken = lately + len(pending) + len(earlier)
    return _held(Reason.MASS_DELETION_HELD, held_text(schedule, allowed)) if taken >= allowed else None


def count_unexpired(group: Sequence[Backup], cluster_id: str, now: datetime.datetime) -> int:
    """How many backups of a schedule are there and not expired."""
    return sum(one.status.phase in RESTORABLE and not _has_expired(one, cluster_id, now) for one in group)


def _rank(backup: Backup) -> tuple[datetime.datetime, str]:
    return made_at(backup), backup.metadata.name


def _has_expired(backup: Backup, cluster_id: str, now: datetime.datetime) -> bool:
    expiration = expiry(backup, cluster_id)
    return expiration is not None and expiration <= now


def _is_candidate(backup: Backup, view: GcView) -> bool:
    """Whether it would go too, for all that its other rules say; what is held already takes nobody's place."""
    return (
        backup.status.phase in TERMINAL_PHASES
        and _has_expired(backup, view.cluster_id, view.now)
        and not requests_of(backup, view.requests)
        and not (_held_before(backup) or _pinned(backup))
        and not backup.metadata.annotation(DELETION_CONFIRMED_ANNOTATION)
    )


def _has_new_request(backup: Backup, view: GcView) -> bool:
    """Whether a request waits that deletion has not let through yet, and so does not count as deleted lately."""
    return any(
        is_open(one) and not is_mass_held(one) and not one.metadata.label(SCHEDULE_LABEL)
        for one in requests_of(backup, view.requests)
    )
