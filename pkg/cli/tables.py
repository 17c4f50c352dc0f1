"""The columns of Ark 0.9's tables, and its forms for times, durations and selectors."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

from pkg.apis.ark import Backup, Restore
from pkg.apis.duration import parse_duration
from pkg.apis.label_selector import selector_string
from pkg.apis.meta import JsonObject, LabelSelector
from pkg.apis.volumes import ResticRepository
from pkg.cli.output import NONE, Column

T = TypeVar("T")
_DATED = re.compile(r"(.*-)(\d{14})$")
_UNITS = ((365 * 86400, "y"), (86400, "d"), (3600, "h"), (60, "m"), (1, "s"))


def backup_columns(now: datetime.datetime) -> list[Column]:
    """The table of backups."""
    return [
        _column("NAME", Backup, lambda one: one.metadata.name),
        _column("STATUS", Backup, backup_status),
        _column("CREATED", Backup, lambda one: time_text(one.status.start_timestamp)),
        _column("EXPIRES", Backup, lambda one: expires_text(one, now)),
        _column("SELECTOR", Backup, lambda one: selector_text(one.spec.label_selector)),
    ]


def restore_columns() -> list[Column]:
    """The table of restores."""
    return [
        _column("NAME", Restore, lambda one: one.metadata.name),
        _column("BACKUP", Restore, lambda one: one.spec.backup_name),
        _column("STATUS", Restore, lambda one: one.status.phase or "New"),
        _column("WARNINGS", Restore, lambda one: str(one.status.warnings)),
        _column("ERRORS", Restore, lambda one: str(one.status.errors)),
        _column("CREATED", Restore, lambda one: time_text(one.metadata.creation_timestamp)),
        _column("SELECTOR", Restore, lambda one: selector_text(one.spec.label_selector)),
    ]


def repository_columns() -> list[Column]:
    """The table of restic repositories."""
    return [
        _column("NAME", ResticRepository, lambda one: one.metadata.name),
        _column("STATUS", ResticRepository, lambda one: one.status.phase or "New"),
        _column(
            "LAST MAINTENANCE", ResticRepository, lambda one: time_text(one.status.last_maintenance_time, "<never>")
        ),
    ]


def backup_status(backup: Backup) -> str:
    """The phase as people see it."""
    return "Deleting" if backup.metadata.deletion_timestamp else backup.status.phase or "New"


def in_backup_order(objects: Sequence[JsonObject]) -> list[JsonObject]:
    """By name, but dated names of one schedule newest first."""

    def key(obj: JsonObject) -> tuple[str, int]:
        name = name_of(obj)
        dated = _DATED.fullmatch(name)
        return (dated[1], -int(dated[2])) if dated else (name, 0)

    return sorted(objects, key=key)


def name_of(obj: JsonObject) -> str:
    """An object's name."""
    metadata = obj.get("metadata")
    return str(metadata.get("name", "")) if isinstance(metadata, dict) else ""


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
    if expiration is None:
        return "n/a"
    left = (expiration - now).total_seconds()
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


def _column(heading: str, struct: type[T], text: Callable[[T], str]) -> Column:
    return Column(heading, lambda obj: text(msgspec.convert(obj, struct)))
