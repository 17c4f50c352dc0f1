"""What differs between a volume before and after, and how much was compared.

Everything about the root directory is one kind of its own, because restic does not keep it and Ark must.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from hack.demo_listing import ROOT_NAMES, Entry, Listing

SMALLEST_HOLE = 1 << 20


class Kind(StrEnum):
    """What is different."""

    MISSING = "missing"
    EXTRA = "extra"
    TYPE = "type"
    MODE = "mode"
    OWNER = "owner"
    MTIME = "mtime"
    LINK = "link"
    HARDLINK = "hardlink"
    CONTENT = "content"
    XATTR = "xattr"
    HOLE = "hole"
    ROOT = "root"
    OBJECT = "object"


@dataclass(frozen=True, slots=True, order=True)
class Difference:
    """One thing that is not as it was."""

    kind: Kind
    name: str
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.name}: {self.before} → {self.after}"


def compare(before: Listing, after: Listing) -> list[Difference]:
    """Returns every difference between two listings, sorted; none means that the volume is as it was."""
    found = [
        *_entries(before.entries, after.entries),
        *_values(Kind.CONTENT, before.contents, after.contents),
        *_values(Kind.XATTR, _flat(before.attributes), _flat(after.attributes)),
        *_holes(before, after),
    ]
    return sorted(found)


def _entries(before: Mapping[str, Entry], after: Mapping[str, Entry]) -> Iterator[Difference]:
    for name in before.keys() | after.keys():
        old, new = before.get(name), after.get(name)
        if old is None:
            yield Difference(Kind.EXTRA, name, "-", "there")
        elif new is None:
            yield Difference(Kind.MISSING, name, "there", "-")
        else:
            yield from _entry(name, old, new)


def _entry(name: str, old: Entry, new: Entry) -> Iterator[Difference]:
    pairs = [
        (Kind.TYPE, f"{old.kind} {old.device}", f"{new.kind} {new.device}"),
        (Kind.MODE, old.mode, new.mode),
        (Kind.OWNER, old.owner, new.owner),
        (Kind.MTIME, old.mtime, new.mtime),
        (Kind.LINK, old.target, new.target),
        (Kind.CONTENT, f"{old.size} bytes", f"{new.size} bytes"),
    ]
    if old.kind != "d":
        links = f"{old.links} names, group {old.group}", f"{new.links} names, group {new.group}"
        pairs.append((Kind.HARDLINK, *links))
    for kind, was, is_now in pairs:
        if was != is_now:
            yield Difference(Kind.ROOT if name in ROOT_NAMES else kind, name, was, is_now)


def _values(kind: Kind, before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[Difference]:
    for name in before.keys() | after.keys():
        was, is_now = before.get(name, "-"), after.get(name, "-")
        if was != is_now:
            is_root = name.partition(" ")[0] in ROOT_NAMES
            yield Difference(Kind.ROOT if is_root else kind, name, was, is_now)


def _flat(attributes: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    return {f"{name} {key}": value for name, values in attributes.items() for key, value in values.items()}


def _holes(before: Listing, after: Listing) -> Iterator[Difference]:
    """A file that had a large hole must have at least half of it: restic's pieces end where they like."""
    for name, old in before.allocations.items():
        new = after.allocations.get(name)
        if new and old.hole >= SMALLEST_HOLE and new.hole < old.hole // 2:
            yield Difference(Kind.HOLE, name, f"{old.allocated} bytes on disk", f"{new.allocated} bytes on disk")


def counts(listing: Listing) -> dict[str, int]:
    """How much a comparison with this listing has looked at, by what a person would ask about."""
    kinds = Counter(entry.kind for entry in listing.entries.values())
    files = [entry for entry in listing.entries.values() if entry.kind == "-"]
    return {
        "entries (owner, mode, mtime)": len(listing.entries),
        "directories": kinds["d"],
        "symbolic links": kinds["l"],
        "named pipes": kinds["p"],
        "files (content by SHA-256)": len(listing.contents),
        "bytes of content": sum(int(entry.size) for entry in files),
        "groups of hard links": len({entry.group for entry in files} - {"-"}),
        "files with large holes": sum(one.hole >= SMALLEST_HOLE for one in listing.allocations.values()),
        "extended attributes": sum(len(values) for values in listing.attributes.values()),
        "different owners": len({entry.owner for entry in listing.entries.values()}),
    }
