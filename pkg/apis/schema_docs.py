"""The descriptions in a schema come from the docstrings, so that `kubectl explain` says what the code says."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass

_ATTRIBUTE = re.compile(r"^    ([a-z0-9_]+): (.*)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Docs:
    """A class's first paragraph and its `Attributes:` section, by Python field name."""

    summary: str
    fields: dict[str, str]


def docs_of(cls: type) -> Docs:
    """Reads a google-style docstring; the attributes of parent classes count where the class is silent."""
    fields: dict[str, str] = {}
    for parent in reversed(cls.__mro__):
        fields |= _attributes(_own_text(parent))
    summary = " ".join(_own_text(cls).split("\n\n")[0].split())
    return Docs(summary=summary, fields=fields)


def _own_text(cls: type) -> str:
    return inspect.cleandoc(cls.__dict__.get("__doc__") or "")


def _attributes(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    name = ""
    _, _, section = text.partition("Attributes:\n")
    for line in section.splitlines():
        if not line.startswith("    "):
            break
        begins = _ATTRIBUTE.match(line)
        if begins:
            name = begins[1]
            found[name] = begins[2]
        elif name:
            found[name] += " " + line.strip()
    return found
