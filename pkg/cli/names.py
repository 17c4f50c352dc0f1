"""Names of backups, restores and schedules, completed from the cluster when the shell asks for them.

A cluster that does not answer at once, is not there, or says no, gives no names and no words about it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import click

from pkg.cli.flags import ClusterFlags

F = TypeVar("F", bound=Callable[..., object])
ANSWER_SECONDS = 2.0
MOST_NAMES = 1000
_KINDS = {
    "backup": "backup",
    "backups": "backup",
    "restore": "restore",
    "restores": "restore",
    "schedule": "schedule",
    "schedules": "schedule",
    "repo": "resticrepository",
}


def named_argument(parameter: str, *, metavar: str) -> Callable[[F], F]:
    """An argument that is the name of an object; of which kind the command's path says."""
    return click.argument(parameter, metavar=metavar, shell_complete=complete_names)


def complete_names(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Names of the kind that the command works on: for `shell_complete` of its arguments."""
    kind = next((_KINDS[word] for word in reversed(context.command_path.split()) if word in _KINDS), "")
    return _fitting(context, parameter, kind, incomplete)


def complete_backups(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Names of backups: for `shell_complete` of an option such as --from-backup."""
    return _fitting(context, parameter, "backup", incomplete)


def complete_schedules(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Names of schedules: for `shell_complete` of an option such as --from-schedule."""
    return _fitting(context, parameter, "schedule", incomplete)


def _fitting(context: click.Context, parameter: click.Parameter, kind: str, incomplete: str) -> list[str]:
    flags = context.find_object(ClusterFlags) or ClusterFlags()
    given = context.params.get(parameter.name or "")
    taken = set(given) if isinstance(given, tuple) else set()
    return [name for name in _names(flags, kind) if name.startswith(incomplete) and name not in taken]


def _names(flags: ClusterFlags, kind: str) -> list[str]:
    try:
        return _read(flags, kind)
    except Exception:  # the shell is in the middle of a line: whatever is wrong, the command itself will say it
        return []


def _read(flags: ClusterFlags, kind: str) -> list[str]:
    import msgspec

    from pkg.apis.meta import Object
    from pkg.kube import refs
    from pkg.kube.pages import decode_page
    from pkg.kube.wire import METADATA_LIST_TYPE

    ref = next(one for one in refs.ARK_KINDS if one.kind.lower() == kind)
    connection = flags.connect()
    answer = connection.client.transport.request(
        "GET",
        ref.path(connection.namespace),
        query={"limit": str(MOST_NAMES)},
        accept=METADATA_LIST_TYPE,
        timeout_seconds=ANSWER_SECONDS,
    )
    return sorted(msgspec.json.decode(raw, type=Object).metadata.name for raw in decode_page(answer.body).items)
