"""What README and docs name is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pkg.apis.reasons import BackupPhase, Reason

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "config").glob("*.md")])
LATER = {BackupPhase.DELETING}


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
    assert [phase.value for phase in BackupPhase if f"| `{phase}` |" not in text and phase not in LATER] == []
