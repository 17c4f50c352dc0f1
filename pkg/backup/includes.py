"""Include and exclude lists, with 0.9's rules: an empty include list or `*` means everything, an exclude wins."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

EVERYTHING = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Includes:
    """A pair of lists, without `*`."""

    included: frozenset[str] = frozenset()
    excluded: frozenset[str] = frozenset()

    def __contains__(self, name: object) -> bool:
        """Whether a name passes both lists."""
        return name not in self.excluded and (not self.included or name in self.included)

    @property
    def is_everything(self) -> bool:
        """Whether nothing is left out."""
        return not self.included and not self.excluded


def includes(
    included: Iterable[str] | None, excluded: Iterable[str] | None, resolve: Callable[[str], str] = str
) -> Includes:
    """The lists of a spec; `resolve` gives the full name of what a person may have shortened."""
    return Includes(
        included=frozenset(resolve(name) for name in included or () if name != EVERYTHING),
        excluded=frozenset(resolve(name) for name in excluded or () if name != EVERYTHING),
    )


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
