"""Include and exclude lists follow 0.9's rules."""

from __future__ import annotations

import pytest

from pkg.apis.name_lists import list_problems
from pkg.backup.includes import includes


@pytest.mark.parametrize(
    ("included", "excluded", "name", "expected"),
    [
        pytest.param(None, None, "a", True, id="no lists let everything in"),
        pytest.param(["*"], None, "a", True, id="a star lets everything in"),
        pytest.param(["a"], None, "b", False, id="an include list keeps others out"),
        pytest.param(["a"], None, "a", True, id="an included name"),
        pytest.param(None, ["a"], "a", False, id="an excluded name"),
        pytest.param(["a"], ["a"], "a", False, id="an exclusion wins"),
    ],
)
def test_a_name_passes(included: list[str] | None, excluded: list[str] | None, name: str, expected: bool) -> None:
    assert (name in includes(included, excluded)) is expected


def test_everything_means_neither_list_has_a_name() -> None:
    assert includes(["*"], []).is_everything
    assert not includes(["*"], ["a"]).is_everything


@pytest.mark.parametrize(
    ("included", "excluded", "problems"),
    [
        pytest.param(["*"], ["a"], [], id="a star alone is fine"),
        pytest.param(
            ["*", "a"],
            [],
            ["includes list must either contain '*' only, or a non-empty list of items"],
            id="a star with others",
        ),
        pytest.param([], ["*"], ["excludes list cannot contain '*'"], id="a star excluded"),
        pytest.param(
            ["a", "b"],
            ["b", "b"],
            ["excludes list cannot contain an item in the includes list: b"],
            id="a name on both",
        ),
    ],
)
def test_what_is_wrong_with_a_pair(included: list[str], excluded: list[str], problems: list[str]) -> None:
    assert list_problems(included, excluded) == problems
