"""The text that hack/demo/listing.sh prints, as values.

Each tool of that script quotes names in its own way, so every section is keyed by its own spelling of a name;
the two listings that are compared come from the same script and agree.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

ROOT_NAMES = frozenset({".", "'.'"})


class ListingError(Exception):
    """The text is not a whole listing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What stat says about one name; `group` numbers the names of one inode, `-` where it has one name."""

    mode: str
    owner: str
    mtime: str
    links: str
    group: str
    size: str
    device: str
    target: str

    @property
    def kind(self) -> str:
        """The first letter of `ls -l`: d, l, p, - and so on."""
        return self.mode[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation:
    """Bytes on disk beside bytes in the file."""

    allocated: int
    size: int

    @property
    def hole(self) -> int:
        """Bytes that are not on disk."""
        return max(0, self.size - self.allocated)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Everything that was found below one directory."""

    entries: Mapping[str, Entry]
    contents: Mapping[str, str]
    attributes: Mapping[str, Mapping[str, str]]
    allocations: Mapping[str, Allocation]


def parse(text: str) -> Listing:
    """Parse a whole listing.

    Raises:
        ListingError: when a section is missing, so that a script that died is not taken for an empty volume.
    """
    sections = _sections(text)
    if missing := {"entries", "contents", "attributes", "allocated", "end"} - set(sections):
        raise ListingError(f"the listing lacks {', '.join(sorted(missing))}")
    return Listing(
        entries=dict(_entry(line) for line in sections["entries"]),
        contents={name: digest for digest, _, name in (line.partition("  ") for line in sections["contents"])},
        attributes=_attributes(sections["attributes"]),
        allocations=dict(_allocation(line) for line in sections["allocated"]),
    )


def _sections(text: str) -> dict[str, list[str]]:
    sections: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in text.split("\n"):
        if line.startswith("== "):
            lines = sections.setdefault(line.removeprefix("== ").partition(":")[0], [])
        elif line:
            lines.append(line)
    return sections


def _entry(line: str) -> tuple[str, Entry]:
    fields = line.split("\t")
    if len(fields) != 8:
        raise ListingError(f"not an entry: {line!r}")
    mode, owner, mtime, links, group, size, device, name = fields
    target = ""
    if mode.startswith("l"):
        name, _, target = name.partition(" -> ")
    return name, Entry(
        mode=mode, owner=owner, mtime=mtime, links=links, group=group, size=size, device=device, target=target
    )


def _attributes(lines: list[str]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    current: dict[str, str] = {}
    for line in lines:
        if line.startswith("# file: "):
            current = found.setdefault(line.removeprefix("# file: "), {})
        else:
            name, _, value = line.partition("=")
            current[name] = value
    return found


def _allocation(line: str) -> tuple[str, Allocation]:
    allocated, size, name = line.split("\t", 2)
    return name, Allocation(allocated=int(allocated), size=int(size))
