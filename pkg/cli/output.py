"""Objects as JSON or YAML, one alone as itself and several as a List; and rows whose cells begin at the same places."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from pkg.apis.meta import Json, JsonObject

NONE = "<none>"


def encoded(objects: Sequence[JsonObject], output: str) -> str:
    """One object, or a List."""
    items: list[Json] = list(objects)
    shown: Json = items[0] if len(items) == 1 else {"apiVersion": "v1", "kind": "List", "items": items}
    if output == "yaml":
        import yaml  # costs what a table must not

        return yaml.safe_dump(shown, sort_keys=True, allow_unicode=True)
    return msgspec.json.format(msgspec.json.encode(shown), indent=2).decode() + "\n"


def aligned(rows: Sequence[Sequence[str]], *, min_width: int = 0, padding: int = 2) -> list[str]:
    """Rows as lines whose cells begin at the same places."""
    widths: dict[int, int] = {}
    for row in rows:
        for number, cell in enumerate(row):
            widths[number] = max(widths.get(number, min_width - padding), len(cell))
    return ["".join(cell.ljust(widths[number] + padding) for number, cell in enumerate(row)).rstrip() for row in rows]


def joined(pairs: Mapping[str, str]) -> str:
    """`a=b,c=d`, sorted."""
    return ",".join(f"{key}={value}" for key, value in sorted(pairs.items())) or NONE
