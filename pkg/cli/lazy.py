"""Groups whose commands are imported when they are run, not when help is printed.

The help of a group comes from the table, so `ark --help` imports nothing but click.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass

import click

from pkg.cli.flags import ArkGroup


@dataclass(frozen=True, slots=True)
class Lazy:
    """Where a command lies (`module:attribute`) and its line in the group's help; hidden without one."""

    target: str
    help: str = ""

    def load(self) -> click.Command:
        """Imports the command."""
        module, _, attribute = self.target.partition(":")
        found = getattr(importlib.import_module(module), attribute)
        if not isinstance(found, click.Command):
            raise TypeError(f"{self.target} is not a command")
        return found


class LazyGroup(ArkGroup):
    """A group over a table of lazy commands."""

    def __init__(self, name: str, commands: Mapping[str, Lazy], *, help_text: str) -> None:
        super().__init__(name=name, help=help_text)
        self._table = dict(commands)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the table's order."""
        return list(self._table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported now."""
        found = self._table.get(cmd_name)
        return found.load() if found else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Lists the commands from the table."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, lazy.help) for name, lazy in self._table.items() if lazy.help])
