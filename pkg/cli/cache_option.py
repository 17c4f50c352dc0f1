"""The flag that bounds restic's cache."""

from __future__ import annotations

import click

from pkg.controllers.maintenance_memory import parse_quantity

DEFAULT_SIZE = "4Gi"


def _bytes(context: click.Context, parameter: click.Parameter, value: str) -> int:
    try:
        return int(parse_quantity(value))
    except ValueError as error:
        raise click.BadParameter(str(error), ctx=context, param=parameter) from error


cache_option = click.option(
    "--restic-cache-size",
    "cache_bytes",
    default=DEFAULT_SIZE,
    show_default=True,
    callback=_bytes,
    help="What restic's cache may hold, at most half of the scratch volume's sizeLimit; 0 for no cache.",
)
