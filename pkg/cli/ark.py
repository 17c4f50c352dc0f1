"""The `ark` command: its tree, and how it ends.

Usage errors end with 64, because 2 means PartiallyFailed. Whatever goes wrong is one sentence on standard error;
a stack trace is shown only for what is a fault in Ark itself.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

import click

from pkg.cli import program
from pkg.cli.failures import INTERRUPTED, USAGE, CliError
from pkg.cli.flags import ClusterFlags
from pkg.cli.lazy import Lazy, LazyGroup
from pkg.kube.errors import KubeError


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    """A kind that has a group of its own, and for each verb where the command lies."""

    singular: str
    plural: str
    verbs: Mapping[str, str]


_KINDS = (
    _Kind(
        singular="backup",
        plural="backups",
        verbs={
            "create": "pkg.cli.backup:create",
            "get": "pkg.cli.backup:get",
            "describe": "pkg.cli.backup:describe",
            "delete": "pkg.cli.delete:delete_backup",
        },
    ),
    _Kind(
        singular="restore",
        plural="restores",
        verbs={
            "create": "pkg.cli.restore:create",
            "get": "pkg.cli.restore:get",
            "describe": "pkg.cli.restore:describe",
            "delete": "pkg.cli.delete:delete_restore",
        },
    ),
    _Kind(
        singular="schedule",
        plural="schedules",
        verbs={
            "create": "pkg.cli.schedule:create",
            "get": "pkg.cli.schedule:get",
            "describe": "pkg.cli.schedule:describe",
            "delete": "pkg.cli.schedule_change:delete",
        },
    ),
)


def _verb_first(verb: str) -> LazyGroup:
    """`ark get backups` beside `ark backup get`; 0.9 had both numbers of the noun but for `create`."""
    table: dict[str, Lazy] = {}
    for kind in _KINDS:
        target = kind.verbs.get(verb)
        if target and verb == "create":
            table[kind.singular] = Lazy(target, f"Create a {kind.singular}")
        elif target:
            table[kind.plural] = Lazy(target, f"{verb.capitalize()} {kind.plural}")
            table[kind.singular] = Lazy(target)
    return LazyGroup(verb, table, help_text=f"{verb.capitalize()} backups, restores or schedules.")


def _of_kind(singular: str, **others: Lazy) -> LazyGroup:
    """`ark backup` with its verbs, and what only this kind has."""
    kind = next(one for one in _KINDS if one.singular == singular)
    table = {verb: Lazy(target, f"{verb.capitalize()} {kind.plural}") for verb, target in kind.verbs.items()}
    return LazyGroup(singular, table | others, help_text=f"Work with {kind.plural}.")


get_group, describe_group, create_group = _verb_first("get"), _verb_first("describe"), _verb_first("create")
delete_group = _verb_first("delete")
backup_group = _of_kind(
    "backup",
    logs=Lazy("pkg.cli.backup:logs", "Show the log of a backup"),
    cancel=Lazy("pkg.cli.cancel:backup", "End a running backup"),
    download=Lazy("pkg.cli.backup_download:command", "Download the objects of a backup"),
    pin=Lazy("pkg.cli.pin:pin", "Keep a backup whatever its age"),
    unpin=Lazy("pkg.cli.pin:unpin", "Let a pinned backup be deleted again"),
    **{
        "confirm-deletions": Lazy("pkg.cli.pin:confirm_deletions", "Let held deletions of a schedule's backups go on"),
        "acknowledge-shrink": Lazy("pkg.cli.pin:acknowledge_shrink", "Say that a volume is meant to have shrunk"),
    },
)
restore_group = _of_kind(
    "restore",
    logs=Lazy("pkg.cli.restore:logs", "Show the log of a restore"),
    cancel=Lazy("pkg.cli.cancel:restore", "End a running restore"),
)
schedule_group = _of_kind(
    "schedule",
    pause=Lazy("pkg.cli.schedule_change:pause", "Make no backups for a while"),
    unpause=Lazy("pkg.cli.schedule_change:unpause", "Make backups again"),
)
plugin_group = LazyGroup(
    "plugin",
    {
        "add": Lazy("pkg.cli.plugin:add", "Add a plug-in (0.9; there are none)"),
        "remove": Lazy("pkg.cli.plugin:remove", "Remove a plug-in (0.9; there are none)"),
    },
    help_text="Plug-ins of Ark 0.9.",
)
client_group = LazyGroup(
    "client",
    {"config": Lazy("pkg.cli.ark:client_config_group", "Get and set the client's configuration")},
    help_text="Work with this program.",
)
client_config_group = LazyGroup(
    "config",
    {
        "get": Lazy("pkg.cli.client_config:get", "Show values"),
        "set": Lazy("pkg.cli.client_config:set_values", "Set values"),
    },
    help_text="Get and set the client's configuration, which lies in ~/.config/ark/config.json.",
)

command = LazyGroup(
    "ark",
    {
        "backup": Lazy("pkg.cli.ark:backup_group", "Work with backups"),
        "restore": Lazy("pkg.cli.ark:restore_group", "Work with restores"),
        "schedule": Lazy("pkg.cli.ark:schedule_group", "Work with schedules"),
        "create": Lazy("pkg.cli.ark:create_group", "Create a backup, restore or schedule"),
        "get": Lazy("pkg.cli.ark:get_group", "List backups, restores or schedules"),
        "describe": Lazy("pkg.cli.ark:describe_group", "Describe backups, restores or schedules"),
        "delete": Lazy("pkg.cli.ark:delete_group", "Delete backups, restores or schedules"),
        "freeze-deletions": Lazy("pkg.cli.freeze:freeze", "Stop deletion, forget and prune at once"),
        "unfreeze-deletions": Lazy("pkg.cli.freeze:unfreeze", "Let deletion, forget and prune go on"),
        "adopt": Lazy("pkg.cli.adopt:command", "Make another cluster's backups in the bucket this cluster's own"),
        "recovery-kit": Lazy("pkg.cli.recovery_kit:command", "Save what opens the volumes of a cluster that is gone"),
        "restic": Lazy("pkg.cli.restic:command", "Work with restic: repositories, and the node agent"),
        "server": Lazy("pkg.cli.server:command", "Run the Ark server"),
        "client": Lazy("pkg.cli.ark:client_group", "Configure this program"),
        "completion": Lazy("pkg.cli.completion:command", "Print a completion script for bash, zsh or fish"),
        "debug": Lazy("pkg.cli.debug:command", "Collect what helps with a problem, without secrets"),
        "plugin": Lazy("pkg.cli.ark:plugin_group"),
        "run-plugin": Lazy("pkg.cli.plugin:run"),
        "version": Lazy("pkg.cli.version:command", "Print the version"),
    },
    help_text="Back up Kubernetes: objects into object storage, the contents of pod volumes with restic.",
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
            prog_name=program.name_by_path(),
            complete_var=program.COMPLETION_VARIABLE,
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
        from pkg.cli.sentences import sentence  # only where something is wrong

        return _fail(sentence(error), 1)
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
