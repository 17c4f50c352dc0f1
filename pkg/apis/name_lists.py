"""The rules of include and exclude lists, in 0.9's words; Backups and Restores share them."""

from __future__ import annotations

from collections.abc import Iterable

EVERYTHING = "*"


def list_problems(included: Iterable[str] | None, excluded: Iterable[str] | None) -> list[str]:
    """What is wrong with a pair of lists, in 0.9's words."""
    inside, outside = list(included or ()), list(excluded or ())
    problems = []
    if len(inside) > 1 and EVERYTHING in inside:
        problems.append("includes list must either contain '*' only, or a non-empty list of items")
    if EVERYTHING in outside:
        problems.append("excludes list cannot contain '*'")
    both = dict.fromkeys(name for name in outside if name != EVERYTHING and name in inside)
    return problems + [f"excludes list cannot contain an item in the includes list: {name}" for name in both]
