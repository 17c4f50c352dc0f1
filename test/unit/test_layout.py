"""`cmd/` and `test/` share their names with modules of the standard library and must not hide them."""

from __future__ import annotations

import cmd
import importlib.metadata
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_cmd_is_still_the_standard_library_module() -> None:
    assert hasattr(cmd, "Cmd")


@pytest.mark.parametrize("directory", ["cmd", "test", "hack", "config"])
def test_only_pkg_is_a_package(directory: str) -> None:
    assert not list((ROOT / directory).rglob("__init__.py"))


def test_every_package_says_what_it_promises() -> None:
    packages = [path for path in (ROOT / "pkg").rglob("*") if path.is_dir() and list(path.glob("*.py"))]
    silent = [str(path) for path in packages if '"""' not in (path / "__init__.py").read_text()]
    assert silent == []


def test_the_wheel_holds_pkg_alone() -> None:
    built = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert built == {"packages": ["pkg"], "exclude": ["/pkg/testing"]}


def test_nothing_else_in_this_environment_ships_a_package_named_pkg() -> None:
    owners = importlib.metadata.packages_distributions().get("pkg", [])
    assert set(owners) <= {"ark-backup"}


def test_no_module_has_a_name_that_says_nothing() -> None:
    nameless = {"utils.py", "util.py", "helpers.py", "common.py", "base.py", "misc.py"}
    assert [str(path) for path in (ROOT / "pkg").rglob("*.py") if path.name in nameless] == []
