"""`ark backup delete` and `ark restore delete`.

A backup goes with its files and snapshots, which the server does when it is asked; a restore is only an object, its
log and results go with its backup.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from pkg.apis.meta import JsonObject
from pkg.cli import program
from pkg.cli.choice import ask, choice_options, chosen
from pkg.cli.failures import CliError
from pkg.cli.flags import ArkCommand, ClusterFlags, Seconds, switch

if TYPE_CHECKING:  # costs what a mistyped flag must not
    from pkg.apis.ark import Backup
    from pkg.cli.client import Connection

NAME_LIMIT = 230


@click.command("delete", cls=ArkCommand, help="Delete backups with their files, snapshots and restores.")
@choice_options
@switch("--force", default=False, help_text="Go on where something of a backup cannot be deleted; it is told.")
@switch("-w", "--wait", default=False, help_text="Wait for the end; exit code 1 where something was not deleted.")
@click.option("--timeout", type=Seconds(), default="0", help="With --wait: give up waiting (exit code 124).")
@click.pass_obj
def delete_backup(flags: ClusterFlags, /, names: tuple[str, ...], selector: str, **options: object) -> int:
    """Asks for the deletion of Backups."""
    import msgspec

    from pkg.apis.ark import Backup
    from pkg.cli.wait_deletion import wait_for_deletions
    from pkg.kube.refs import BACKUPS

    connection = flags.connect()
    objects = chosen(connection, BACKUPS, names, selector, everything=options["all"] is True)
    backups = [msgspec.convert(obj, Backup) for obj in objects]
    _check(connection, backups)
    if not backups or not _agreed(backups, named=bool(names), confirmed=options["confirm"] is True):
        return 0
    requests = [_request(connection, backup, force=options["force"] is True) for backup in backups]
    if options["wait"] is not True:
        return 0
    timeout = options["timeout"]
    return wait_for_deletions(connection, requests, timeout_seconds=timeout if isinstance(timeout, float) else 0.0)


def _check(connection: Connection, backups: Sequence[Backup]) -> None:
    """Says at once what the server would say: deletions are frozen, or a backup is pinned."""
    from pkg.apis.names import PINNED_ANNOTATION
    from pkg.cli.freeze import frozen

    why = frozen(connection)
    if why:
        raise CliError(f"deletions are frozen: {why}; `{program.name()} unfreeze-deletions` ends that")
    for backup in backups:
        if PINNED_ANNOTATION in (backup.metadata.annotations or {}):
            name, reason = backup.metadata.name, backup.metadata.annotation(PINNED_ANNOTATION)
            raise CliError(
                f'backup "{name}" is pinned: {reason}; `{program.name()} backup unpin {name}` ends that; '
                "nothing was deleted"
            )


def _agreed(backups: Sequence[Backup], *, named: bool, confirmed: bool) -> bool:
    if confirmed:
        return True
    if not named or len(backups) > 1:
        click.echo(f"Backups to delete: {', '.join(backup.metadata.name for backup in backups)}")
    return ask()


def _request(connection: Connection, backup: Backup, *, force: bool) -> str:
    from pkg.apis.names import BACKUP_NAME_LABEL, BACKUP_UID_LABEL
    from pkg.kube.refs import DELETE_BACKUP_REQUESTS
    from pkg.volumes.naming import label_value

    meta = backup.metadata
    name = f"{meta.name[:NAME_LIMIT].rstrip('.-')}-{secrets.token_hex(4)}"
    labels: JsonObject = {BACKUP_NAME_LABEL: label_value(meta.name), BACKUP_UID_LABEL: meta.uid}
    spec: JsonObject = {"backupName": meta.name, "backupUID": meta.uid, **({"force": True} if force else {})}
    body: JsonObject = {"metadata": {"name": name, "labels": labels}, "spec": spec}
    connection.client.create_raw(DELETE_BACKUP_REQUESTS, connection.namespace, body)
    click.echo(
        f'Request to delete backup "{meta.name}" submitted successfully.\n'
        "The backup will be fully deleted after all associated data (snapshots, backup files, restores) are removed."
    )
    return name


@click.command("delete", cls=ArkCommand, help="Delete restores. What they restored stays, and so does the backup.")
@choice_options
@click.pass_obj
def delete_restore(flags: ClusterFlags, /, names: tuple[str, ...], selector: str, **options: object) -> None:
    """Deletes Restores."""
    from pkg.cli.tables import name_of
    from pkg.kube.errors import NotFoundError
    from pkg.kube.refs import RESTORES

    connection = flags.connect()
    restores = [
        name_of(obj) for obj in chosen(connection, RESTORES, names, selector, everything=options["all"] is True)
    ]
    if not names and restores and options["confirm"] is not True:
        click.echo(f"Restores to delete: {', '.join(restores)}")
        if not ask():
            return
    for name in restores:
        try:
            connection.client.delete(RESTORES, connection.namespace, name)
        except NotFoundError:
            continue  # somebody was quicker
        click.echo(f'Restore "{name}" deleted')
