"""`ark restic exec`: restic's read-only verbs on a repository, with the credentials that only the server has."""

from __future__ import annotations

import click

from pkg.cli.failures import USAGE, CliError
from pkg.cli.flags import ArkCommand, ClusterFlags
from pkg.cli.names import named_argument
from pkg.cli.repo_locks import check_repository_exists
from pkg.cli.server_pod import stream_from_server
from pkg.restic.read_only import NotReadOnlyError, check_read_only

_HELP = """Run a read-only restic command on a repository, in the server's pod.

    ark restic exec shop -- snapshots --tag backup=nightly

Allowed are snapshots, ls, stats, find and diff. They take no lock, and show names and sizes of files, never what is
in them.
"""


@click.command(
    "exec",
    cls=ArkCommand,
    help=_HELP,
    short_help="Run a read-only restic command on a repository.",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@named_argument("name", metavar="NAME")
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="-- VERB [FLAGS] [ARGUMENTS]")
@click.pass_obj
def command(flags: ClusterFlags, /, name: str, words: tuple[str, ...]) -> int:
    """Refuses what is not read-only, and shows what restic says."""
    words = words[1:] if words[:1] == ("--",) else words
    try:
        check_read_only(words)
    except NotReadOnlyError as error:
        raise CliError(str(error), USAGE) from error
    connection = flags.connect()
    check_repository_exists(connection, name)
    return stream_from_server(connection, ["restic", "inside", "run", name, "--", *words])
