"""Several backups at once share limits and turns, and nobody takes a place twice."""

from __future__ import annotations

import dataclasses

from pkg.apis.meta import ObjectMeta
from pkg.apis.names import BACKUP_UID_LABEL
from pkg.apis.volumes import (
    PodVolumeBackup,
    PodVolumeBackupSpec,
    PodVolumeBackupStatus,
    PodVolumeRestore,
    PodVolumeRestoreSpec,
    PodVolumeRestoreStatus,
)
from pkg.controllers.admission import Candidate
from pkg.controllers.admission_desk import SILENT_SECONDS, AdmissionDesk, Admitted
from pkg.controllers.limits import ClusterLimits
from pkg.testing.fakeclock import FakeClock
from pkg.testing.fakes import FakeLister

NAMESPACE = "heptio-ark"


def wants(backup: str, *numbers: int, repository: str = "app") -> list[Candidate]:
    names = [f"{backup}{number}" for number in numbers]
    return [Candidate(name=name, repository=repository, backup=backup, node=f"node of {name}") for name in names]


class World:
    """A server with caches that lag behind as a test likes."""

    def __init__(self, *, per_repository: int = 4, whole_cluster: int = 32) -> None:
        self.captures: FakeLister[PodVolumeBackup] = FakeLister()
        self.fillings: FakeLister[PodVolumeRestore] = FakeLister()
        self.limits = ClusterLimits(per_repository=per_repository, whole_cluster=whole_cluster)
        self.closed: set[str] = set()
        self.clock = FakeClock()
        self.desk = AdmissionDesk(
            self.captures,
            self.fillings,
            namespace=NAMESPACE,
            limits=lambda: self.limits,
            is_closed=lambda repository: repository in self.closed,
            clock=self.clock,
        )

    def show(self, candidate: Candidate, phase: str = "InProgress") -> None:
        """Lets the cache show a capture."""
        metadata = ObjectMeta(name=candidate.name, namespace=NAMESPACE, labels={BACKUP_UID_LABEL: candidate.backup})
        spec = PodVolumeBackupSpec(repository=candidate.repository)
        self.captures.put(PodVolumeBackup(metadata=metadata, spec=spec, status=PodVolumeBackupStatus(phase=phase)))

    def restore(self, repository: str, phase: str = "InProgress") -> None:
        metadata = ObjectMeta(name=f"r-{repository}", namespace=NAMESPACE)
        spec = PodVolumeRestoreSpec(repository=repository)
        self.fillings.put(PodVolumeRestore(metadata=metadata, spec=spec, status=PodVolumeRestoreStatus(phase=phase)))

    def ask(self, backup: str, waiting: list[Candidate], running: list[Candidate] | None = None) -> list[str]:
        return sorted(self.desk.ask(backup, waiting, running or []).names)


def test_what_one_backup_was_admitted_counts_before_the_cache_shows_it() -> None:
    world = World(whole_cluster=3)
    assert world.ask("a", wants("a", 1, 2)) == ["a1", "a2"]
    assert world.ask("b", wants("b", 1, 2)) == ["b1"]


def test_a_capture_counts_once_when_the_cache_shows_it_too() -> None:
    world = World(whole_cluster=3)
    world.ask("a", wants("a", 1, 2))
    world.show(wants("a", 1)[0])
    assert world.ask("b", wants("b", 1, 2)) == ["b1"]


def test_what_the_cache_shows_as_ended_makes_room_at_once() -> None:
    world = World(whole_cluster=2)
    world.ask("a", wants("a", 1, 2))
    world.show(wants("a", 1)[0], "Completed")
    assert world.ask("b", wants("b", 1, 2)) == ["b1"]


def test_a_place_that_comes_free_is_the_other_backups_turn() -> None:
    world = World(per_repository=2)
    assert world.ask("a", wants("a", 1, 2, 3, 4)) == ["a1", "a2"]
    assert world.ask("b", wants("b", 1, 2)) == []
    world.show(wants("a", 1)[0], "Completed")
    assert world.ask("a", wants("a", 3, 4), wants("a", 2)) == []
    assert world.ask("b", wants("b", 1, 2)) == ["b1"]


def test_a_backup_that_leaves_takes_no_more_turns() -> None:
    world = World(per_repository=1)
    world.ask("a", wants("a", 1))
    world.ask("b", wants("b", 1))
    assert world.desk.waiting == 1
    world.show(wants("a", 1)[0], "Completed")
    world.desk.leave("a")
    world.desk.leave("b")
    assert world.ask("c", wants("c", 1)) == ["c1"]


def test_a_backup_that_is_silent_for_a_minute_holds_nobody_back() -> None:
    world = World(whole_cluster=1)
    world.ask("a", wants("a", 1, repository="x"))
    world.ask("b", wants("b", 1, repository="y"))
    world.show(wants("a", 1, repository="x")[0], "Completed")
    assert world.ask("c", wants("c", 1, repository="z")) == []
    world.clock.advance(SILENT_SECONDS + 1)
    assert world.ask("c", wants("c", 1, repository="z")) == ["c1"]


def test_after_a_restart_what_runs_is_read_from_the_objects() -> None:
    world = World(per_repository=2)
    for candidate in wants("before", 1, 2):
        world.show(candidate)
    assert world.ask("a", wants("a", 1)) == []


def test_raised_and_lowered_limits_count_at_the_next_question() -> None:
    world = World(per_repository=1)
    assert world.ask("a", wants("a", 1, 2, 3)) == ["a1"]
    world.limits = ClusterLimits(per_repository=2, whole_cluster=32)
    assert world.ask("a", wants("a", 2, 3), wants("a", 1)) == ["a2"]
    world.limits = ClusterLimits(per_repository=1, whole_cluster=32)
    assert world.ask("a", wants("a", 3), wants("a", 1, 2)) == []


def test_new_backups_of_a_repository_wait_while_it_is_restored() -> None:
    world = World()
    world.restore("app")
    found = world.desk.ask("a", wants("a", 1) + wants("a", 2, repository="other"), [])
    assert found == Admitted(names=frozenset({"a2"}), restoring=frozenset({"app"}))
    world.restore("app", "Completed")
    assert world.ask("a", wants("a", 1)) == ["a1"]


def test_a_backup_that_waits_for_maintenance_takes_no_place_from_others() -> None:
    world = World(whole_cluster=1)
    world.closed = {"app"}
    assert world.ask("a", wants("a", 1)) == []
    assert world.ask("b", wants("b", 1, repository="other")) == ["b1"]


def test_a_node_gets_more_when_its_agent_takes_on_what_it_has() -> None:
    world = World(per_repository=9)
    waiting = [dataclasses.replace(one, node="n1") for one in wants("a", *range(9))]
    assert world.ask("a", waiting) == ["a0", "a1", "a2", "a3"]
    assert world.ask("a", waiting[4:], waiting[:4]) == []
    for one in waiting[:2]:
        world.show(one)
    assert world.ask("a", waiting[4:], waiting[:4]) == ["a4", "a5"]
