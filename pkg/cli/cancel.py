"""`ark backup cancel` and `ark restore cancel`: what runs ends, and what is done stays as it is."""

from __future__ import annotations

import click

from pkg.apis.ark import Backup, Restore
from pkg.apis.reasons import TERMINAL_PHASES
from pkg.cli import program
from pkg.cli.failures import CliError
from pkg.cli.flags import ArkCommand, ClusterFlags
from pkg.cli.names import named_argument
from pkg.kube.errors import NotFoundError
from pkg.kube.refs import BACKUPS, RESTORES
from pkg.kube.resources import ResourceRef


@click.command("cancel", cls=ArkCommand, help="End a running backup; it will be PartiallyFailed with reason Canceled.")
@named_argument("name", metavar="NAME")
@click.pass_obj
def backup(flags: ClusterFlags, /, name: str) -> None:
    """Sets spec.cancel."""
    _cancel(flags, BACKUPS, Backup, name)


@click.command("cancel", cls=ArkCommand, help="End a running restore; what it has created and filled stays.")
@named_argument("name", metavar="NAME")
@click.pass_obj
def restore(flags: ClusterFlags, /, name: str) -> None:
    """Sets spec.cancel."""
    _cancel(flags, RESTORES, Restore, name)


def _cancel(flags: ClusterFlags, ref: ResourceRef, struct: type[Backup] | type[Restore], name: str) -> None:
    connection, what = flags.connect(), ref.kind.lower()
    try:
        found = connection.client.get(ref, connection.namespace, name, struct)
        if found.status.phase in TERMINAL_PHASES:
            raise CliError(f'{what} "{name}" has ended already: it is {found.status.phase}')
        connection.client.patch(
            ref, connection.namespace, name, {"metadata": {"uid": found.metadata.uid}, "spec": {"cancel": True}}, struct
        )
    except NotFoundError as error:
        raise CliError(f'there is no {what} "{name}": {program.name()} {what} get lists them') from error
    click.echo(f'{ref.kind} "{name}" will be canceled: its transfers end within 20 seconds.')
    click.echo(f"Run `{program.name()} {what} describe {name}` to see how it ended.")
