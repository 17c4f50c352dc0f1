"""Which objects a command that deletes or marks them means, and whether the person is sure."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TypeVar

import click

from pkg.apis.meta import JsonObject
from pkg.cli.client import Connection
from pkg.cli.failures import USAGE, CliError
from pkg.cli.flags import switch
from pkg.cli.names import complete_names
from pkg.cli.requests import checked_selector
from pkg.kube.resources import ResourceRef

F = TypeVar("F", bound=Callable[..., object])
QUESTION = "Are you sure you want to continue (Y/N)? "


def choice_options(function: F) -> F:
    """The flags that say which objects are meant."""
    options = (
        click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=complete_names),
        click.option("-l", "--selector", default="", callback=checked_selector, help="Those with these labels."),
        switch("--all", default=False, help_text="All of them."),
        switch("--confirm", default=False, help_text="Do not ask."),
    )
    for option in reversed(options):
        function = option(function)
    return function


def chosen(
    connection: Connection, ref: ResourceRef, names: tuple[str, ...], selector: str, *, everything: bool
) -> list[JsonObject]:
    """The objects that are meant.

    Raises:
        click.UsageError: none is given, or in more ways than one.
        CliError: one is not there.
    """
    if sum(map(bool, (names, selector, everything))) != 1:
        raise click.UsageError("give names, or --selector, or --all")
    from pkg.cli.reading import read_objects
    from pkg.cli.tables import name_of

    return sorted(read_objects(connection, ref, names, selector), key=name_of)


def ask() -> bool:
    """Asks until the answer is yes or no, as 0.9 did; the answer may come through a pipe.

    Raises:
        CliError: nobody can answer.
    """
    while True:
        click.echo(QUESTION, nl=False)
        line = sys.stdin.readline()
        if not line:
            click.echo()
            raise CliError("nobody answers: without a terminal give --confirm", USAGE)
        answer = line.strip().lower()
        if answer in ("y", "yes", "n", "no"):
            return answer.startswith("y")
