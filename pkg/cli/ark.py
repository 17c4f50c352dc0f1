"""The `ark` command: its tree, and how it ends.

Usage errors end with 64, because 2 means PartiallyFailed. Whatever goes wrong is one sentence on standard error;
a stack trace is shown only for what is a fault in Ark itself.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from pkg.cli.failures import INTERRUPTED, USAGE, CliError
from pkg.cli.flags import ClusterFlags, cluster_options
from pkg.cli.lazy import Lazy, LazyGroup
from pkg.kube.errors import KubeError

_BACKUPS, _RESTORES = "pkg.cli.backup", "pkg.cli.restore"


def _verb(name: str, backup: str, restore: str, help_text: str) -> LazyGroup:
    """`ark get backups` beside `ark backup get`."""
    commands = {
        "backups": Lazy(backup, f"{help_text} backups"),
        "backup": Lazy(backup),
        "restores": Lazy(restore, f"{help_text} restores"),
        "restore": Lazy(restore),
    }
    return cluster_options(LazyGroup(name, commands, help_text=f"{help_text} backups and restores."))


get_group = _verb("get", f"{_BACKUPS}:get", f"{_RESTORES}:get", "List")
describe_group = _verb("describe", f"{_BACKUPS}:describe", f"{_RESTORES}:describe", "Describe")
create_group = _verb("create", f"{_BACKUPS}:create", f"{_RESTORES}:create", "Create")

command = cluster_options(
    LazyGroup(
        "ark",
        {
            "backup": Lazy("pkg.cli.backup:command", "Work with backups"),
            "restore": Lazy("pkg.cli.restore:command", "Work with restores"),
            "create": Lazy("pkg.cli.ark:create_group", "Create a backup or a restore"),
            "get": Lazy("pkg.cli.ark:get_group", "List backups or restores"),
            "describe": Lazy("pkg.cli.ark:describe_group", "Describe backups or restores"),
            "restic": Lazy("pkg.cli.restic:command", "Work with restic: repositories, and the node agent"),
            "server": Lazy("pkg.cli.server:command", "Run the Ark server"),
            "version": Lazy("pkg.cli.version:command", "Print the version"),
        },
        help_text="Back up Kubernetes: objects into object storage, the contents of pod volumes with restic.",
    )
)


def run(arguments: Sequence[str] | None = None, flags: ClusterFlags | None = None) -> int:
    """Runs a command line and returns its exit code.

    Args:
        arguments: Without the program's name; None for the process's own.
        flags: How to reach the cluster; a test hands in its own.
    """
    try:
        code = command.main(
            args=None if arguments is None else list(arguments),
            prog_name="ark",
            standalone_mode=False,
            obj=flags or ClusterFlags(),
        )
    except click.UsageError as error:
        error.show()
        return USAGE
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        return INTERRUPTED
    except CliError as error:
        return _fail(str(error), error.exit_code)
    except KubeError as error:
        return _fail(str(error), 1)
    return code if isinstance(code, int) else 0


def main() -> NoReturn:
    """The process."""
    try:
        code = run()
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has gone (`ark backup get | head`); the interpreter must not complain about it at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    sys.exit(code)


def _fail(message: str, code: int) -> int:
    click.echo(f"An error occurred: {message}", err=True)
    return code


if __name__ == "__main__":
    main()
