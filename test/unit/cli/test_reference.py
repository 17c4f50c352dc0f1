"""docs/cli.md has every command that people see."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from pkg.cli.ark import command

PAGE = Path(__file__).resolve().parents[3] / "docs" / "cli.md"
VERBS = ("get", "describe", "create", "delete")


def paths(group: click.Group, prefix: str) -> Iterator[str]:
    for name in group.list_commands(click.Context(group)):
        one = group.get_command(click.Context(group), name)
        if isinstance(one, click.Group):
            if prefix != "ark" or name not in VERBS:
                yield from paths(one, f"{prefix} {name}")
        elif one is not None and not one.hidden:
            yield f"{prefix} {name}"


@pytest.mark.parametrize("path", sorted(paths(command, "ark")))
def test_the_reference_has_the_command(path: str) -> None:
    assert f"| `{path}` |" in PAGE.read_text()


@pytest.mark.parametrize("verb", VERBS)
def test_the_reference_says_that_the_verb_may_come_first(verb: str) -> None:
    assert f"`ark {verb} " in PAGE.read_text()
