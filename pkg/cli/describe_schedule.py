"""`ark schedule describe`: one schedule as a page of text."""

from __future__ import annotations

import msgspec

from pkg.apis.ark import Schedule
from pkg.apis.meta import JsonObject
from pkg.cli.describe import head, outcome
from pkg.cli.describe_spec import backup_spec
from pkg.cli.page import Page
from pkg.cli.tables import time_text

NEVER = "<never>"


def describe_schedule(obj: JsonObject) -> str:
    """The page of one schedule."""
    schedule = msgspec.convert(obj, Schedule)
    status = schedule.status
    page = Page()
    head(page, schedule.metadata)
    page.gap()
    outcome(page, status.phase or "New", status.reason, status.message, status.validation_errors)
    page.gap()
    _timetable(page, schedule)
    page.gap()
    page.line("Backup Template:")
    backup_spec(page, schedule.spec.template, indent=1)
    page.gap()
    page.pair("Last Backup", time_text(status.last_backup, NEVER))
    if status.last_backup_name:
        page.pair("Last Backup Name", status.last_backup_name)
    page.pair("Next Backup", time_text(status.next_backup, "<none>"))
    if status.last_skipped:
        page.pair("Last Left Out", time_text(status.last_skipped))
    return page.text()


def _timetable(page: Page, schedule: Schedule) -> None:
    spec = schedule.spec
    page.pair("Schedule", spec.schedule)
    if "TZ=" not in spec.schedule:
        page.pair("Time zone", spec.time_zone or "UTC")
    if spec.jitter:
        page.pair("Jitter", spec.jitter)
    page.pair("Paused", str(spec.paused).lower())
    if spec.run_on_create:
        page.pair("Run on create", "true")
    page.pair("Kept beyond their TTL", 1 if spec.min_keep is None else spec.min_keep)
