"""What a repository needs now, whether it may be done, and why not: one pure decision over what the caches show.

Two things must never starve: backups, and housekeeping. A backup outranks housekeeping, so nothing begins while the
repository is in use. Housekeeping that is overdue by some days goes first: new captures wait until it is done.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from pkg.apis.ark import Schedule
from pkg.apis.meta import Object
from pkg.apis.names import DAMAGED_CONDITION
from pkg.apis.reasons import RepositoryPhase
from pkg.apis.volumes import MaintenanceRun, PodVolumeBackup, ResticRepository
from pkg.backup.includes import includes
from pkg.controllers.conditions import find_condition
from pkg.controllers.maintenance_times import DAY, Window, last_turn, period_of

JOBS_AT_ONCE = 2
OVERDUE = datetime.timedelta(days=3)
NOT_BEFORE_BACKUP = datetime.timedelta(hours=1)
FIRST_RETRY = datetime.timedelta(minutes=15)
BELIEVED_PERIODS = 4
AFTER_GIVING_WAY = datetime.timedelta(minutes=5)


class Verb(StrEnum):
    """One kind of work, in the order in which a Job does them."""

    FORGET = "forget"
    PRUNE = "prune"
    CHECK = "check"
    VERIFY = "verify"


DELETING = (Verb.FORGET, Verb.PRUNE)


class RunPhase(StrEnum):
    """How a run ended."""

    COMPLETED = "Completed"
    FAILED = "Failed"
    INTERRUPTED = "Interrupted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the Config says that bears on maintenance.

    Attributes:
        frozen: Why nothing may be deleted; empty when it may.
        restore_only: Whether nothing may be written to the store.
        window: When a prune may begin; None for any time.
    """

    frozen: str = ""
    restore_only: bool = False
    window: Window | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What else goes on.

    Attributes:
        in_use: Whether a capture or a restore of this repository has no result yet.
        jobs_running: Unfinished maintenance Jobs of other repositories.
        next_backup: When the next scheduled backup takes in the repository's namespace; None for never.
        requested: Verbs that somebody asked for and that were not carried out.
        idle: Whether nothing was added to the repository or forgotten in it since it was pruned.
    """

    now: datetime.datetime
    in_use: bool = False
    jobs_running: int = 0
    next_backup: datetime.datetime | None = None
    requested: tuple[Verb, ...] = ()
    idle: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What to do now.

    Attributes:
        verbs: What a Job is to do; empty for none now.
        hold: Whether new captures of the repository must wait, so that the Job's turn comes.
        reason: Why nothing is done although something is due.
        part: What of the data is read, such as `7/100`; empty for nothing.
    """

    verbs: tuple[Verb, ...] = ()
    hold: bool = False
    reason: str = ""
    part: str = ""

    @property
    def exclusive(self) -> bool:
        """Whether it needs the repository for itself."""
        return needs_alone(self.verbs)


def decide(repository: ResticRepository, rules: Rules, around: Surroundings) -> Decision:
    """Whether a Job begins now, and what it does."""
    if repository.status.phase != RepositoryPhase.READY or not repository.status.repository_id:
        return Decision(reason="the repository is not Ready")
    if rules.restore_only:
        return Decision(reason="restoreOnly: nothing is written to the store")
    due = around.requested or due_verbs(repository, around.now, idle=around.idle)
    allowed = tuple(verb for verb in due if not refusal(repository, verb, rules, around))
    if not allowed:
        reasons = (refusal(repository, verb, rules, around) for verb in due)
        return Decision(reason=next((reason for reason in reasons if reason), ""))
    if not around.requested and around.now < retry_at(repository.status.maintenance or ()):
        return Decision(reason="the last run failed; it is tried again later")
    if around.jobs_running >= JOBS_AT_ONCE:
        return Decision(reason=f"{around.jobs_running} maintenance Jobs run already")
    if around.in_use and needs_alone(allowed):
        return Decision(
            hold=is_overdue(repository, allowed, around.now, idle=around.idle),
            reason="backups or restores of this repository are running",
        )
    return Decision(verbs=allowed, hold=needs_alone(allowed))


def may_verify(repository: ResticRepository, rules: Rules, around: Surroundings) -> bool:
    """Whether a part of the data may be read now, beside backups and restores."""
    seen = repository.status.verification
    return (
        repository.status.phase == RepositoryPhase.READY
        and bool(repository.status.repository_id)
        and not rules.restore_only
        and not around.requested
        and not doubt_of(repository)
        and around.jobs_running < JOBS_AT_ONCE
        and around.now >= retry_at((seen.runs if seen else None) or ())
    )


def needs_alone(verbs: Sequence[Verb]) -> bool:
    """Whether somebody who does these needs the repository for itself."""
    return any(verb is not Verb.VERIFY for verb in verbs)


def doubt_of(repository: ResticRepository) -> str:
    """Why nothing is to be removed from a repository that may not be sound; empty when it is."""
    if damage := damage_of(repository):
        return f"the repository is damaged: {damage}"
    part = suspect_part(repository)
    return f"part {part} of the repository is to be checked first" if part else ""


def damage_of(repository: ResticRepository) -> str:
    """What a check found broken; empty for nothing."""
    damaged = find_condition(repository.status.conditions, DAMAGED_CONDITION)
    return (damaged.message or DAMAGED_CONDITION) if damaged is not None else ""


def suspect_part(repository: ResticRepository) -> str:
    """The part of the data in which errors were found without a lock; empty for none."""
    seen = repository.status.verification
    return seen.suspect if seen is not None else ""


