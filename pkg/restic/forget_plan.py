"""Which snapshots a queue of ids means, decided before anything is forgotten.

A queue holds full ids, and 0.9's of 8 digits. A short id is taken only where exactly one snapshot begins with it and
its tag `ns`, which 0.9 wrote too, names the repository's namespace. What is not clear is left alone and said.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pkg.restic.messages import Snapshot

_FULL = 64
_ID = re.compile(r"[0-9a-f]{8,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetPlan:
    """What becomes of each entry of a queue.

    Attributes:
        forget: Entry to the full id of the snapshot that it means.
        gone: Entries whose snapshot is not in the repository.
        refused: Entry to the reason why it is left alone.
    """

    forget: Mapping[str, str] = field(default_factory=dict)
    gone: tuple[str, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)

    def settled(self, still_there: Iterable[str]) -> frozenset[str]:
        """The entries that are done with, given the ids that are still in the repository."""
        left = set(still_there)
        return frozenset(self.gone) | {entry for entry, full in self.forget.items() if full not in left}


def plan_forget(queue: Sequence[str], snapshots: Sequence[Snapshot], namespace: str) -> ForgetPlan:
    """Sorts a queue.

    Args:
        queue: The entries.
        snapshots: All of the repository.
        namespace: Whose volumes the repository holds.
    """
    forget: dict[str, str] = {}
    gone: list[str] = []
    refused: dict[str, str] = {}
    full_ids = {one.id for one in snapshots}
    for entry in dict.fromkeys(queue):
        found = [one for one in snapshots if one.id.startswith(entry)] if len(entry) < _FULL else []
        if not _ID.fullmatch(entry):
            refused[entry] = "is no snapshot id"
        elif entry in full_ids:
            forget[entry] = entry
        elif not found:
            gone.append(entry)
        elif len(found) > 1:
            refused[entry] = f"could be any of {len(found)} snapshots"
        elif found[0].tag("ns") != namespace:
            refused[entry] = f"is a snapshot of namespace {found[0].tag('ns') or '(none)'}, not of {namespace}"
        else:
            forget[entry] = found[0].id
    return ForgetPlan(forget=forget, gone=tuple(gone), refused=refused)
