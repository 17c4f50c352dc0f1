"""`ark debug`."""

import click

from pkg.cli.flags import ArkCommand


@click.command("debug", cls=ArkCommand, help="Collect what helps with a problem into one file, without secrets.")
def command() -> None:
    """Collects."""
