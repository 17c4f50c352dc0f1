"""`ark version`."""

from __future__ import annotations

import click

from pkg import __version__


@click.command("version", help="Print the version.")
def command() -> None:
    """Prints the version of this program; asks no cluster."""
    click.echo(f"Version: v{__version__}")
