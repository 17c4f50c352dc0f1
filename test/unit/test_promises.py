"""Every promise to an operator has a test that is really there."""

from __future__ import annotations

import ast
import functools
import re
import tomllib
from pathlib import Path

import msgspec
import pytest

ROOT = Path(__file__).resolve().parents[2]
NUMBERS = range(1, 29)


class Promise(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line of promises.toml."""

    number: str
    text: str
    tests: tuple[str, ...]


class Promises(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file."""

    promise: tuple[Promise, ...]


FOUND = msgspec.convert(tomllib.loads((ROOT / "test" / "promises.toml").read_text()), Promises)


def group(promise: Promise) -> str:
    """The number without the letter of its part."""
    return re.sub(r"(?<=\d)[a-z]$|(?<=X)\d+$", "", promise.number)


@functools.cache
def functions(file: Path) -> frozenset[str]:
    return frozenset(node.name for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.FunctionDef))


@pytest.mark.parametrize("promise", FOUND.promise, ids=lambda promise: promise.number)
def test_a_promise_has_tests(promise: Promise) -> None:
    assert promise.text
    assert promise.tests


@pytest.mark.parametrize("test", sorted({test for promise in FOUND.promise for test in promise.tests}))
def test_a_named_test_exists(test: str) -> None:
    path, _, name = test.partition("::")
    assert name.startswith("test_")
    assert (ROOT / path).is_file()
    assert name in functions(ROOT / path)


def test_every_number_is_there_once_and_in_order() -> None:
    numbers = [promise.number for promise in FOUND.promise]
    assert len(set(numbers)) == len(numbers)
    assert {group(promise) for promise in FOUND.promise} == {*map(str, NUMBERS), "X"}
