"""`ark restic repo locks` and `unlock`: who has locked a repository, and one lock less."""

from __future__ import annotations

import click
import msgspec

from pkg.cli.client import Connection
from pkg.cli.failures import CliError
from pkg.cli.flags import ArkCommand, ClusterFlags, switch
from pkg.cli.names import named_argument
from pkg.cli.output import aligned, encoded
from pkg.cli.server_pod import run_in_server, stream_from_server
from pkg.cli.tables import time_text
from pkg.controllers.lock_report import LockList, LockRow
from pkg.kube.errors import NotFoundError
from pkg.kube.refs import RESTIC_REPOSITORIES

_HEADINGS = ("LOCK", "KIND", "HOST", "PID", "LAST REFRESH", "AGE", "HOLDER", "STATE")


@click.command("locks", cls=ArkCommand, help="Show who holds locks in a repository.")
@named_argument("name", metavar="NAME")
@click.option(
    "-o",
    "--output",
    type=click.Choice(["table", "json", "yaml"]),
    default="table",
    show_default=True,
    help="How to show them.",
)
@click.pass_obj
def locks(flags: ClusterFlags, /, name: str, output: str) -> int:
    """Has the server read the locks, and shows them."""
    connection = flags.connect()
    check_repository_exists(connection, name)
    code, answer = run_in_server(connection, ["restic", "inside", "locks", name])
    if code:
        return code
    try:
        found = msgspec.json.decode(answer, type=LockList)
    except msgspec.DecodeError as error:
        raise CliError(f"the server's answer is none of this version's: {error}") from error
    if output != "table":
        click.echo(encoded([msgspec.to_builtins(found)], output), nl=False)
    elif found.locks:
        rows = [_HEADINGS, *(_row(row) for row in found.locks)]
        click.echo("".join(f"{line}\n" for line in aligned(rows, min_width=4, padding=3)), nl=False)
    else:
        click.echo(f'nobody holds a lock in repository "{name}"', err=True)
    return 0


@click.command("unlock", cls=ArkCommand, help="Remove one lock that a dead process left in a repository.")
@named_argument("name", metavar="NAME")
@click.option("--lock", "lock_id", required=True, help="The lock: its id, or the 8 digits that locks shows.")
@switch("--force-live", default=False, help_text="Remove it though its process may live: that destroys its work.")
@click.pass_obj
def unlock(flags: ClusterFlags, /, name: str, lock_id: str, *, force_live: bool) -> int:
    """Has the server remove exactly that one."""
    connection = flags.connect()
    check_repository_exists(connection, name)
    force = ["--force-live"] if force_live else []
    return stream_from_server(connection, ["restic", "inside", "unlock", name, "--lock", lock_id, *force])


def check_repository_exists(connection: Connection, name: str) -> None:
    """Refuses a name of nothing before anything is started.

    Raises:
        CliError: there is no such ResticRepository.
    """
    try:
        connection.client.get_bytes(RESTIC_REPOSITORIES, connection.namespace, name)
    except NotFoundError as error:
        raise CliError(f'there is no restic repository "{name}": ark restic repo get lists them') from error


def _row(row: LockRow) -> tuple[str, ...]:
    refreshed = time_text(row.refreshed_at) if row.refreshed_at is not None else ""
    return row.id[:8], row.kind, row.host, str(row.pid), refreshed, _age(row.age_seconds), row.holder, row.state


def _age(seconds: int) -> str:
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes}m" if hours else f"{minutes}m{rest}s"
