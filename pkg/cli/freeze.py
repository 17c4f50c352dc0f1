"""`ark freeze-deletions` and `ark unfreeze-deletions`: nothing is deleted while somebody looks into something."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pkg.apis.names import CONFIG_NAME
from pkg.cli import program
from pkg.cli.failures import CliError
from pkg.cli.flags import ArkCommand, ClusterFlags

if TYPE_CHECKING:  # costs what a mistyped flag must not
    from pkg.cli.client import Connection


@click.command("freeze-deletions", cls=ArkCommand, help="Stop deletion, by age and by request, forget and prune.")
@click.option("--reason", required=True, help="Why; shown wherever something waits for it.")
@click.pass_obj
def freeze(flags: ClusterFlags, /, reason: str) -> None:
    """Freezes deletions."""
    if not reason.strip():
        raise click.UsageError("--reason must not be empty")
    _write(flags.connect(), reason.strip())
    click.echo(f"Deletions are frozen: {reason.strip()}\n`{program.name()} unfreeze-deletions` ends that.")


@click.command("unfreeze-deletions", cls=ArkCommand, help="Let deletion, forget and prune go on.")
@click.pass_obj
def unfreeze(flags: ClusterFlags, /) -> None:
    """Ends the freeze."""
    connection = flags.connect()
    before = frozen(connection)
    _write(connection, "")
    click.echo(f"Deletions go on; they were frozen: {before}" if before else "Deletions were not frozen.")


def frozen(connection: Connection) -> str:
    """Why deletions are frozen; empty when they are not, or when nobody may tell."""
    from pkg.apis.ark import Config
    from pkg.kube.errors import ForbiddenError, NotFoundError
    from pkg.kube.refs import CONFIGS

    try:
        return connection.client.get(CONFIGS, connection.namespace, CONFIG_NAME, Config).deletions_frozen.strip()
    except (NotFoundError, ForbiddenError):
        return ""


def _write(connection: Connection, reason: str) -> None:
    from pkg.kube.errors import NotFoundError
    from pkg.kube.refs import CONFIGS

    try:
        connection.client.patch_raw(CONFIGS, connection.namespace, CONFIG_NAME, {"deletionsFrozen": reason})
    except NotFoundError as error:
        raise CliError(f"there is no Config {connection.namespace}/{CONFIG_NAME}: is Ark installed there?") from error
