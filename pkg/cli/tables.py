"""The columns of Ark 0.9's tables, and its forms for times, durations and selectors."""

from __future__ import annotations

import datetime
import re

from pkg.apis.ark import Backup, Restore, Schedule, VolumeCounts
from pkg.apis.duration import parse_duration
from pkg.apis.label_selector import selector_string
from pkg.apis.meta import JsonObject, LabelSelector
from pkg.apis.volumes import ResticRepository
from pkg.cli.listing import Column, Listing
from pkg.cli.output import NONE
from pkg.kube.refs import BACKUPS, RESTIC_REPOSITORIES, RESTORES, SCHEDULES

_DATED = re.compile(r"(.*-)(\d{14})$")
_UNITS = ((365 * 86400, "y"), (86400, "d"), (3600, "h"), (60, "m"), (1, "s"))


def _backup_columns(now: datetime.datetime) -> list[Column[Backup]]:
    return [
        Column("NAME", lambda one: one.metadata.name),
        Column("STATUS", backup_status),
        Column("CREATED", lambda one: time_text(one.status.start_timestamp)),
        Column("EXPIRES", lambda one: expires_text(one, now)),
        Column("SELECTOR", lambda one: selector_text(one.spec.label_selector)),
        Column("ERRORS", lambda one: str(one.status.errors), wide=True),
        Column("WARNINGS", lambda one: str(one.status.warnings), wide=True),
        Column("VOLUMES", lambda one: volumes_text(one.status.volumes), wide=True),
        Column("REASON", lambda one: one.status.reason or NONE, wide=True),
    ]


def _restore_columns(now: datetime.datetime) -> list[Column[Restore]]:
    return [
        Column("NAME", lambda one: one.metadata.name),
        Column("BACKUP", lambda one: one.backup_name or NONE),
        Column("STATUS", lambda one: one.status.phase or "New"),
        Column("WARNINGS", lambda one: str(one.status.warnings)),
        Column("ERRORS", lambda one: str(one.status.errors)),
        Column("CREATED", lambda one: time_text(one.metadata.creation_timestamp)),
        Column("SELECTOR", lambda one: selector_text(one.spec.label_selector)),
        Column("VOLUMES", lambda one: volumes_text(one.status.volumes), wide=True),
        Column("REASON", lambda one: one.status.reason or NONE, wide=True),
    ]


def _schedule_columns(now: datetime.datetime) -> list[Column[Schedule]]:
    return [
        Column("NAME", lambda one: one.metadata.name),
        Column("STATUS", lambda one: one.status.phase or "New"),
        Column("CREATED", lambda one: time_text(one.metadata.creation_timestamp)),
        Column("SCHEDULE", lambda one: one.spec.schedule),
        Column("BACKUP TTL", lambda one: one.spec.template.ttl),
        Column("LAST BACKUP", lambda one: distance_text(one.status.last_backup, now)),
        Column("SELECTOR", lambda one: selector_text(one.spec.template.label_selector)),
        Column("PAUSED", lambda one: str(one.spec.paused).lower(), wide=True),
        Column("NEXT BACKUP", lambda one: distance_text(one.status.next_backup, now), wide=True),
        Column("TIME ZONE", lambda one: one.spec.time_zone or "UTC", wide=True),
    ]


def _repository_columns(now: datetime.datetime) -> list[Column[ResticRepository]]:
    return [
        Column("NAME", lambda one: one.metadata.name),
        Column("STATUS", repository_status),
        Column("LAST MAINTENANCE", lambda one: time_text(one.status.last_maintenance_time, "<never>")),
        Column("NAMESPACE", lambda one: one.spec.volume_namespace, wide=True),
        Column("REPOSITORY", lambda one: one.spec.restic_identifier, wide=True),
        Column("LAST READ", lambda one: _last_read(one, now), wide=True),
        Column("MESSAGE", lambda one: one.status.message or NONE, wide=True),
    ]


def repository_status(repository: ResticRepository) -> str:
    """The phase, and that it is damaged."""
    phase = repository.status.phase or "New"
    conditions = repository.status.conditions or ()
    return f"{phase} (damaged)" if any(one.type == "Damaged" and one.status == "True" for one in conditions) else phase


def _last_read(repository: ResticRepository, now: datetime.datetime) -> str:
    seen = repository.status.verification
    return distance_text(seen.read_at if seen else None, now)


def backup_order(name: str) -> tuple[str, int]:
    """What backups are sorted by: their name, but dated names of one schedule newest first."""
    dated = _DATED.fullmatch(name)
    return (dated[1], -int(dated[2])) if dated else (name, 0)


BACKUP_LISTING = Listing(ref=BACKUPS, struct=Backup, columns=_backup_columns, sort_key=backup_order)
RESTORE_LISTING = Listing(ref=RESTORES, struct=Restore, columns=_restore_columns)
SCHEDULE_LISTING = Listing(ref=SCHEDULES, struct=Schedule, columns=_schedule_columns)
REPOSITORY_LISTING = Listing(ref=RESTIC_REPOSITORIES, struct=ResticRepository, columns=_repository_columns)


def backup_status(backup: Backup) -> str:
    """The phase as people see it."""
    return "Deleting" if backup.metadata.deletion_timestamp else backup.status.phase or "New"


def name_of(obj: JsonObject) -> str:
    """An object's name."""
    metadata = obj.get("metadata")
    return str(metadata.get("name", "")) if isinstance(metadata, dict) else ""


def volumes_text(counts: VolumeCounts | None) -> str:
    """Volumes done of those expected."""
    return f"{counts.captured}/{counts.expected}" if counts else NONE


def time_text(moment: datetime.datetime | None, absent: str = "<n/a>") -> str:
    """Go's default form in UTC."""
    return f"{moment.astimezone(datetime.UTC):%Y-%m-%d %H:%M:%S} +0000 UTC" if moment else absent


def expires_text(backup: Backup, now: datetime.datetime) -> str:
    """How long a backup is kept yet."""
    expiration = backup.status.expiration
    if expiration is None and backup.metadata.creation_timestamp and backup.spec.ttl:
        try:
            seconds = parse_duration(backup.spec.ttl)
        except ValueError:
            return "n/a"
        expiration = backup.metadata.creation_timestamp + datetime.timedelta(seconds=seconds) if seconds else None
    return distance_text(expiration, now)


def distance_text(moment: datetime.datetime | None, now: datetime.datetime) -> str:
    """`3h` for what is to come, `3h ago` for what is past."""
    if moment is None:
        return "n/a"
    left = (moment - now).total_seconds()
    return short_duration(left) if left >= 0 else f"{short_duration(-left)} ago"


def short_duration(seconds: float) -> str:
    """One number and its unit: 29d, 5h, 3m, 10s."""
    whole = int(seconds)
    return next((f"{whole // size}{unit}" for size, unit in _UNITS if whole >= size), "0s")


def size_text(number: float) -> str:
    """Bytes for people."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if number < 1024:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1024
    return f"{number:.1f} TiB"


def selector_text(selector: LabelSelector | None) -> str:
    """A selector, or that there is none."""
    try:
        return selector_string(selector) or NONE
    except ValueError as error:
        return f"<invalid: {error}>"
