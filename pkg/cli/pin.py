"""`ark backup pin`, `unpin`, `acknowledge-shrink` and `confirm-deletions`: what people say about backups.

Each is an annotation on the Backup, with which deletion is judged; the specs of backups are never changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from pkg.apis.meta import JsonObject
from pkg.apis.names import (
    DELETION_CONFIRMED_ANNOTATION,
    DELETION_HELD_CONDITION,
    PINNED_ANNOTATION,
    SCHEDULE_LABEL,
    SHRINK_ACKNOWLEDGED_ANNOTATION,
)
from pkg.cli import program
from pkg.cli.choice import ask
from pkg.cli.failures import CliError
from pkg.cli.flags import ArkCommand, ClusterFlags, switch
from pkg.cli.names import complete_schedules, named_argument

if TYPE_CHECKING:  # costs what a mistyped flag must not
    from pkg.apis.ark import Backup
    from pkg.cli.client import Connection


@click.command("pin", cls=ArkCommand, help="Keep a backup whatever its age, until it is unpinned.")
@named_argument("name", metavar="BACKUP")
@click.option("--reason", required=True, help="Why it is kept.")
@click.pass_obj
def pin(flags: ClusterFlags, /, name: str, reason: str) -> None:
    """Pins a Backup."""
    if not reason.strip():
        raise click.UsageError("--reason must not be empty")
    _annotate(flags.connect(), name, PINNED_ANNOTATION, reason.strip())
    click.echo(f'Backup "{name}" is pinned: {reason.strip()}')


@click.command("unpin", cls=ArkCommand, help="Let a pinned backup be deleted again.")
@named_argument("name", metavar="BACKUP")
@click.pass_obj
def unpin(flags: ClusterFlags, /, name: str) -> None:
    """Ends a pin."""
    _annotate(flags.connect(), name, PINNED_ANNOTATION, None)
    click.echo(f'Backup "{name}" is not pinned any more')


@click.command(
    "acknowledge-shrink", cls=ArkCommand, help="Say that a volume is meant to have lost most of its contents."
)
@named_argument("name", metavar="BACKUP")
@click.pass_obj
def acknowledge_shrink(flags: ClusterFlags, /, name: str) -> None:
    """Lets the captures before a SuspiciousShrink expire."""
    connection = flags.connect()
    _annotate(connection, name, SHRINK_ACKNOWLEDGED_ANNOTATION, _now(connection))
    click.echo(f'The shrinking that backup "{name}" tells of is acknowledged; what it held may expire')


@click.command("confirm-deletions", cls=ArkCommand, help="Let the held deletions of a schedule's backups go on.")
@click.argument("schedule", shell_complete=complete_schedules)
@switch("--confirm", default=False, help_text="Do not ask.")
@click.pass_obj
def confirm_deletions(flags: ClusterFlags, /, schedule: str, *, confirm: bool) -> None:
    """Confirms what a mass deletion holds, as it is now: what is held later asks again."""
    connection = flags.connect()
    held = _held(connection, schedule)
    if not held:
        click.echo(f'No deletion of a backup of schedule "{schedule}" is held.')
        return
    click.echo(f"{len(held)} backups of schedule {schedule} will be deleted: {', '.join(held)}")
    if not confirm and not ask():
        return
    for name in held:
        _annotate(connection, name, DELETION_CONFIRMED_ANNOTATION, _now(connection))
    click.echo("Confirmed.")


def _held(connection: Connection, schedule: str) -> Sequence[str]:
    """Names of the schedule's backups whose deletion, by age or by request, waits for a confirmation."""
    from pkg.apis.ark import Backup, DeleteBackupRequest
    from pkg.apis.reasons import Reason, RequestPhase
    from pkg.kube.refs import BACKUPS, DELETE_BACKUP_REQUESTS
    from pkg.volumes.naming import label_value

    client, namespace = connection.client, connection.namespace
    selector = f"{SCHEDULE_LABEL}={label_value(schedule)}"
    asked = {
        one.spec.backup_name
        for one in client.list(DELETE_BACKUP_REQUESTS, namespace, DeleteBackupRequest)
        if one.status.phase != RequestPhase.PROCESSED and one.status.reason == Reason.MASS_DELETION_HELD
    }
    found = client.list(BACKUPS, namespace, Backup, label_selector=selector)
    waiting = [one.metadata.name for one in found if one.metadata.name in asked or _is_held(one)]
    return sorted(waiting)


def _is_held(backup: Backup) -> bool:
    from pkg.apis.reasons import Reason

    return not backup.metadata.annotation(DELETION_CONFIRMED_ANNOTATION) and any(
        (one.type, one.status, one.reason) == (DELETION_HELD_CONDITION, "True", Reason.MASS_DELETION_HELD)
        for one in backup.status.conditions or ()
    )


def _now(connection: Connection) -> str:
    return f"{connection.clock.now():%Y-%m-%dT%H:%M:%SZ}"


def _annotate(connection: Connection, name: str, annotation: str, value: str | None) -> None:
    from pkg.kube.errors import NotFoundError
    from pkg.kube.refs import BACKUPS

    change: JsonObject = {"metadata": {"annotations": {annotation: value}}}
    try:
        connection.client.patch_raw(BACKUPS, connection.namespace, name, change)
    except NotFoundError as error:
        raise CliError(
            f'there is no Backup "{name}" in namespace {connection.namespace}: `{program.name()} backup get` lists them'
        ) from error
