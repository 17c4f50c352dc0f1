"""What README and docs name is there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from pkg.apis.reasons import BackupPhase, Reason
from pkg.cli.ark import command as ark_command

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "config").glob("*.md")])


def identifier(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("document", DOCUMENTS, ids=identifier)
def test_a_link_leads_to_a_file(document: Path) -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text())
    assert [target for target in targets if not (document.parent / target).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=identifier)
def test_a_make_target_exists(document: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:^|`|\$ |&& )make ([a-z-]+)", document.read_text(), re.MULTILINE))
    assert named <= targets


def test_every_reason_is_explained() -> None:
    text = (ROOT / "docs" / "status.md").read_text()
    assert [reason.value for reason in Reason if not re.search(rf"\b{reason}\b", text)] == []


def test_every_phase_is_explained_in_the_readme() -> None:
    text = (ROOT / "README.md").read_text()
    assert [phase.value for phase in BackupPhase if f"| `{phase}` |" not in text] == []


COMMAND_LINES = sorted(
    {
        line.partition("#")[0].strip()
        for document in DOCUMENTS
        for block in re.findall(r"```\n(.*?)```", document.read_text(), re.DOTALL)
        for line in block.splitlines()
        if line.startswith("ark ")
    }
)


@pytest.mark.parametrize("line", COMMAND_LINES)
def test_a_command_line_is_understood(line: str) -> None:
    command: click.Command = ark_command
    context = click.Context(command, info_name="ark")
    words = shlex.split(line)[1:]
    while isinstance(command, click.Group):
        found = command.get_command(context, words[0])
        assert found is not None, f"{line}: there is no {words[0]}"
        command, words = found, words[1:]
    command.make_context(line, words)


def flags_of(command: click.Command) -> set[str]:
    """The flags of a command and of all below it."""
    found = {name for param in command.get_params(click.Context(command)) for name in param.opts}
    if isinstance(command, click.Group):
        context = click.Context(command)
        below = (command.get_command(context, name) for name in command.list_commands(context))
        found |= {flag for one in below if one is not None for flag in flags_of(one)}
    return found


def test_flags_that_documents_name_exist() -> None:
    named = {flag for document in DOCUMENTS for flag in re.findall(r"`(--[a-z][a-z-]+)", document.read_text())}
    assert sorted(named - flags_of(ark_command)) == []
