"""`ark client config get` and `set`: values that every command uses where no flag says otherwise."""

from __future__ import annotations

import click

from pkg.cli.client_file import changed, path, read_values, write_values
from pkg.cli.flags import ArkCommand


@click.command("get", cls=ArkCommand, help="Show the values of keys, or of all that are set.")
@click.argument("keys", nargs=-1, metavar="[KEY]...")
def get(keys: tuple[str, ...]) -> None:
    """Prints `key: value` lines."""
    values = read_values(path())
    for key in keys or sorted(values):
        click.echo(f"{key}: {values.get(key) or '<NOT SET>'}")


@click.command("set", cls=ArkCommand, help="Set values, such as namespace=backup; an empty value removes the key.")
@click.argument("pairs", nargs=-1, required=True, metavar="KEY=VALUE...")
def set_values(pairs: tuple[str, ...]) -> None:
    """Writes values."""
    changes: dict[str, str] = {}
    for pair in pairs:
        key, sign, value = pair.partition("=")
        if not sign or not key:
            raise click.UsageError(f'"{pair}" is not KEY=VALUE')
        changes[key] = value
    file = path()
    write_values(file, changed(read_values(file), changes))
