"""`ark schedule create`, `get` and `describe`."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from pkg.apis.meta import JsonObject
from pkg.cli import program
from pkg.cli.backup_options import backup_options, backup_spec, kept_text
from pkg.cli.flags import ArkCommand, ClusterFlags, Seconds, switch
from pkg.cli.requests import created, label_map, list_options, output_option, print_options

if TYPE_CHECKING:  # costs what a mistyped flag must not
    from pkg.apis.ark import ScheduleSpec


@click.command("create", cls=ArkCommand, help="Create a schedule.")
@click.argument("name")
@click.option(
    "--schedule",
    required=True,
    help='When: "30 1 * * *" (minute, hour, day, month, weekday), @daily and the like, or "@every 6h".',
)
@click.option("--time-zone", default="", help="IANA name of the time zone that --schedule means.  [default: UTC]")
@click.option("--jitter", type=Seconds(), default=None, help="Longest delay of the runs, the same for every run.")
@switch("--run-on-create", default=False, help_text="Make the first backup at once, as Ark 0.9 did.")
@switch("--paused", default=False, help_text="Make no backups until `ark schedule unpause`.")
@click.option(
    "--min-keep",
    type=click.IntRange(min=0),
    default=None,
    help="Completed backups that outlive their TTL.  [default: 1]",
)
@backup_options
@print_options
@click.pass_obj
def create(flags: ClusterFlags, /, name: str, **options: object) -> int:
    """Creates a Schedule."""
    template = backup_spec(options)
    spec = _spec(options) | {"template": template}
    when = _first_run(spec, datetime.datetime.now(datetime.UTC))
    obj: JsonObject = {"metadata": {"name": name, "labels": label_map(options)}, "spec": spec}
    return created(flags, "schedule", obj, options, after=f"{when}\n{kept_text(template)}")


@click.command("get", cls=ArkCommand, help="List schedules.")
@list_options
@output_option
@click.pass_obj
def get(flags: ClusterFlags, /, names: tuple[str, ...], **options: object) -> None:
    """Lists Schedules."""
    from pkg.cli.listing import print_listing
    from pkg.cli.tables import SCHEDULE_LISTING

    print_listing(flags, SCHEDULE_LISTING, names, options)


@click.command("describe", cls=ArkCommand, help="Describe schedules.")
@list_options
@click.pass_obj
def describe(flags: ClusterFlags, /, names: tuple[str, ...], **options: object) -> None:
    """Describes Schedules."""
    from pkg.cli.describe_schedule import describe_schedule
    from pkg.cli.reading import read_objects
    from pkg.cli.tables import name_of
    from pkg.kube.refs import SCHEDULES

    connection = flags.connect()
    found = read_objects(connection, SCHEDULES, names, str(options["selector"]))
    click.echo("\n\n".join(describe_schedule(obj) for obj in sorted(found, key=name_of)), nl=False)


def _spec(options: Mapping[str, object]) -> JsonObject:
    """The part of the spec that says when; what was not asked for is left out."""
    from pkg.apis.duration import format_duration

    spec: JsonObject = {"schedule": str(options["schedule"])}
    if options["time_zone"]:
        spec["timeZone"] = str(options["time_zone"])
    if isinstance(options["jitter"], float):
        spec["jitter"] = format_duration(options["jitter"])
    if isinstance(options["min_keep"], int):
        spec["minKeep"] = options["min_keep"]
    return spec | {name: True for flag, name in _SWITCHES.items() if options[flag] is True}


_SWITCHES = {"run_on_create": "runOnCreate", "paused": "paused"}


def _first_run(spec: JsonObject, now: datetime.datetime) -> str:
    """A sentence that says when the first backup is made.

    Raises:
        click.UsageError: the line, the time zone or the jitter does not parse.
    """
    import msgspec

    from pkg.apis.ark import ScheduleSpec
    from pkg.controllers.cron import TimetableError, next_run

    found = msgspec.convert(spec, ScheduleSpec)
    try:
        first = next_run(found, now, anchor=now)
    except TimetableError as error:
        raise click.UsageError(str(error)) from error
    return _told(found, first)


def _told(spec: ScheduleSpec, first: datetime.datetime | None) -> str:
    if spec.paused:
        return f"It is paused: no backup is made before `{program.name()} schedule unpause`."
    if spec.run_on_create:
        return "The first backup is made at once."
    if first is None:
        return "No backup is made in the next 50 years."
    later = f", or up to {spec.jitter} later" if spec.jitter else ""
    return f"The first backup is made at {first:%Y-%m-%d %H:%M:%S} UTC{later}."
