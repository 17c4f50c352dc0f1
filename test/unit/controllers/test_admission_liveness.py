"""Whatever waits is admitted in the end, and no limit is ever exceeded but by a pod that is larger than it."""

from __future__ import annotations

import dataclasses
import random

import pytest

from pkg.controllers.admission import AHEAD_OF_A_NODE, Candidate, admit

SLOTS = 2


class Cluster:
    """Backups, nodes and repositories of one random world; every step some capture ends."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.per_repository = self.random.randint(1, 4)
        self.whole_cluster = self.random.randint(1, 8)
        self.waiting = self._pods(self.random.randint(1, 25))
        self.running: list[Candidate] = []

    def _pods(self, count: int) -> list[Candidate]:
        return [one for number in range(count) for one in self._pod(number)]

    def _pod(self, number: int) -> list[Candidate]:
        frozen = self.random.random() < 0.3
        pod = Candidate(
            name="",
            repository=f"r{self.random.randint(0, 3)}",
            backup=f"b{self.random.randint(0, 2)}",
            node=f"n{self.random.randint(0, 2)}",
            group=f"pod{number}" if frozen else "",
        )
        return [
            dataclasses.replace(pod, name=f"{number}-{index}")
            for index in range(self.random.randint(1, 6) if frozen else 1)
        ]

    def admit(self) -> None:
        found = admit(self.waiting, self.running, per_repository=self.per_repository, whole_cluster=self.whole_cluster)
        self.waiting = [one for one in self.waiting if one not in found]
        self.running += found

    def agents_take_slots(self) -> None:
        """Each node works on a few at once, a pod that is frozen as one."""
        for node in {one.node for one in self.running}:
            own = [one for one in self.running if one.node == node]
            units = sorted({one.unit for one in own if not one.has_slot})
            free = SLOTS - len({one.unit for one in own if one.has_slot})
            taken = set(units[: max(0, free)])
            self.running = [
                dataclasses.replace(one, has_slot=one.has_slot or (one.node == node and one.unit in taken))
                for one in self.running
            ]

    def one_ends(self) -> None:
        ended = self.random.choice([one for one in self.running if one.has_slot])
        self.running.remove(ended)

    def units(self, key: str, value: str) -> list[int]:
        """The sizes of what runs, pod by pod, in one repository or in all."""
        running = [one for one in self.running if not key or getattr(one, key) == value]
        sizes: dict[object, int] = {}
        for one in running:
            sizes[one.unit] = sizes.get(one.unit, 0) + 1
        return list(sizes.values())

    def check(self) -> None:
        for repository in {one.repository for one in self.running}:
            sizes = self.units("repository", repository)
            assert sum(sizes) <= self.per_repository or len(sizes) == 1
        sizes = self.units("", "")
        assert sum(sizes) <= self.whole_cluster or len(sizes) == 1
        for node in {one.node for one in self.running}:
            assert len({one.unit for one in self.running if one.node == node and not one.has_slot}) <= AHEAD_OF_A_NODE


@pytest.mark.parametrize("seed", range(100))
def test_everything_is_admitted_in_the_end_within_the_limits(seed: int) -> None:
    cluster = Cluster(seed)
    steps = len(cluster.waiting)
    for _ in range(steps + 1):
        cluster.admit()
        cluster.check()
        cluster.agents_take_slots()
        if cluster.running:
            cluster.one_ends()
    assert cluster.waiting == []
