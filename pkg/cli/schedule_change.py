"""`ark schedule pause`, `unpause` and `delete`: none of them touches a backup."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import click

from pkg.apis.meta import JsonObject
from pkg.cli import program
from pkg.cli.failures import CliError
from pkg.cli.flags import ArkCommand, ClusterFlags, switch
from pkg.cli.names import complete_names
from pkg.cli.requests import checked_selector

F = TypeVar("F", bound=Callable[..., object])


def _which_options(function: F) -> F:
    """The flags that say which schedules are meant."""
    options = (
        click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=complete_names),
        click.option("-l", "--selector", default="", callback=checked_selector, help="Those with these labels."),
        switch("--all", default=False, help_text="All schedules."),
    )
    for option in reversed(options):
        function = option(function)
    return function


@click.command("pause", cls=ArkCommand, help="Let schedules make no backups for a while.")
@_which_options
@click.pass_obj
def pause(flags: ClusterFlags, /, names: tuple[str, ...], selector: str, **options: object) -> None:
    """Pauses Schedules."""
    _set_paused(flags, _chosen(flags, names, selector, everything=options["all"] is True), paused=True)


@click.command("unpause", cls=ArkCommand, help="Let paused schedules make backups again, from the next run on.")
@_which_options
@click.pass_obj
def unpause(flags: ClusterFlags, /, names: tuple[str, ...], selector: str, **options: object) -> None:
    """Ends the pause of Schedules."""
    _set_paused(flags, _chosen(flags, names, selector, everything=options["all"] is True), paused=False)


@click.command("delete", cls=ArkCommand, help="Delete schedules. Their backups stay until they expire.")
@_which_options
@switch("--confirm", default=False, help_text="Do not ask, where --all or a selector chooses them.")
@click.pass_obj
def delete(flags: ClusterFlags, /, names: tuple[str, ...], selector: str, *, confirm: bool, **options: object) -> None:
    """Deletes Schedules."""
    from pkg.kube.errors import NotFoundError
    from pkg.kube.refs import SCHEDULES

    chosen = _chosen(flags, names, selector, everything=options["all"] is True)
    if not names and chosen and not confirm:
        click.echo(f"Schedules to delete: {', '.join(chosen)}")
        click.confirm("Are you sure you want to continue", abort=True)
    connection, missing = flags.connect(), []
    for name in chosen:
        try:
            connection.client.delete(SCHEDULES, connection.namespace, name)
        except NotFoundError:
            missing.append(name)
        else:
            click.echo(f'Schedule "{name}" deleted')
    _complain(missing, connection.namespace)


def _set_paused(flags: ClusterFlags, names: list[str], *, paused: bool) -> None:
    from pkg.apis.ark import Schedule
    from pkg.kube.errors import NotFoundError
    from pkg.kube.refs import SCHEDULES

    connection, missing = flags.connect(), []
    change: JsonObject = {"spec": {"paused": paused}}
    for name in names:
        try:
            connection.client.patch(SCHEDULES, connection.namespace, name, change, Schedule)
        except NotFoundError:
            missing.append(name)
        else:
            click.echo(f'Schedule "{name}" {"paused" if paused else "unpaused"}')
    _complain(missing, connection.namespace)


def _chosen(flags: ClusterFlags, names: tuple[str, ...], selector: str, *, everything: bool) -> list[str]:
    """The names that are meant.

    Raises:
        click.UsageError: none is given, or in more ways than one.
    """
    if sum(map(bool, (names, selector, everything))) != 1:
        raise click.UsageError("give names, or --selector, or --all")
    if names:
        return list(dict.fromkeys(names))
    from pkg.cli.reading import read_objects
    from pkg.cli.tables import name_of
    from pkg.kube.refs import SCHEDULES

    found = read_objects(flags.connect(), SCHEDULES, (), selector)
    return sorted(name_of(one) for one in found)


def _complain(missing: list[str], namespace: str) -> None:
    if missing:
        told = ", ".join(f'"{name}"' for name in missing)
        raise CliError(
            f"there is no Schedule {told} in namespace {namespace}: `{program.name()} schedule get` lists them"
        )
