"""`ark restore`: create, get, describe and logs."""

from __future__ import annotations

import datetime
import sys

import click

from pkg.apis.ark import Restore
from pkg.apis.meta import JsonObject
from pkg.apis.reasons import TERMINAL_PHASES
from pkg.cli import program
from pkg.cli.failures import CliError
from pkg.cli.flags import ArkCommand, ClusterFlags, Seconds, switch
from pkg.cli.names import named_argument
from pkg.cli.requests import created, label_map, list_options, output_option, scope_options, wait_options
from pkg.cli.restore_options import restore_options, restore_spec, source_of, source_options


@click.command("create", cls=ArkCommand, help="Create a restore.")
@click.argument("name", metavar="[RESTORE_NAME]", required=False, default="")
@source_options
@scope_options
@restore_options
@wait_options
@click.pass_obj
def create(flags: ClusterFlags, /, name: str, **options: object) -> int:
    """Creates a Restore and, on demand, waits for its end."""
    from pkg.cli.reading import read_object
    from pkg.kube.refs import BACKUPS

    backup, schedule = source_of(options)
    if backup and not options["output"]:
        read_object(flags.connect(), BACKUPS, backup)
    name = name or f"{backup or schedule}-{datetime.datetime.now():%Y%m%d%H%M%S}"
    source: JsonObject = {"backupName": backup} if backup else {"scheduleName": schedule}
    spec: JsonObject = {**source, **restore_spec(options)}
    obj: JsonObject = {"metadata": {"name": name, "labels": label_map(options)}, "spec": spec}
    return created(
        flags, "restore", obj, options, after=f"Run `{program.name()} restore describe {name}` for more details."
    )


@click.command("get", cls=ArkCommand, help="List restores.")
@list_options
@output_option
@click.pass_obj
def get(flags: ClusterFlags, /, names: tuple[str, ...], **options: object) -> None:
    """Lists Restores."""
    from pkg.cli.listing import print_listing
    from pkg.cli.tables import RESTORE_LISTING

    print_listing(flags, RESTORE_LISTING, names, options)


@click.command("describe", cls=ArkCommand, help="Describe restores.")
@list_options
@switch("--details", "--volume-details", default=False, help_text="Show every volume.")
@click.pass_obj
def describe(flags: ClusterFlags, /, names: tuple[str, ...], *, details: bool, **options: object) -> None:
    """Describes Restores."""
    from pkg.cli.describe_restore import describe_restore
    from pkg.cli.reading import read_objects
    from pkg.kube.refs import RESTORES

    connection = flags.connect()
    objects = read_objects(connection, RESTORES, names, str(options["selector"]))
    texts = [describe_restore(connection, obj, details=details) for obj in objects]
    click.echo("\n\n".join(texts), nl=False)


@click.command("logs", cls=ArkCommand, help="Show the log of a restore.")
@named_argument("name", metavar="RESTORE")
@click.option("--timeout", type=Seconds(), default="1m", show_default=True, help="How long to wait for the server.")
@click.pass_obj
def logs(flags: ClusterFlags, /, name: str, timeout: float) -> None:
    """Shows the log of a Restore."""
    import msgspec

    from pkg.cli.download import stream_text
    from pkg.cli.reading import read_object
    from pkg.cli.restore_results import kept_log
    from pkg.kube.refs import RESTORES

    connection = flags.connect()
    restore = msgspec.convert(read_object(connection, RESTORES, name), Restore)
    if restore.status.phase not in TERMINAL_PHASES:
        phase = restore.status.phase or "New"
        raise CliError(f'unable to retrieve logs because restore is not complete: "{name}" is {phase}')
    output = sys.stdout.buffer
    if restore.status.results_config_map:
        output.write(kept_log(connection, restore))
        return
    stream_text(connection, "RestoreLog", name, output.write, timeout_seconds=timeout)
