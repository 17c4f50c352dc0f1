"""Which captures are created next: the server admits by creating (design.md invariant 4).

Limits hold per repository and for the whole cluster; among namespaces the one with the fewest running goes first,
so that a namespace with a thousand volumes does not starve one with two. The volumes of a pod that is to be frozen
are admitted together or not at all: those that are there wait for the others, and the pod is frozen for all of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass

PER_REPOSITORY = 4
WHOLE_CLUSTER = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A capture that waits, or one that runs.

    Attributes:
        group: What must be admitted together; empty for a capture that stands alone.
    """

    name: str
    repository: str
    group: str = ""


def admit(
    waiting: Sequence[Candidate],
    running: Iterable[Candidate],
    *,
    per_repository: int = PER_REPOSITORY,
    whole_cluster: int = WHOLE_CLUSTER,
    closed: Container[str] = frozenset(),
) -> list[Candidate]:
    """The candidates to create now, in the order to create them; within a repository first come, first served.

    Nothing begins in a closed repository; a group that has begun there is completed, because its pod may be frozen.
    """
    running = tuple(running)
    begun = {candidate.group for candidate in running} - {""}
    admitted = [candidate for candidate in waiting if candidate.group in begun]
    in_use = Counter(candidate.repository for candidate in (*running, *admitted))
    free = whole_cluster - in_use.total()
    queues = _queues(candidate for candidate in waiting if candidate.group not in begun)
    while True:
        open_queues = [
            name
            for name, queue in queues.items()
            if queue
            and name not in closed
            and in_use[name] + min(len(queue[0]), per_repository) <= per_repository
            and min(len(queue[0]), whole_cluster) <= free
        ]
        if not open_queues:
            return admitted
        name = min(open_queues, key=lambda queue: in_use[queue])
        unit = queues[name].pop(0)
        admitted += unit
        in_use[name] += len(unit)
        free -= len(unit)


def _queues(waiting: Iterable[Candidate]) -> dict[str, list[list[Candidate]]]:
    """By repository, what is admitted together, in the order of the first of each."""
    units: dict[tuple[str, str], list[Candidate]] = {}
    for candidate in waiting:
        units.setdefault((candidate.repository, candidate.group or f"alone {candidate.name}"), []).append(candidate)
    queues: dict[str, list[list[Candidate]]] = {}
    for (repository, _), unit in units.items():
        queues.setdefault(repository, []).append(unit)
    return queues