def verified_at(repository: ResticRepository) -> datetime.datetime | None:
    """When a verification, which checks the structure too, last found nothing."""
    seen = repository.status.verification
    runs = (seen.runs if seen is not None else None) or ()
    moments = (run.start_timestamp for run in runs if run.phase == RunPhase.COMPLETED and not run.reason)
    return max((moment for moment in moments if moment is not None), default=None)


def is_idle(repository: ResticRepository, captures: Iterable[PodVolumeBackup], now: datetime.datetime) -> bool:
    """Whether nothing was added or forgotten since the last prune, as far as objects tell; not believed for ever."""
    status, last = repository.status, repository.status.last_prune_time
    if last is None or now - last >= BELIEVED_PERIODS * period_of(repository.spec.maintenance_frequency):
        return False
    if status.pending_forget or (status.last_forget_time is not None and status.last_forget_time >= last):
        return False
    mine = (one for one in captures if in_use_by(repository, one.spec.repository, one.spec.repo_identifier))
    return all((one.status.completion_timestamp or now) < last for one in mine)


def due_verbs(repository: ResticRepository, now: datetime.datetime, *, idle: bool = False) -> tuple[Verb, ...]:
    """What was not done since the repository's last turn: forget once a day, prune and check once a period.

    Where nothing changed there is nothing to prune, and what was verified was checked as well; each costs requests.
    """
    status, name = repository.status, repository.metadata.name
    period = period_of(repository.spec.maintenance_frequency)
    weekly, verified = last_turn(name, period, now), verified_at(repository)
    unchecked = verified is None or now - verified >= period
    born = repository.metadata.creation_timestamp or now
    due = {
        Verb.VERIFY: False,  # has a plan of its own
        Verb.FORGET: bool(status.pending_forget) and (status.last_forget_time or born) < last_turn(name, DAY, now),
        Verb.PRUNE: (status.last_prune_time or born) < weekly and not idle,
        Verb.CHECK: ((status.last_check_time or born) < weekly and unchecked) or bool(suspect_part(repository)),
    }
    if due[Verb.PRUNE] and status.pending_forget:
        due[Verb.FORGET] = True  # what is forgotten before a prune is freed by it
    return tuple(verb for verb in Verb if due[verb])


def refusal(repository: ResticRepository, verb: Verb, rules: Rules, around: Surroundings) -> str:
    """Why this verb must not begin now; empty when it may. Who asks by hand is not held to the hours."""
    if verb in DELETING and rules.frozen:
        return f"deletions are frozen: {rules.frozen}"
    doubt = doubt_of(repository)
    if verb in DELETING and doubt:
        return doubt
    if verb is Verb.FORGET or around.requested or doubt:
        return ""
    if rules.window is not None and not rules.window.contains(around.now):
        return "the maintenance window is closed"
    if around.next_backup is not None and around.next_backup - around.now < NOT_BEFORE_BACKUP:
        return "a scheduled backup of this namespace is about to begin"
    return ""


def retry_at(runs: Sequence[MaintenanceRun]) -> datetime.datetime:
    """From when on work may begin again: at once after success, ever later after each failure in a row."""
    delay, last = datetime.timedelta(0), None
    for run in runs:
        if run.phase == RunPhase.COMPLETED:
            break
        last = last or run.completion_timestamp
        failed = run.phase == RunPhase.FAILED
        delay = min(DAY, delay * 2 if delay >= FIRST_RETRY else FIRST_RETRY) if failed else max(delay, AFTER_GIVING_WAY)
    return last + delay if last is not None else datetime.datetime.min.replace(tzinfo=datetime.UTC)


def is_overdue(
    repository: ResticRepository, verbs: Sequence[Verb], now: datetime.datetime, *, idle: bool = False
) -> bool:
    """Whether a prune or a check has been due for so long that it goes before backups.

    What is known to be broken stays so until somebody mends it: looking again keeps nobody waiting.
    """
    if damage_of(repository):
        return False
    long_since = due_verbs(repository, now - OVERDUE, idle=idle)
    return any(verb in long_since for verb in verbs if verb is not Verb.FORGET)


def in_use_by(repository: ResticRepository, name: str, identifier: str) -> bool:
    """Whether an object that names a repository, or only its address as 0.9's do, means this one."""
    return name == repository.metadata.name or (not name and identifier == repository.spec.restic_identifier)


def requested_verbs(request: str, done: str) -> tuple[Verb, ...]:
    """The verbs of the annotation `forget,prune@<when>` that `ark restic repo maintain` writes, if it is a new one."""
    if not request or request == done:
        return ()
    named = request.partition("@")[0].split(",")
    return tuple(verb for verb in Verb if verb.value in named)


def gives_way(*, started: bool, waited_seconds: float, wanted: bool, patience_seconds: float) -> bool:
    """Whether a Job that has not begun after some patience is taken back because a backup wants the repository."""
    return not started and wanted and waited_seconds >= patience_seconds


def is_of(obj: Object, repository: ResticRepository) -> bool:
    """Whether an object is owned by the repository."""
    return any(owner.uid == repository.metadata.uid for owner in obj.metadata.owner_references or ())


def next_backup_of(namespace: str, schedules: Iterable[Schedule]) -> datetime.datetime | None:
    """When the next scheduled backup takes in a namespace; None for never."""
    moments = [
        one.status.next_backup
        for one in schedules
        if one.status.next_backup is not None
        and not one.spec.paused
        and namespace in includes(one.spec.template.included_namespaces, one.spec.template.excluded_namespaces)
    ]
    return min(moments, default=None)
