"""Every promise to an operator has a test that is really there, or says what it waits for."""

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
BINDING = {*(str(number) for number in range(1, 29)), "X"}


class Promise(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line of promises.toml."""

    number: str
    text: str
    binding: bool = False
    tests: tuple[str, ...] = ()
    waits_for: str = ""


class Promises(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file."""

    features: dict[str, str]
    promise: tuple[Promise, ...]


FOUND = msgspec.convert(tomllib.loads((ROOT / "test" / "promises.toml").read_text()), Promises)


def group(promise: Promise) -> str:
    """The number without the letter of its part."""
    return re.sub(r"(?<=\d)[a-z]$|(?<=X)\d+$", "", promise.number)


@functools.cache
def functions(file: Path) -> frozenset[str]:
    return frozenset(node.name for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.FunctionDef))


@pytest.mark.parametrize("promise", FOUND.promise, ids=lambda promise: promise.number)
def test_a_promise_has_tests_or_waits(promise: Promise) -> None:
    assert promise.tests or promise.waits_for
    assert promise.tests or not promise.binding, "a binding promise has a test now"
    assert not (promise.binding and promise.waits_for), "a binding promise does not wait"
    assert promise.waits_for in ("", *FOUND.features)


@pytest.mark.parametrize("test", sorted({test for promise in FOUND.promise for test in promise.tests}))
def test_a_named_test_exists(test: str) -> None:
    path, _, name = test.partition("::")
    assert name.startswith("test_")
    assert (ROOT / path).is_file()
    assert name in functions(ROOT / path)


def test_every_number_is_there_once_and_in_order() -> None:
    numbers = [promise.number for promise in FOUND.promise]
    assert len(set(numbers)) == len(numbers)
    assert sorted({int(group(promise)) for promise in FOUND.promise if group(promise) != "X"}) == list(NUMBERS)


def test_what_binds_now_is_marked() -> None:
    assert {group(promise) for promise in FOUND.promise if promise.binding} == BINDING


def test_every_feature_is_waited_for() -> None:
    assert {promise.waits_for for promise in FOUND.promise if promise.waits_for} == set(FOUND.features)
