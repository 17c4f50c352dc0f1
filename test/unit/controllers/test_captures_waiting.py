"""Captures of a repository that is being restored wait, and people are told for what."""

from __future__ import annotations

from pkg.apis.ark import Backup
from pkg.apis.core import Node, Pod, PodCondition, PodSpec, PodStatus
from pkg.apis.meta import ObjectMeta, ObjectReference
from pkg.apis.volumes import (
    PodVolumeBackup,
    PodVolumeBackupSpec,
    PodVolumeBackupStatus,
    PodVolumeRestore,
    PodVolumeRestoreSpec,
    PodVolumeRestoreStatus,
)
from pkg.controllers.admission_desk import AdmissionDesk
from pkg.controllers.captures import WAITING_FOR_RESTORE, Captures
from pkg.controllers.change_signal import ChangeSignal
from pkg.controllers.limits import DEFAULT_LIMITS
from pkg.controllers.nodes import NodeAgents
from pkg.kube.refs import POD_VOLUME_BACKUPS
from pkg.kube.stop import StopToken
from pkg.testing.fakeapi import FakeApi
from pkg.testing.fakeclock import FakeClock
from pkg.testing.fakes import FakeLister

NAMESPACE = "heptio-ark"


def restore_of(repository: str) -> PodVolumeRestore:
    return PodVolumeRestore(
        metadata=ObjectMeta(name="r1", namespace=NAMESPACE),
        spec=PodVolumeRestoreSpec(repository=repository),
        status=PodVolumeRestoreStatus(phase="InProgress"),
    )


def spec(repository: str) -> PodVolumeBackupSpec:
    pod = ObjectReference(kind="Pod", namespace=repository, name="web", uid=repository)
    return PodVolumeBackupSpec(node="n1", pod=pod, volume="data", repository=repository)


class World:
    """One backup, one node, and a restore of the repository `app` that ends in the third round."""

    def __init__(self) -> None:
        self.api, self.clock, self.changes = FakeApi(), FakeClock(), ChangeSignal()
        self.shown: FakeLister[PodVolumeBackup] = FakeLister()
        self.fillings = FakeLister([restore_of("app")])
        self.told: list[tuple[str, str]] = []
        self.created: list[list[str]] = []
        self.desk = AdmissionDesk(
            self.shown,
            self.fillings,
            namespace=NAMESPACE,
            limits=lambda: DEFAULT_LIMITS,
            is_closed=lambda repository: False,
            clock=self.clock,
        )
        self.captures = Captures(
            Backup(metadata=ObjectMeta(name="nightly", namespace=NAMESPACE, uid="backup-1")),
            self.api.client,
            self.shown,
            agents=self._agents(),
            changes=self.changes,
            clock=self.clock,
            desk=self.desk,
            on_waiting=lambda reason, message: self.told.append((reason, message)),
        )

    def _agents(self) -> NodeAgents:
        agent = Pod(
            metadata=ObjectMeta(name="restic-n1", namespace=NAMESPACE),
            spec=PodSpec(node_name="n1"),
            status=PodStatus(conditions=(PodCondition(type="Ready", status="True"),)),
        )
        nodes = FakeLister([Node(metadata=ObjectMeta(name="n1"))])
        return NodeAgents(
            NAMESPACE,
            nodes=nodes,
            daemon_sets=FakeLister(),
            agent_pods=FakeLister([agent]),
            clock=self.clock,
            look=lambda name: Node(metadata=ObjectMeta(name=name)),
        )

    def round(self, statuses: object) -> None:
        found = self.api.client.list(POD_VOLUME_BACKUPS, NAMESPACE, PodVolumeBackup)
        self.created.append(sorted(obj.metadata.name for obj in found))
        assert len(self.created) < 20, "nothing moves any more"
        for obj in found:
            done = PodVolumeBackupStatus(phase="Completed", snapshot_id="s")
            self.shown.put(PodVolumeBackup(metadata=obj.metadata, spec=obj.spec, status=done))
        if len(self.created) == 2:
            self.fillings.remove(NAMESPACE, "r1")
        self.changes.raise_()


def test_new_captures_of_a_repository_wait_for_its_restore_and_say_so_once() -> None:
    world = World()
    for name, repository in (("c1", "app"), ("c2", "app"), ("c3", "other")):
        world.captures.want(name, spec(repository))
    results = world.captures.wait(StopToken(), world.round)
    assert {one.phase for one in results.values()} == {"Completed"}
    assert world.created[:3] == [["c3"], ["c3"], ["c1", "c2", "c3"]]
    ((reason, message),) = world.told
    assert reason == WAITING_FOR_RESTORE
    assert "repository app" in message


def test_a_backup_that_is_over_leaves_the_desk() -> None:
    world, stop = World(), StopToken()
    waiting: list[int] = []

    def ends(statuses: object) -> None:
        waiting.append(world.desk.waiting)
        stop.cancel("shutdown")

    world.captures.want("c1", spec("app"))
    world.captures.wait(stop, ends)
    assert (waiting, world.desk.waiting) == ([1], 0)
