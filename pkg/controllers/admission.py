"""Which captures are created next: the server admits by creating (design.md invariant 4).

Limits hold per repository and for the whole cluster; among namespaces the one with the fewest running goes first,
so that a namespace with a thousand volumes does not starve one with two.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

PER_REPOSITORY = 4
WHOLE_CLUSTER = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A capture that waits, or one that runs."""

    name: str
    repository: str


def admit(
    waiting: Sequence[Candidate],
    running: Iterable[Candidate],
    *,
    per_repository: int = PER_REPOSITORY,
    whole_cluster: int = WHOLE_CLUSTER,
) -> list[Candidate]:
    """The candidates to create now, in the order to create them; within a repository first come, first served."""
    in_use = Counter(candidate.repository for candidate in running)
    free = whole_cluster - in_use.total()
    queues: dict[str, list[Candidate]] = {}
    for candidate in waiting:
        queues.setdefault(candidate.repository, []).append(candidate)
    admitted: list[Candidate] = []
    while free > 0:
        open_queues = [name for name, queue in queues.items() if queue and in_use[name] < per_repository]
        if not open_queues:
            break
        name = min(open_queues, key=lambda queue: in_use[queue])
        admitted.append(queues[name].pop(0))
        in_use[name] += 1
        free -= 1
    return admitted
