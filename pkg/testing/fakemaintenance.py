"""A server's maintenance with an API server in memory, a directory as the store and nothing else running."""

from __future__ import annotations

import queue
from pathlib import Path
from typing import Any

import msgspec

from pkg.apis.ark import Config, Schedule, StorageProvider
from pkg.apis.jobs import Job
from pkg.apis.meta import JsonObject, ObjectMeta
from pkg.apis.names import MAINTAIN_ANNOTATION
from pkg.apis.volumes import PodVolumeBackup, PodVolumeRestore, ResticRepository
from pkg.controllers.config import ConfigReconciler
from pkg.controllers.maintenance import Caches, MaintenanceReconciler
from pkg.controllers.maintenance_gate import MaintenanceGate
from pkg.controllers.maintenance_job import template_without_deployment
from pkg.controllers.maintenance_options import OptionsMap
from pkg.controllers.maintenance_preparation import Preparation, Preparer
from pkg.controllers.maintenance_wiring import busy_in, reading_in
from pkg.controllers.stores import Stores
from pkg.controllers.verification import Verifier
from pkg.kube.refs import EVENTS, JOBS, POD_VOLUME_BACKUPS, POD_VOLUME_RESTORES, PODS, RESTIC_REPOSITORIES
from pkg.kube.stop import StopToken
from pkg.manager.events import EventRecorder
from pkg.manager.operations import Operations
from pkg.manager.reconciler import Result
from pkg.testing.fakeapi import FakeApi
from pkg.testing.fakeclock import FakeClock
from pkg.testing.fakes import FakeLister
from pkg.workqueue.key import Key

NAMESPACE = "heptio-ark"
KEY = Key(NAMESPACE, "shop")
LONG_SECONDS = 10.0
OLD = "2020-01-01T00:00:00Z"


