"""`ark backup create`, `get`, `describe` and `logs`."""

from __future__ import annotations

import sys

import click

from pkg.apis.ark import Backup
from pkg.apis.meta import JsonObject
from pkg.apis.reasons import TERMINAL_PHASES
from pkg.cli import program
from pkg.cli.backup_options import backup_options, backup_spec, kept_text, schedule_template
from pkg.cli.failures import CliError
from pkg.cli.flags import ArkCommand, ClusterFlags, Seconds, switch
from pkg.cli.names import complete_schedules, named_argument
from pkg.cli.requests import (
    created,
    label_map,
    list_options,
    output_option,
    wait_options,
)


@click.command("create", cls=ArkCommand, help="Create a backup.")
@click.argument("name")
@click.option("--from-schedule", default="", shell_complete=complete_schedules, help="Make one of a schedule's now.")
@backup_options
@wait_options
@click.pass_context
def create(context: click.Context, /, name: str, from_schedule: str, **options: object) -> int:
    """Creates a Backup and, on demand, waits for its end."""
    flags, labels = context.ensure_object(ClusterFlags), label_map(options)
    if from_schedule:
        spec, own = schedule_template(context, flags, from_schedule)
        labels |= own
    else:
        spec = backup_spec(options)
    obj: JsonObject = {"metadata": {"name": name, "labels": labels}, "spec": spec}
    hint = f"Run `{program.name()} backup describe {name}` for more details."
    return created(flags, "backup", obj, options, after=f"{kept_text(spec)}\n{hint}")


@click.command("get", cls=ArkCommand, help="List backups.")
@list_options
@output_option
@click.pass_obj
def get(flags: ClusterFlags, /, names: tuple[str, ...], **options: object) -> None:
    """Lists Backups."""
    from pkg.cli.listing import print_listing
    from pkg.cli.tables import BACKUP_LISTING

    print_listing(flags, BACKUP_LISTING, names, options)


@click.command("describe", cls=ArkCommand, help="Describe backups.")
@list_options
@switch("--details", "--volume-details", default=False, help_text="Show every volume.")
@click.pass_obj
def describe(flags: ClusterFlags, /, names: tuple[str, ...], *, details: bool, **options: object) -> None:
    """Describes Backups."""
    from pkg.cli.describe_backup import describe_backup
    from pkg.cli.reading import read_objects
    from pkg.cli.tables import backup_order, name_of
    from pkg.kube.refs import BACKUPS

    connection = flags.connect()
    found = read_objects(connection, BACKUPS, names, str(options["selector"]))
    objects = sorted(found, key=lambda obj: backup_order(name_of(obj)))
    texts = [describe_backup(connection, obj, details=details) for obj in objects]
    click.echo("\n\n".join(texts), nl=False)


@click.command("logs", cls=ArkCommand, help="Show the log of a backup.")
@named_argument("name", metavar="BACKUP")
@click.option("--timeout", type=Seconds(), default="1m", show_default=True, help="How long to wait for the server.")
@click.pass_obj
def logs(flags: ClusterFlags, /, name: str, timeout: float) -> None:
    """Shows the log of a Backup."""
    import msgspec

    from pkg.cli.download import stream_text
    from pkg.cli.reading import read_object
    from pkg.kube.refs import BACKUPS

    connection = flags.connect()
    backup = msgspec.convert(read_object(connection, BACKUPS, name), Backup)
    if backup.status.phase not in TERMINAL_PHASES:
        phase = backup.status.phase or "New"
        raise CliError(f'the log of backup "{name}" is there when it has ended; it is {phase} now')
    output = sys.stdout.buffer
    stream_text(connection, "BackupLog", name, output.write, timeout_seconds=timeout)
