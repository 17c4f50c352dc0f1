"""Puts maintenance together: one gate, one controller, and who wakes it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Counter

from pkg.apis.ark import Schedule
from pkg.apis.jobs import Job
from pkg.apis.names import MAINTENANCE_CONFIG_LABEL, MAINTENANCE_LABEL
from pkg.apis.volumes import PodVolumeBackup, PodVolumeRestore, ResticRepository
from pkg.controllers.capture_plan import TERMINAL
from pkg.controllers.change_signal import ChangeSignal
from pkg.controllers.maintenance import Caches, MaintenanceReconciler, repository_of
from pkg.controllers.maintenance_gate import MaintenanceGate
from pkg.controllers.maintenance_job import measure_of, template_without_deployment, verbs_of
from pkg.controllers.maintenance_options import OptionsMap
from pkg.controllers.maintenance_plan import needs_alone
from pkg.controllers.maintenance_preparation import Preparation, Preparer
from pkg.controllers.metrics_repositories import RepositoryCollector
from pkg.controllers.stores import Stores
from pkg.controllers.verification import Verifier
from pkg.informers.informer import SharedInformer
from pkg.informers.lister import Lister
from pkg.kube.client import Client
from pkg.kube.clock import Clock
from pkg.kube.refs import CONFIG_MAPS, JOBS, POD_VOLUME_BACKUPS, POD_VOLUME_RESTORES, RESTIC_REPOSITORIES, SCHEDULES
from pkg.manager.controller import Controller
from pkg.manager.enqueuer import owner_keys
from pkg.manager.manager import Manager
from pkg.manager.operations import Operations
from pkg.manager.predicates import Change
from pkg.workqueue.key import Key


@dataclass(frozen=True, slots=True, kw_only=True)
class MaintenanceSurroundings:
    """What maintenance is given by the server.

    Attributes:
        image: Ark's.
        changes: Wakes captures that wait at the gate.
    """

    namespace: str
    image: str
    environ: Mapping[str, str] = field(repr=False)
    stores: Stores
    changes: ChangeSignal
    registry: CollectorRegistry
    clock: Clock


class MaintenanceWiring:
    """Adds maintenance to a manager; `gate` is for whoever creates captures."""

    def __init__(self, manager: Manager, client: Client, given: MaintenanceSurroundings) -> None:
        self._manager = manager
        self._client = client
        self._given = given
        label, value = MAINTENANCE_LABEL
        factory, namespace = manager.factory, given.namespace
        self._jobs = factory.informer(JOBS, Job, namespace=namespace, label_selector=f"{label}={value}")
        self._jobs.add_handler(given.changes)
        self.gate = MaintenanceGate(
            given.clock, busy=busy_in(self._jobs.lister, namespace), changed=given.changes.raise_
        )

    def add(self) -> None:
        """Adds the controller."""
        given, factory = self._given, self._manager.factory
        namespace = given.namespace
        repositories = factory.informer(RESTIC_REPOSITORIES, ResticRepository, namespace=namespace)
        captures = factory.informer(POD_VOLUME_BACKUPS, PodVolumeBackup, namespace=namespace)
        fillings = factory.informer(POD_VOLUME_RESTORES, PodVolumeRestore, namespace=namespace)
        schedules = factory.informer(SCHEDULES, Schedule, namespace=namespace)
        late: list[Controller] = []

        def wake(key: Key) -> None:
            for controller in late:
                controller.enqueue(key)

        operations: Operations[Preparation] = Operations("maintenance", clock=given.clock, on_finished=wake)
        self._manager.add_operations(operations)
        caches = Caches(
            repositories=repositories.lister,
            captures=captures.lister,
            fillings=fillings.lister,
            jobs=self._jobs.lister,
            schedules=schedules.lister,
        )
        label, value = MAINTENANCE_CONFIG_LABEL
        options = factory.informer(CONFIG_MAPS, OptionsMap, namespace=namespace, label_selector=f"{label}={value}")
        verifier = Verifier(
            namespace=namespace,
            options=options.lister,
            repositories=repositories.lister,
            reading=reading_in(self._jobs.lister, namespace),
        )
        given.registry.register(RepositoryCollector(repositories.lister, clock=given.clock))
        controller = self._manager.controller("maintenance", self._reconciler(caches, operations, verifier))
        late.append(controller)
        self._wake(controller, repositories, captures, fillings)

    def _reconciler(
        self, caches: Caches, operations: Operations[Preparation], verifier: Verifier
    ) -> MaintenanceReconciler:
        given = self._given
        runs = Counter(
            "ark_maintenance_runs", "Maintenance runs that ended, by phase.", ("phase",), registry=given.registry
        )
        return MaintenanceReconciler(
            self._client,
            caches,
            stores=given.stores,
            gate=self.gate,
            preparer=Preparer(
                client=self._client,
                namespace=given.namespace,
                stores=given.stores,
                gate=self.gate,
                fallback=lambda: template_without_deployment(given.environ, given.image),
            ),
            operations=operations,
            image=given.image,
            verifier=verifier,
            events=self._manager.events,
            clock=given.clock,
            count=lambda phase: runs.labels(phase).inc(),
        )

    def _wake(
        self,
        controller: Controller,
        repositories: SharedInformer[ResticRepository],
        captures: SharedInformer[PodVolumeBackup],
        fillings: SharedInformer[PodVolumeRestore],
    ) -> None:
        controller.watch(repositories)
        controller.watch(self._jobs, owner_keys("ResticRepository", "ark.heptio.com"))
        controller.watch(captures, _repository_keys, predicate=_began_or_ended)
        controller.watch(fillings, _repository_keys, predicate=_began_or_ended)


def busy_in(jobs: Lister[Job], namespace: str) -> Callable[[str], bool]:
    """Tells whether a repository has an unfinished Job that needs it for itself."""

    def busy(repository: str) -> bool:
        return any(needs_alone(verbs_of(job)) for job in _unfinished(jobs, namespace, repository))

    return busy


def reading_in(jobs: Lister[Job], namespace: str) -> Callable[[str], bool]:
    """Tells whether a repository has an unfinished Job that reads a part of its data."""

    def reading(repository: str) -> bool:
        return any(measure_of(job).part for job in _unfinished(jobs, namespace, repository))

    return reading


def _unfinished(jobs: Lister[Job], namespace: str, repository: str) -> list[Job]:
    return [job for job in jobs.list(namespace) if job.ended_by() is None and repository_of(job) == repository]


def _repository_keys(obj: PodVolumeBackup | PodVolumeRestore) -> Iterable[Key]:
    return (Key(obj.metadata.namespace, obj.spec.repository),) if obj.spec.repository else ()


def _began_or_ended(change: Change[PodVolumeBackup] | Change[PodVolumeRestore]) -> bool:
    """Progress is nobody's business here."""
    if change.old is None or change.new is None:
        return True
    return (change.old.status.phase in TERMINAL) != (change.new.status.phase in TERMINAL)
