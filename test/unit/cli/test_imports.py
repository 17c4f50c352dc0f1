"""Help is quick because it imports nothing it does not need."""

from __future__ import annotations

import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
HEAVY = ("kubernetes", "obstore", "msgspec", "rich", "structlog", "yaml", "urllib3", "cryptography")


@pytest.mark.parametrize("arguments", ["'--help'", "'restic', '--help'", "'get', '--help'"])
def test_help_imports_nothing_heavy(arguments: str) -> None:
    code = f"""
import sys
from pkg.cli.ark import run
run([{arguments}])
print("loaded", sorted(name for name in sys.modules if name in {HEAVY!r}), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = done.stderr.splitlines()[-1]
    assert "loaded" in loaded
    forbidden = HEAVY if arguments != "'restic', '--help'" else HEAVY[:2]
    assert not [name for name in forbidden if f"'{name}'" in loaded]
