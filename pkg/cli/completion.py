"""`ark completion`: what makes a shell complete commands, flags and the names of backups, restores and schedules."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click
from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete

from pkg.cli import program
from pkg.cli.flags import ArkCommand

_SHELLS: dict[str, type[ShellComplete]] = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}
_NO_FILES = ":4"  # cobra's word for: do not offer the names of files
_HELP = """Print a completion script for a shell.

\b
bash:  source <(ark completion bash)
zsh:   source <(ark completion zsh)
fish:  ark completion fish | source
"""


@click.command("completion", cls=ArkCommand, help=_HELP)
@click.argument("shell", type=click.Choice(list(_SHELLS)))
@click.pass_context
def command(context: click.Context, shell: str) -> None:
    """Prints the script."""
    root = context.find_root().command
    click.echo(script(root, shell))


def script(root: click.Command, shell: str) -> str:
    """A shell's script; it asks this program by the environment for what fits."""
    made = _SHELLS[shell](root, {}, program.OWN_NAME, program.COMPLETION_VARIABLE)
    return ShellComplete.source(made)  # bash's own one would start a bash to see how old it is


def kubectl_complete() -> None:
    """The program `kubectl_complete-ark`: kubectl runs it for `kubectl ark <TAB>` and reads lines and a directive."""
    from pkg.cli.ark import command as root

    click.echo("\n".join([*kubectl_lines(root, sys.argv[1:]), _NO_FILES]))


def kubectl_lines(root: click.Command, words: Sequence[str]) -> list[str]:
    """What fits after these words, of which the last is begun; with a help text behind a tab."""
    shell = BashComplete(root, {}, program.OWN_NAME, program.COMPLETION_VARIABLE)
    items = shell.get_completions(list(words[:-1]), words[-1] if words else "")
    return [f"{item.value}\t{item.help}" if item.help else str(item.value) for item in items]
