"""Include and exclude lists, with 0.9's rules: an empty include list or `*` means everything, an exclude wins."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from pkg.apis.name_lists import EVERYTHING


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
