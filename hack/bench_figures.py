"""A figure and what it is compared with: rows of the table and of build/bench.json.

A figure means something only beside a reference that was measured in the same run, in turn with it, because both
feel the same load. Where the reference could not run, the figure counts as not measured, never as good.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

NOT_MEASURED = "not measured"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One figure; `value` is the median, `low` and `high` the extremes.

    `bound` is the highest ratio that is good; for a rate, of which more is better, the lowest.
    """

    suite: str
    name: str
    unit: str
    value: float | None
    low: float | None
    high: float | None
    reference: str
    reference_value: float | None
    ratio: float | None
    bound: float
    ok: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """What was measured in turn; one list may be empty where its side could not run."""

    values: Sequence[float]
    references: Sequence[float]


def in_turn(
    value: Callable[[], float],
    reference: Callable[[], float],
    *,
    runs: int,
    before: Callable[[], object] = lambda: None,
) -> Samples:
    """Measures both alternately, after one unmeasured round; who begins changes from round to round.

    `before` is called at the beginning of every round, unmeasured.
    """
    before(), value(), reference()
    values, references = [], []
    for number in range(runs):
        before()
        if number % 2:
            references.append(reference())
            values.append(value())
        else:
            values.append(value())
            references.append(reference())
    return Samples(values=values, references=references)


def row(
    suite: str, name: str, samples: Samples, *, reference: str, bound: float, unit: str = "s", at_least: bool = False
) -> Row:
    """Compares the medians; `at_least` for a rate."""
    value = statistics.median(samples.values) if samples.values else None
    reference_value = statistics.median(samples.references) if samples.references else None
    ratio = value / reference_value if value is not None and reference_value else None
    return Row(
        suite=suite,
        name=name,
        unit=unit,
        value=value,
        low=min(samples.values, default=None),
        high=max(samples.values, default=None),
        reference=reference,
        reference_value=reference_value,
        ratio=ratio,
        bound=bound,
        ok=ratio is not None and (ratio >= bound if at_least else ratio <= bound),
    )


def limit_row(
    suite: str, name: str, samples: Samples, *, limit: float, unit: str = "s", beside: str = "", at_least: bool = False
) -> Row:
    """Compares with a number that was promised; what `beside` measured in the same run stands in the reference."""
    compared = Samples(values=samples.values, references=[limit])
    also = _number(statistics.median(samples.references), unit) if samples.references else NOT_MEASURED
    reference = f"promised ({beside} {also})" if beside else "promised"
    return row(suite, name, compared, reference=reference, bound=1.0, unit=unit, at_least=at_least)


def as_json(rows: Sequence[Row]) -> list[dict[str, object]]:
    """The rows for build/bench.json."""
    return [asdict(one) for one in rows]


def table(rows: Sequence[Row]) -> str:
    """The rows for people."""
    lines: list[tuple[str, ...]] = [
        ("suite", "name", "value", "low", "high", "reference", "its value", "ratio", "bound", "")
    ]
    lines += [_cells(one) for one in rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def _cells(one: Row) -> tuple[str, ...]:
    numbers = [_number(value, one.unit) for value in (one.value, one.low, one.high)]
    ratio = "-" if one.ratio is None else f"{one.ratio:.2f}"
    reference = _number(one.reference_value, one.unit)
    return (one.suite, one.name, *numbers, one.reference, reference, ratio, f"{one.bound:.2f}", verdict(one))


def verdict(one: Row) -> str:
    """The last word on a row."""
    if one.ratio is None:
        return NOT_MEASURED
    if one.ok:
        return "ok"
    return "over its bound" if one.ratio > one.bound else "under its bound"


def _number(value: float | None, unit: str) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f} {unit}" if value >= 1000 else f"{value:.3f} {unit}"
