"""`ark client config`, and whose word on the namespace counts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pkg.cli.client import found_namespace
from pkg.cli.client_file import read_values, write_values
from pkg.cli.failures import CliError

Ark = Callable[..., tuple[int, str, str]]


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path / ".config" / "ark" / "config.json"


def test_what_was_set_is_shown_sorted(ark: Ark, file: Path) -> None:
    assert ark("client", "config", "set", "namespace=backup", "colour=blue") == (0, "", "")
    assert ark("client", "config", "get") == (0, "colour: blue\nnamespace: backup\n", "")
    assert ark("client", "config", "get", "namespace", "other")[1] == "namespace: backup\nother: <NOT SET>\n"


def test_the_file_is_0_9s_map_and_readable_by_its_owner_only(ark: Ark, file: Path) -> None:
    ark("client", "config", "set", "namespace=backup")
    assert json.loads(file.read_text()) == {"namespace": "backup"}
    assert file.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in file.parent.iterdir()] == ["config.json"]


def test_an_empty_value_removes_the_key(ark: Ark, file: Path) -> None:
    ark("client", "config", "set", "namespace=backup", "a=b")
    ark("client", "config", "set", "namespace=")
    assert json.loads(file.read_text()) == {"a": "b"}


def test_a_value_may_hold_the_sign(ark: Ark, file: Path) -> None:
    ark("client", "config", "set", "a=b=c")
    assert read_values(file) == {"a": "b=c"}


@pytest.mark.parametrize("pairs", [[], ["namespace"], ["=x"]])
def test_what_is_no_pair_is_a_usage_error_and_changes_nothing(ark: Ark, file: Path, pairs: list[str]) -> None:
    assert ark("client", "config", "set", *pairs)[0] == 64
    assert not file.exists()


@pytest.mark.parametrize("text", ["{", "[]", '"x"'])
def test_a_file_that_is_none_is_named(ark: Ark, file: Path, text: str) -> None:
    write_values(file, {})
    file.write_text(text)
    code, _, err = ark("client", "config", "get")
    assert code == 1
    assert f"{file}" in err
    assert "repair or remove it" in err


def test_a_file_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "blocked").write_text("a file")
    with pytest.raises(CliError, match="cannot be written: "):
        write_values(tmp_path / "blocked" / "config.json", {})


@pytest.mark.parametrize(
    ("environ", "values", "expected"),
    [
        pytest.param({"HEPTIO_ARK_NAMESPACE": "e"}, {"namespace": "f"}, "e", id="the environment before the file"),
        pytest.param({}, {"namespace": "f"}, "f", id="the file before the default"),
        pytest.param({}, {"namespace": ""}, "heptio-ark", id="nothing is set"),
    ],
)
def test_whose_namespace_counts(tmp_path: Path, environ: dict[str, str], values: dict[str, str], expected: str) -> None:
    file = tmp_path / "config.json"
    write_values(file, values)
    assert found_namespace(environ, file) == expected
