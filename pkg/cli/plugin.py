"""`ark plugin`, and the hidden `ark run-plugin`: what 0.9 had for cloud disks, and why they do nothing here."""

from __future__ import annotations

import click

from pkg.cli.failures import CliError
from pkg.cli.flags import ArkCommand

_SENTENCE = (
    "this Ark has no plug-ins: AWS, Azure and Google storage are built in, snapshots of cloud disks are left out, and "
    "the contents of volumes are backed up with restic (docs/cli.md)"
)


@click.command("add", cls=ArkCommand, help="Add a plug-in. This Ark has none: it says so and fails.")
@click.argument("image")
@click.option(
    "--image-pull-policy",
    type=click.Choice(["Always", "IfNotPresent", "Never"]),
    default="IfNotPresent",
    show_default=True,
    help="Accepted as in 0.9.",
)
def add(image: str, image_pull_policy: str) -> None:
    """Refuses."""
    raise CliError(_SENTENCE)


@click.command("remove", cls=ArkCommand, help="Remove a plug-in. This Ark has none: it says so and fails.")
@click.argument("name", metavar="NAME|IMAGE")
def remove(name: str) -> None:
    """Refuses."""
    raise CliError(_SENTENCE)


@click.command("run-plugin", cls=ArkCommand, hidden=True, help="Run a plug-in of 0.9. This Ark has none.")
@click.argument("arguments", nargs=-1, metavar="KIND NAME")
def run(arguments: tuple[str, ...]) -> None:
    """Refuses."""
    raise CliError(_SENTENCE)
