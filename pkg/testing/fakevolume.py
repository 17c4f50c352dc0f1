"""One agent process and the volumes of its node, which end as a test says."""

from __future__ import annotations

import queue
from collections.abc import Callable
from pathlib import Path

from pkg.apis.core import Pod
from pkg.apis.meta import JsonObject, ObjectMeta
from pkg.apis.reasons import Reason
from pkg.apis.volumes import PodVolumeBackup, PodVolumeBackupStatus
from pkg.controllers.agent import Agent
from pkg.controllers.config import ConfigReconciler
from pkg.controllers.volume_plan import VolumeView, Work
from pkg.controllers.volume_reconciler import VolumeOutcome, VolumeReconciler
from pkg.kube.refs import POD_VOLUME_BACKUPS
from pkg.kube.stop import StopToken
from pkg.manager.operations import Operations
from pkg.manager.reconciler import Result
from pkg.manager.slots import Slots
from pkg.testing.fakeapi import FakeApi
from pkg.testing.fakeclock import FakeClock
from pkg.testing.fakerestic import FakeRestic
from pkg.testing.fakes import FakeLister
from pkg.workqueue.key import Key

NAMESPACE = "heptio-ark"
LONG_SECONDS = 10.0
CAPTURED: JsonObject = {"phase": "Completed", "snapshotID": "5n4p"}


class FakeKind:
    """A volume that ends as `work` says; it runs only while its pod is there."""

    ref = POD_VOLUME_BACKUPS

    def __init__(self, agent: Agent) -> None:
        self.agent = agent
        self.pod: Pod | None = Pod(metadata=ObjectMeta(name="web", namespace="app", uid="pod-1"))
        self.work: Callable[[StopToken], VolumeOutcome] = lambda stop: VolumeOutcome(status=CAPTURED)
        self.ran: list[PodVolumeBackup] = []
        self.told: list[tuple[Reason, str]] = []

    def view(self, obj: PodVolumeBackup, work: Work) -> VolumeView:
        """What the decision rests on."""
        return VolumeView(
            phase=obj.status.phase,
            attempts=obj.status.attempts,
            next_run=self.agent.next_run(obj.status),
            work=work,
            cancel=obj.spec.cancel,
            pod=self.pod,
            pod_uid="pod-1",
            pod_key="app/web",
            hold=obj.spec.hold,
            freeze="backup/pod-1",
        )

    def status(self, obj: PodVolumeBackup) -> PodVolumeBackupStatus:
        """What became of it so far."""
        return obj.status

    def group(self, obj: PodVolumeBackup) -> str:
        """One namespace for all."""
        return "app"

    def last_seconds(self, obj: PodVolumeBackup) -> float | None:
        """Nothing is known."""
        return None

    def run(self, obj: PodVolumeBackup, stop: StopToken) -> VolumeOutcome:
        """Does what `work` says."""
        self.ran.append(obj)
        return self.work(stop)

    def before_failure(self, obj: PodVolumeBackup, reason: Reason, message: str) -> None:
        """Notes what was told."""
        self.told.append((reason, message))


def agent(api: FakeApi, clock: FakeClock, holder: str) -> Agent:
    """An agent over a fake API."""
    return Agent(
        node="n1",
        namespace=NAMESPACE,
        holder=holder,
        pods_dir=Path("/nowhere"),
        scratch_dir=Path("/nowhere"),
        client=api.client,
        clock=clock,
        runner=FakeRestic(),
        pods=FakeLister(),
        repositories=FakeLister(),
        config=ConfigReconciler(FakeLister(), {}, NAMESPACE),
    )


class VolumeWorld:
    """One agent process; `again` starts the next one over the same API."""

    def __init__(self, api: FakeApi | None = None, *, holder: str = "agent-1", slots: int = 1) -> None:
        self.api = api or FakeApi()
        self.clock = FakeClock()
        self.agent = agent(self.api, self.clock, holder)
        self.kind = FakeKind(self.agent)
        self.lister: FakeLister[PodVolumeBackup] = FakeLister()
        self.ended: queue.SimpleQueue[Key] = queue.SimpleQueue()
        self.operations: Operations[VolumeOutcome] = Operations("v", clock=self.clock, on_finished=self.ended.put)
        self.slots = Slots(slots)
        self.woken: list[Key] = []
        self.reconciler: VolumeReconciler[PodVolumeBackup] = VolumeReconciler(
            self.agent,
            self.kind,
            self.lister,
            operations=self.operations,
            slots=self.slots,
            wake=self.woken.append,
        )

    def add(self, name: str = "v", *, spec: JsonObject | None = None, status: JsonObject | None = None) -> Key:
        """Adds an object; returns its key."""
        body: JsonObject = {"metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec or {}}
        self.api.add(POD_VOLUME_BACKUPS, {**body, "status": status or {}})
        return Key(NAMESPACE, name)

    def sync(self) -> None:
        """Lets the cache catch up."""
        found = self.api.client.list(POD_VOLUME_BACKUPS, NAMESPACE, PodVolumeBackup)
        self.lister.objects = {obj.metadata.key: obj for obj in found}

    def reconcile(self, key: Key) -> Result:
        """Takes one step for a key, with a cache that has caught up."""
        self.sync()
        return self.reconciler.reconcile(key)

    def await_end(self) -> None:
        """Blocks until a run has ended."""
        self.ended.get(timeout=LONG_SECONDS)

    def stored(self, key: Key) -> PodVolumeBackup:
        """The object as the API has it."""
        return self.api.client.get(POD_VOLUME_BACKUPS, key.namespace, key.name, PodVolumeBackup)


def until_stopped(stop: StopToken) -> VolumeOutcome:
    """A transfer that goes on until it is stopped, and says why it ended."""
    assert stop.wait(LONG_SECONDS)
    if not isinstance(stop.reason, Reason):
        return VolumeOutcome(status=None)
    return VolumeOutcome(status={"phase": "Failed", "reason": stop.reason.value})