class FakeMaintenance:
    """A server whose caches show what its API server holds."""

    def __init__(self, tmp_path: Path) -> None:
        (tmp_path / "bucket").mkdir()
        self.place = f"{tmp_path}/bucket/restic/shop"
        self.path = tmp_path
        self.api, self.clock = FakeApi(), FakeClock(automatic=True)
        self.config = Config(
            metadata=ObjectMeta(name="default", namespace=NAMESPACE, uid="c", resource_version="1"),
            backup_storage_provider=StorageProvider(name="local", bucket="bucket", config={"path": str(tmp_path)}),
        )
        self.configs = FakeLister([self.config])
        self.repositories: FakeLister[ResticRepository] = FakeLister()
        self.captures: FakeLister[PodVolumeBackup] = FakeLister()
        self.fillings: FakeLister[PodVolumeRestore] = FakeLister()
        self.jobs: FakeLister[Job] = FakeLister()
        self.schedules: FakeLister[Schedule] = FakeLister()
        self.options: FakeLister[OptionsMap] = FakeLister()
        self.ended: queue.SimpleQueue[Key] = queue.SimpleQueue()
        self.counted: list[str] = []
        self.events = EventRecorder(self.api.client, "test", self.clock)
        self.start()

    def start(self) -> None:
        """A new server process: nothing is remembered but what the API holds."""
        stores = Stores(ConfigReconciler(self.configs, {}, NAMESPACE), "cluster-1")
        self.operations: Operations[Preparation] = Operations("m", clock=self.clock, on_finished=self.ended.put)
        self.gate = MaintenanceGate(self.clock, busy=busy_in(self.jobs, NAMESPACE), changed=lambda: None)
        self.reconciler = MaintenanceReconciler(
            self.api.client,
            Caches(
                repositories=self.repositories,
                captures=self.captures,
                fillings=self.fillings,
                jobs=self.jobs,
                schedules=self.schedules,
            ),
            stores=stores,
            gate=self.gate,
            preparer=Preparer(
                client=self.api.client,
                namespace=NAMESPACE,
                stores=stores,
                gate=self.gate,
                fallback=lambda: template_without_deployment({}, "ark:1"),
            ),
            operations=self.operations,
            image="ark:1",
            verifier=Verifier(
                namespace=NAMESPACE,
                options=self.options,
                repositories=self.repositories,
                reading=reading_in(self.jobs, NAMESPACE),
            ),
            events=self.events,
            clock=self.clock,
            count=self.counted.append,
        )

    def add(self, *, status: JsonObject | None = None, request: str = "") -> None:
        """A Ready repository that was never pruned, and no data of which is to be read."""
        metadata: JsonObject = {"name": KEY.name, "namespace": NAMESPACE, "uid": "uid-1", "creationTimestamp": OLD}
        if request:
            metadata["annotations"] = {MAINTAIN_ANNOTATION: request}
        spec: JsonObject = {"volumeNamespace": "shop", "resticIdentifier": self.place}
        read: JsonObject = {"readAt": "2099-01-01T00:00:00Z"}
        full: JsonObject = {"phase": "Ready", "repositoryID": "r", "verification": read, **(status or {})}
        self.api.add(RESTIC_REPOSITORIES, {"metadata": metadata, "spec": spec, "status": full})

    def patch(self, status: JsonObject) -> None:
        """Changes the repository's status."""
        patch: JsonObject = {"status": status}
        self.api.client.patch(RESTIC_REPOSITORIES, NAMESPACE, KEY.name, patch, ResticRepository, subresource="status")

    def annotate(self, request: str) -> None:
        """Asks for maintenance as `ark restic repo maintain` does."""
        patch: JsonObject = {"metadata": {"annotations": {MAINTAIN_ANNOTATION: request}}}
        self.api.client.patch(RESTIC_REPOSITORIES, NAMESPACE, KEY.name, patch, ResticRepository)

    def freeze(self, why: str) -> None:
        """Freezes deletions in the Config."""
        metadata = msgspec.structs.replace(self.config.metadata, resource_version="2")
        self.configs.put(msgspec.structs.replace(self.config, metadata=metadata, deletions_frozen=why))

    def sync(self) -> None:
        """Lets the caches catch up with the API."""
        client = self.api.client
        for ref, struct, lister in (
            (RESTIC_REPOSITORIES, ResticRepository, self.repositories),
            (POD_VOLUME_BACKUPS, PodVolumeBackup, self.captures),
            (POD_VOLUME_RESTORES, PodVolumeRestore, self.fillings),
            (JOBS, Job, self.jobs),
        ):
            found: list[Any] = client.list(ref, NAMESPACE, struct)
            lister.objects = {obj.metadata.key: obj for obj in found}

    def reconcile(self, *, sync: bool = True) -> Result:
        """One step, with caches that have caught up or have not."""
        if sync:
            self.sync()
        return self.reconciler.reconcile(KEY)

    def begin(self) -> None:
        """Goes through the preparation to the Job."""
        self.reconcile()
        assert self.ended.get(timeout=LONG_SECONDS) == KEY
        self.reconcile()

    def end_job(self, *, kind: str = "Complete", message: str = "", reason: str = "", moment: str = "") -> None:
        """Lets the only Job end, at a moment or on a day in May; `message` is what its container left."""
        (job,) = self.job_objects
        name = job.metadata.name
        condition: JsonObject = {"type": kind, "status": "True", "reason": reason}
        status: JsonObject = {
            "conditions": [condition],
            "startTime": moment or "2026-05-04T10:00:00Z",
            "completionTime": moment or "2026-05-04T10:05:00Z",
        }
        self.api.client.patch(JOBS, NAMESPACE, name, {"status": status}, Job, subresource="status")
        if message:
            terminated: JsonObject = {"terminated": {"exitCode": 0, "message": message}}
            containers: JsonObject = {"containerStatuses": [{"name": "maintenance", "state": terminated}]}
            metadata: JsonObject = {"name": f"{name}-x", "namespace": NAMESPACE, "labels": {"job-name": name}}
            self.api.add(PODS, {"metadata": metadata, "status": containers})

    @property
    def job_objects(self) -> list[Job]:
        """The Jobs there are."""
        return self.api.client.list(JOBS, NAMESPACE, Job)

    @property
    def verbs(self) -> list[str]:
        """What each Job does."""
        return [job.metadata.annotation("ark.heptio.com/verbs") for job in self.job_objects]

    @property
    def told(self) -> list[str]:
        """The reasons of the Events, in order."""
        stop = StopToken()
        stop.cancel("only what is queued")
        self.events.run(stop)
        return [str(one["reason"]) for one in self.api.list(EVENTS, NAMESPACE)]

    @property
    def stored(self) -> ResticRepository:
        """The repository as the API has it."""
        return self.api.client.get(RESTIC_REPOSITORIES, NAMESPACE, KEY.name, ResticRepository)

    @property
    def last_run(self) -> tuple[str, str, str]:
        """Verbs, phase and reason of the last run."""
        run = (self.stored.status.maintenance or ())[0]
        return run.verb, run.phase, run.reason


def volume(world: FakeMaintenance, ref: Any, name: str, phase: str = "InProgress") -> None:
    """Puts a capture or a filling into the repository."""
    spec: JsonObject = {"repository": KEY.name}
    world.api.add(ref, {"metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec, "status": {"phase": phase}})


def report(*results: tuple[str, str, bool], reason: str = "", message: str = "done") -> str:
    """What a Job leaves in its termination log: verb, phase and whether it is settled, of each verb."""
    items = [
        {"verb": verb, "phase": phase, "settled": settled, "reason": reason, "message": message}
        for verb, phase, settled in results
    ]
    return msgspec.json.encode({"results": items}).decode()
