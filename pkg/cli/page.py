"""A description as lines: labels and values aligned in blocks, sections indented."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from pkg.cli.output import NONE, aligned


class Page:
    """Collects lines; `text` gives them with the values of each block at one place."""

    def __init__(self) -> None:
        self._blocks: list[list[tuple[str, ...]]] = [[]]

    def pair(self, label: str, value: object, *, indent: int = 0) -> None:
        """`Label:  value`; without a value only the label."""
        head = f"{'  ' * indent}{label}:"
        self._blocks[-1].append((head, str(value)) if str(value) else (head,))

    def pairs(self, label: str, values: Iterable[str], *, indent: int = 0, none: str = NONE) -> None:
        """A label with several values below each other."""
        lines = list(values) or [none]
        self.pair(label, lines[0], indent=indent)
        self._blocks[-1] += [("", line) for line in lines[1:]]

    def line(self, text: str, *, indent: int = 0) -> None:
        """A line as it is."""
        self._blocks[-1].append((f"{'  ' * indent}{text}",))

    def rows(self, rows: Sequence[Sequence[str]], *, indent: int = 0) -> None:
        """A small table."""
        for line in aligned(rows):
            self.line(line, indent=indent)

    def gap(self) -> None:
        """An empty line; a new block begins."""
        self._blocks.append([])

    def text(self) -> str:
        """The whole page."""
        return "\n".join("".join(f"{line}\n" for line in _aligned_block(block)) for block in self._blocks if block)


def _aligned_block(block: list[tuple[str, ...]]) -> list[str]:
    width = max((len(cells[0]) for cells in block if len(cells) > 1), default=0)
    return [f"{cells[0]:{width}}  {cells[1]}" if len(cells) > 1 else cells[0] for cells in block]


def listed(names: Sequence[str] | None, empty: str) -> str:
    """`a, b`, or a word when there are none."""
    return ", ".join(names) if names else empty


def sorted_pairs(values: Mapping[str, str] | None) -> list[str]:
    """`k=v` lines."""
    return [f"{key}={value}" for key, value in sorted((values or {}).items())]
