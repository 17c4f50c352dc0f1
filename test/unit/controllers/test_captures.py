"""The captures of a backup: created when admitted, adopted when they are ours, watched until each has a result."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pkg.apis.ark import Backup
from pkg.apis.core import DaemonSet, Node, Pod, PodCondition, PodSpec, PodStatus
from pkg.apis.meta import JsonObject, ObjectMeta, ObjectReference
from pkg.apis.reasons import Reason
from pkg.apis.volumes import PodVolumeBackup, PodVolumeBackupSpec, PodVolumeBackupStatus, VolumeSource
from pkg.controllers.admission import PER_REPOSITORY, WHOLE_CLUSTER
from pkg.controllers.admission_desk import AdmissionDesk
from pkg.controllers.captures import CANCEL_WAIT_SECONDS, Captures
from pkg.controllers.change_signal import ChangeSignal
from pkg.controllers.limits import ClusterLimits
from pkg.controllers.nodes import NodeAgents
from pkg.kube.refs import NODES, POD_VOLUME_BACKUPS
from pkg.kube.stop import StopToken
from pkg.testing.fakeapi import FakeApi
from pkg.testing.fakeclock import FakeClock
from pkg.testing.fakes import FakeLister

NAMESPACE = "heptio-ark"
MAX_ROUNDS = 20
Statuses = Mapping[str, PodVolumeBackupStatus]


def spec(pod_uid: str = "pod-1", repository: str = "app", node: str = "n1") -> PodVolumeBackupSpec:
    return PodVolumeBackupSpec(
        node=node,
        pod=ObjectReference(kind="Pod", namespace="app", name="web", uid=pod_uid),
        volume="data",
        repository=repository,
        source=VolumeSource(claim_uid="claim-1"),
    )


def agent_pod(node: str) -> Pod:
    status = PodStatus(conditions=(PodCondition(type="Ready", status="True"),))
    return Pod(
        metadata=ObjectMeta(name=f"restic-{node}", namespace=NAMESPACE), spec=PodSpec(node_name=node), status=status
    )


class World:
    """One backup with one node; `each_round` plays the cluster whenever the server looked."""

    def __init__(self, api: FakeApi | None = None) -> None:
        self.api = api or FakeApi()
        self.clock = FakeClock()
        self.stop = StopToken()
        self.changes = ChangeSignal()
        self.lister: FakeLister[PodVolumeBackup] = FakeLister()
        self.nodes = FakeLister([Node(metadata=ObjectMeta(name="n1"))])
        self.limits = ClusterLimits(per_repository=PER_REPOSITORY, whole_cluster=WHOLE_CLUSTER)
        self.rounds: list[Statuses] = []
        self.each_round: Callable[[], None] = self.complete_all
        self.agents = NodeAgents(
            NAMESPACE,
            nodes=self.nodes,
            daemon_sets=FakeLister([DaemonSet(metadata=ObjectMeta(name="restic", namespace=NAMESPACE))]),
            agent_pods=FakeLister([agent_pod("n1")]),
            look=lambda name: self.api.client.get(NODES, "", name, Node),
            clock=self.clock,
        )
        self.use(self.changes)

    def use(self, changes: ChangeSignal) -> None:
        backup = Backup(metadata=ObjectMeta(name="nightly", namespace=NAMESPACE, uid="backup-1"))
        desk = AdmissionDesk(
            self.lister,
            FakeLister(),
            namespace=NAMESPACE,
            limits=lambda: self.limits,
            is_closed=lambda repository: False,
            clock=self.clock,
        )
        self.captures = Captures(
            backup,
            self.api.client,
            self.lister,
            agents=self.agents,
            changes=changes,
            clock=self.clock,
            desk=desk,
        )

    def sync(self) -> None:
        """Lets the cache catch up."""
        found = self.api.client.list(POD_VOLUME_BACKUPS, NAMESPACE, PodVolumeBackup)
        self.lister.objects = {obj.metadata.key: obj for obj in found}
        self.changes.raise_()

    def set_status(self, name: str, **status: str) -> None:
        change: JsonObject = {"status": {**status}}
        self.api.client.patch_raw(POD_VOLUME_BACKUPS, NAMESPACE, name, change, subresource="status")

    def complete_all(self) -> None:
        for obj in self.api.client.list(POD_VOLUME_BACKUPS, NAMESPACE, PodVolumeBackup):
            self.set_status(obj.metadata.name, phase="Completed", snapshotID=f"s-{obj.metadata.name}")
        self.sync()

    def wait(self) -> dict[str, PodVolumeBackupStatus]:
        return self.captures.wait(self.stop, self._on_change)

    def _on_change(self, statuses: Statuses) -> None:
        self.rounds.append(dict(statuses))
        assert len(self.rounds) <= MAX_ROUNDS, "nothing moves any more"
        self.each_round()

    def names(self) -> list[str]:
        found = self.api.client.list(POD_VOLUME_BACKUPS, NAMESPACE, PodVolumeBackup)
        return sorted(obj.metadata.name for obj in found)

    def put(self, name: str, *, owner: str = "backup-1", pod_uid: str = "pod-1", phase: str = "") -> None:
        metadata: JsonObject = {
            "name": name,
            "namespace": NAMESPACE,
            "ownerReferences": [{"kind": "Backup", "name": "nightly", "uid": owner}],
        }
        body: JsonObject = {"metadata": metadata, "spec": {"pod": {"uid": pod_uid}, "repository": "app", "node": "n1"}}
        self.api.add(POD_VOLUME_BACKUPS, {**body, "status": {"phase": phase, "snapshotID": f"old-{name}"}})


def test_a_capture_is_created_for_its_node_and_owned_by_its_backup() -> None:
    world = World()
    world.captures.want("c1", spec())
    results = world.wait()
    assert (results["c1"].phase, results["c1"].snapshot_id) == ("Completed", "s-c1")
    made = world.api.client.get(POD_VOLUME_BACKUPS, NAMESPACE, "c1", PodVolumeBackup)
    assert made.spec == spec()
    assert made.metadata.labels == {
        "ark.heptio.com/backup-name": "nightly",
        "ark.heptio.com/backup-uid": "backup-1",
        "ark.heptio.com/node": "n1",
        "ark.heptio.com/pvc-uid": "claim-1",
    }
    assert [owner.uid for owner in made.metadata.owner_references or ()] == ["backup-1"]


def test_nothing_wanted_is_nothing_to_wait_for() -> None:
    world = World()
    assert world.wait() == {}
    assert world.rounds == []


def test_more_than_a_repository_takes_are_created_as_others_end() -> None:
    world = World()
    at_once: list[int] = []

    def one_ends() -> None:
        world.sync()
        running = [obj.metadata.name for obj in world.lister.list() if obj.status.phase != "Completed"]
        at_once.append(len(running))
        for name in running[:1]:
            world.set_status(name, phase="Completed")
        world.sync()

    world.each_round = one_ends
    for number in range(PER_REPOSITORY + 3):
        world.captures.want(f"c{number}", spec())
    assert len(world.wait()) == PER_REPOSITORY + 3
    assert max(at_once) == PER_REPOSITORY


def test_captures_of_other_backups_count_against_the_limit() -> None:
    world = World()
    for number in range(PER_REPOSITORY):
        world.put(f"other{number}", owner="backup-2", phase="InProgress")
    world.sync()

    created: list[bool] = []

    def others_end() -> None:
        created.append("c1" in world.names())
        world.complete_all()

    world.each_round = others_end
    world.captures.want("c1", spec())
    world.wait()
    assert created[:2] == [False, True]


def test_a_server_that_starts_again_finds_its_captures_and_makes_none_twice() -> None:
    world = World()
    world.put("c1", phase="Completed")
    world.put("c2", phase="InProgress")
    world.sync()
    for name in ("c1", "c2"):
        world.captures.want(name, spec())
    results = world.wait()
    assert results["c1"].snapshot_id == "old-c1"
    assert results["c2"].snapshot_id == "s-c2"
    assert world.api.count("POST") == 0


def test_a_capture_that_the_cache_lacks_is_adopted_when_it_is_ours() -> None:
    world = World()
    world.put("c1", phase="InProgress")
    world.captures.want("c1", spec())
    assert world.wait()["c1"].phase == "Completed"
    assert world.names() == ["c1"]


def test_an_object_of_somebody_else_is_never_taken_for_ours() -> None:
    for cached in (True, False):
        for owner, pod_uid in (("backup-2", "pod-1"), ("backup-1", "pod-2")):
            world = World()
            world.put("c1", owner=owner, pod_uid=pod_uid, phase="Completed")
            if cached:
                world.sync()
            world.captures.want("c1", spec())
            result = world.wait()["c1"]
            assert (result.phase, result.reason) == ("Failed", "Internal")
            assert "c1" in result.message


def test_a_capture_that_somebody_deletes_counts_as_canceled() -> None:
    world = World()

    def delete() -> None:
        if len(world.rounds) == 1:
            world.sync()
        elif "c1" in world.names():
            world.api.remove(POD_VOLUME_BACKUPS, NAMESPACE, "c1")
            world.sync()

    world.each_round = delete
    world.captures.want("c1", spec())
    result = world.wait()["c1"]
    assert (result.phase, result.reason) == ("Failed", "Canceled")
    assert world.api.count("POST") == 1


def test_a_capture_that_only_the_cache_lacks_is_waited_for() -> None:
    world = World()

    def late() -> None:
        if len(world.rounds) < 3:
            world.changes.raise_()
        else:
            world.complete_all()

    world.each_round = late
    world.captures.want("c1", spec())
    assert world.wait()["c1"].phase == "Completed"
    assert world.api.count("POST") == 1


def test_a_node_that_goes_away_fails_its_capture_in_the_api_too() -> None:
    world = World()

    def node_goes() -> None:
        world.nodes.remove("", "n1")
        world.sync()

    world.each_round = node_goes
    world.captures.want("c1", spec())
    result = world.wait()["c1"]
    assert (result.phase, result.reason) == ("Failed", "NodeGone")
    assert result.completion_timestamp == world.clock.now()


def test_a_result_of_the_agent_wins_over_giving_it_up() -> None:
    world = World()
    world.captures.want("c1", spec())

    def node_goes() -> None:
        if len(world.rounds) == 1:
            world.nodes.remove("", "n1")
            world.sync()
            world.set_status("c1", phase="Completed", snapshotID="in time")
        else:
            world.sync()

    world.each_round = node_goes
    assert world.wait()["c1"].snapshot_id == "in time"


def test_a_canceled_backup_cancels_its_captures_and_takes_what_they_say() -> None:
    world = World()

    def cancel() -> None:
        world.sync()
        world.stop.on_cancel(world.complete_all)
        world.stop.cancel(Reason.CANCELED)

    world.each_round = cancel
    world.captures.want("c1", spec())
    world.captures.want("c2", spec(node="n2"))
    world.nodes.put(Node(metadata=ObjectMeta(name="n2")))
    results = world.wait()
    assert results["c1"].phase == "Completed"
    assert (results["c2"].phase, results["c2"].reason) == ("Failed", "Canceled")
    assert world.api.client.get(POD_VOLUME_BACKUPS, NAMESPACE, "c1", PodVolumeBackup).spec.cancel
    assert world.names() == ["c1"]


def test_a_canceled_backup_waits_for_what_its_agents_say() -> None:
    world = World()

    class Agent(ChangeSignal):
        """Ends a transfer some time after it was told to."""

        def wait(self, stop: StopToken, seen: int, timeout_seconds: float) -> None:
            for obj in world.api.client.list(POD_VOLUME_BACKUPS, NAMESPACE, PodVolumeBackup):
                if obj.spec.cancel:
                    world.set_status(obj.metadata.name, phase="Failed", reason="Canceled", message="by the agent")
            world.sync()

    def cancel() -> None:
        world.sync()
        world.stop.cancel(Reason.CANCELED)

    world.use(Agent())
    world.each_round = cancel
    world.captures.want("c1", spec())
    assert world.wait()["c1"].message == "by the agent"


def test_a_canceled_backup_does_not_wait_for_ever_for_an_agent_that_is_gone() -> None:
    world = World()

    class Silence(ChangeSignal):
        def wait(self, stop: StopToken, seen: int, timeout_seconds: float) -> None:
            world.clock.advance(timeout_seconds)

    def cancel() -> None:
        world.sync()
        world.stop.cancel(Reason.CANCELED)

    world.use(Silence())
    world.each_round = cancel
    world.captures.want("c1", spec())
    assert world.wait()["c1"].reason == "Canceled"
    assert world.clock.monotonic() >= CANCEL_WAIT_SECONDS


def test_a_server_that_stops_leaves_its_captures_running() -> None:
    world = World()

    def stop() -> None:
        world.sync()
        world.stop.cancel("shutdown")

    world.each_round = stop
    world.captures.want("c1", spec())
    world.wait()
    left = world.api.client.get(POD_VOLUME_BACKUPS, NAMESPACE, "c1", PodVolumeBackup)
    assert (left.spec.cancel, left.status.phase) == (False, "")


def test_what_is_shown_meanwhile_is_every_capture_as_it_is() -> None:
    world = World()

    def step() -> None:
        if len(world.rounds) == 1:
            world.sync()
            world.set_status("c1", phase="InProgress")
            world.sync()
        else:
            world.complete_all()

    world.each_round = step
    world.captures.want("c1", spec())
    world.wait()
    assert [shown["c1"].phase for shown in world.rounds[1:]] == ["InProgress", "Completed"]


def test_captures_may_be_asked_for_after_a_wait() -> None:
    world = World()
    world.captures.want("c1", spec())
    world.wait()
    world.captures.want("c2", spec())
    assert sorted(world.wait()) == ["c1", "c2"]
