"""Which captures are created next: the server admits by creating (design.md invariant 4).

Limits hold per repository and for the whole cluster, for all backups together. Among namespaces the one with the
fewest running goes first, so that a namespace with a thousand volumes does not starve one with two; within a namespace
the backup with the fewest. The volumes of a pod that is to be frozen are admitted together or not at all: those that
are there wait for the others, and the pod is frozen for all of them. Who is next and does not fit is waited for, so
that a large pod is not overtaken for ever. Only a few are created ahead of a node's slots: a node that is busy for
hours must not hold the places of the whole cluster.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

PER_REPOSITORY = 4
WHOLE_CLUSTER = 32
AHEAD_OF_A_NODE = 4  # as many as have slots by default: they begin without a word of the server's


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A capture that waits, or one that runs.

    Attributes:
        backup: UID of the Backup that wants it.
        group: What must be admitted together; empty for a capture that stands alone.
        has_slot: Its agent has taken it on.
    """

    name: str
    repository: str
    backup: str = ""
    node: str = ""
    group: str = ""
    has_slot: bool = False

    @property
    def unit(self) -> UnitKey:
        """What it is admitted with: a pod of its backup, or itself alone."""
        return self.backup, self.group, "" if self.group else self.name


UnitKey = tuple[str, str, str]
Unit = list[Candidate]


def admit(
    waiting: Sequence[Candidate],
    running: Iterable[Candidate],
    *,
    per_repository: int = PER_REPOSITORY,
    whole_cluster: int = WHOLE_CLUSTER,
    closed: Container[str] = frozenset(),
) -> list[Candidate]:
    """The candidates to create now, in the order to create them.

    Nothing begins in a closed repository; a group that has begun there is completed, because its pod may be frozen.

    Args:
        waiting: Of all backups, the oldest backup's first; of one backup and repository, first come, first served.
        running: What was created and has no result yet.
        per_repository: How many may run in one repository; a larger pod has it to itself.
        whole_cluster: How many may run altogether; a larger pod has the cluster to itself.
        closed: Repositories in which nothing new begins.
    """
    running = tuple(running)
    begun = {candidate.unit for candidate in running if candidate.group}
    admitted = [candidate for candidate in waiting if candidate.group and candidate.unit in begun]
    load = _Load()
    load.add([*running, *admitted])
    if load.total >= whole_cluster:
        return admitted
    lines = _lines(one for one in waiting if one.repository not in closed and not (one.group and one.unit in begun))
    heads = [unit for line in lines.values() if (unit := line.head(load)) is not None]
    while True:
        open_heads = [unit for unit in heads if load.fits_repository(unit, per_repository)]
        taken = min(open_heads, key=load.rank, default=None)
        if taken is None or not load.fits_cluster(taken, whole_cluster):
            return admitted
        lines[taken[0].repository].take(taken)
        admitted += taken
        load.add(taken)
        heads = list(_heads_after(taken, heads, lines, load))


def _heads_after(taken: Unit, heads: Sequence[Unit], lines: Mapping[str, _Line], load: _Load) -> Iterator[Unit]:
    """The heads of all lines; only those that the last one changed are looked for again."""
    for unit in heads:
        if unit is taken or not load.fits_node(unit):
            head = lines[unit[0].repository].head(load)
            if head is not None:
                yield head
        else:
            yield unit


@dataclass(slots=True)
class _Load:
    """What runs where."""

    total: int = 0
    by_repository: Counter[str] = field(default_factory=Counter)
    by_node: Counter[str] = field(default_factory=Counter)
    ahead: dict[str, set[UnitKey]] = field(default_factory=dict)
    by_backup: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, candidates: Sequence[Candidate]) -> None:
        self.total += len(candidates)
        for one in candidates:
            self.by_repository[one.repository] += 1
            self.by_node[one.node] += 1
            if not one.has_slot:
                self.ahead.setdefault(one.node, set()).add(one.unit)
            self.by_backup[one.repository, one.backup] += 1

    def rank(self, unit: Unit) -> tuple[int, int]:
        """The namespace with the fewest goes first, and among equals the node with the fewest."""
        return self.by_repository[unit[0].repository], self.by_node[unit[0].node]

    def fits_node(self, unit: Unit) -> bool:
        return len(self.ahead.get(unit[0].node, ())) < AHEAD_OF_A_NODE  # a pod needs one slot, however many its volumes

    def fits_repository(self, unit: Unit, limit: int) -> bool:
        return self.by_repository[unit[0].repository] + min(len(unit), limit) <= limit

    def fits_cluster(self, unit: Unit, limit: int) -> bool:
        return self.total + min(len(unit), limit) <= limit


@dataclass(slots=True)
class _Line:
    """Who waits for one repository, by backup."""

    by_backup: dict[str, list[Unit]] = field(default_factory=dict)

    def head(self, load: _Load) -> Unit | None:
        """Whose turn it is: of the backup with the fewest running here, among equals of the first."""
        firsts = (next(filter(load.fits_node, units), None) for units in self.by_backup.values())
        waiting = [unit for unit in firsts if unit is not None]
        return min(waiting, key=lambda unit: load.by_backup[unit[0].repository, unit[0].backup], default=None)

    def take(self, unit: Unit) -> None:
        self.by_backup[unit[0].backup].remove(unit)


def _lines(waiting: Iterable[Candidate]) -> dict[str, _Line]:
    """By repository, what is admitted together, in the order of the first of each."""
    units: dict[tuple[str, UnitKey], Unit] = {}
    for candidate in waiting:
        units.setdefault((candidate.repository, candidate.unit), []).append(candidate)
    lines: dict[str, _Line] = {}
    for (repository, (backup, _, _)), unit in units.items():
        lines.setdefault(repository, _Line()).by_backup.setdefault(backup, []).append(unit)
    return lines
