"""Puts the server's controllers together: informers, operations, and who wakes whom."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from prometheus_client import CollectorRegistry

from pkg.apis.ark import Backup, Config, DownloadRequest, Restore
from pkg.apis.core import Pod
from pkg.apis.names import CONFIG_NAME, RESTORE_UID_LABEL
from pkg.apis.volumes import PodVolumeBackup, PodVolumeRestore, ResticRepository
from pkg.backup.hook_runner import Execute
from pkg.backup.job import VolumeCapturer
from pkg.controllers.admission_desk import AdmissionDesk
from pkg.controllers.backup import BackupKindOfEngine
from pkg.controllers.capturer import ServerCapturer
from pkg.controllers.captures import Captures
from pkg.controllers.change_signal import ChangeSignal
from pkg.controllers.claim_fillings import ClaimFillings
from pkg.controllers.config import ConfigReconciler
from pkg.controllers.deletion_wiring import DeletionWiring
from pkg.controllers.download_events import DownloadEvents
from pkg.controllers.download_listener import DownloadListener
from pkg.controllers.download_request import DownloadRequestReconciler
from pkg.controllers.engine_reconciler import EngineOutcome, EngineReconciler
from pkg.controllers.fast_keys import FastKeys
from pkg.controllers.holder_wiring import HolderParts, add_gone_holders
from pkg.controllers.limits import DEFAULT_LIMITS, ClusterLimits
from pkg.controllers.location import LocationFinding, LocationReconciler
from pkg.controllers.location_record import RecordInCluster
from pkg.controllers.maintenance_wiring import MaintenanceSurroundings, MaintenanceWiring
from pkg.controllers.metrics import ServerMetrics
from pkg.controllers.node_wiring import NodeWiring
from pkg.controllers.orphans_wiring import OrphanParts, add_orphans
from pkg.controllers.recovery_kit_wiring import add_recovery_kit
from pkg.controllers.repositories import Repositories
from pkg.controllers.repository_wiring import RepositoryParts, add_repositories
from pkg.controllers.restore import RestoreKindOfEngine
from pkg.controllers.restorer import ServerRestorer
from pkg.controllers.schedule_wiring import ScheduleParts, add_schedules
from pkg.controllers.server_limits_wiring import add_server_limits
from pkg.controllers.stores import Stores
from pkg.controllers.sync_wiring import add_sync
from pkg.controllers.volume_time import volume_timeout
from pkg.informers.informer import SharedInformer
from pkg.informers.listing import Selection
from pkg.kube.client import Client
from pkg.kube.clock import Clock
from pkg.kube.refs import (
    BACKUPS,
    CONFIGS,
    DOWNLOAD_REQUESTS,
    POD_VOLUME_BACKUPS,
    POD_VOLUME_RESTORES,
    PODS,
    RESTIC_REPOSITORIES,
    RESTORES,
)
from pkg.kube.stop import StopToken
from pkg.manager.controller import Controller
from pkg.manager.manager import Manager
from pkg.manager.operations import Operations
from pkg.objectstore.location import StorageLocation
from pkg.objectstore.region import Regions
from pkg.restic.runner import ResticRunner
from pkg.restore.job import VolumeRestorer
from pkg.workqueue.key import Key

R = TypeVar("R")
T = TypeVar("T", Backup, Restore)
ENGINE_WORKERS = 2
POD_SYNC_SECONDS = 60.0


@dataclass(slots=True)
class _Late:
    """A controller that is known only after the operations that wake it were made."""

    controllers: list[Controller] = field(default_factory=list)

    def enqueue(self, key: Key) -> None:
        for controller in self.controllers:
            controller.enqueue(key)


@dataclass(slots=True, kw_only=True)
class Surroundings:
    """What the server is given by its process."""

    namespace: str
    cluster_id: str
    holder: str
    pod_name: str
    helper_image: str
    scratch_dir: Path
    environ: Mapping[str, str] = field(repr=False)
    runner: ResticRunner
    registry: CollectorRegistry
    clock: Clock
    fast_keys: bool
    limits: ClusterLimits = DEFAULT_LIMITS
    execute: Execute


class ServerWiring:
    """Adds the server's controllers to a manager."""

    def __init__(self, manager: Manager, client: Client, given: Surroundings) -> None:
        self._manager = manager
        self._client = client
        self._given = given
        self._changes = ChangeSignal()
        self._metrics = ServerMetrics(given.registry)
        self._events = manager.events
        factory, namespace = manager.factory, given.namespace
        self._captures = factory.informer(POD_VOLUME_BACKUPS, PodVolumeBackup, namespace=namespace)
        self._fillings = factory.informer(POD_VOLUME_RESTORES, PodVolumeRestore, namespace=namespace)
        self._claims = ClaimFillings(self._fillings.lister)
        self._repositories = factory.informer(RESTIC_REPOSITORIES, ResticRepository, namespace=namespace)
        self._restores = factory.informer(RESTORES, Restore, namespace=namespace)
        self._nodes = NodeWiring(manager, client, namespace, self._changes, given.clock)
        for informer in (self._captures, self._fillings, self._repositories):
            informer.add_handler(self._changes)
        configs = factory.informer(CONFIGS, Config, namespace=namespace)
        self._config = ConfigReconciler(configs.lister, given.environ, namespace, regions=Regions())
        manager.controller("config", self._config).watch(configs)
        self._stores = Stores(self._config, given.cluster_id, RecordInCluster(client, namespace))
        self._configs = configs
        self._maintenance = MaintenanceWiring(
            manager,
            client,
            MaintenanceSurroundings(
                namespace=namespace,
                image=given.helper_image,
                environ=given.environ,
                stores=self._stores,
                changes=self._changes,
                registry=given.registry,
                clock=given.clock,
            ),
        )
        self._recovery_kit = add_recovery_kit(manager, namespace=namespace, registry=given.registry, clock=given.clock)

    def add_all(self) -> None:
        """Adds every controller."""
        self._maintenance.add()
        self._nodes.add_stranded()
        self._add_location()
        repositories = self._add_repositories()
        self._add_backups(repositories)
        self._add_restores()
        self._add_downloads()
        self._add_deletion()
        self._add_sync()
        self._add_schedules()
        self._add_orphans()
        self._add_gone_holders()

    def _admission_desk(self) -> AdmissionDesk:
        given = self._given
        return add_server_limits(
            self._manager,
            given.limits,
            given.registry,
            namespace=given.namespace,
            changes=self._changes,
            is_closed=self._maintenance.gate.is_closed,
            clock=given.clock,
        )

    def _operations(self, name: str, late: _Late) -> Operations[R]:
        operations: Operations[R] = Operations(name, clock=self._given.clock, on_finished=late.enqueue)
        self._manager.add_operations(operations)
        return operations

    def _add_location(self) -> None:
        late = _Late()
        operations: Operations[LocationFinding] = self._operations("location", late)
        reconciler = LocationReconciler(self._stores, operations)
        controller = self._manager.controller("location", reconciler)
        controller.watch(self._configs)
        key = Key(self._given.namespace, CONFIG_NAME)
        controller.enqueue(key)
        self._stores.standing_changed = lambda: controller.enqueue(key)
        late.controllers.append(controller)
        self._manager.add_ready_check("location", reconciler.trouble)

    def _add_repositories(self) -> Repositories:
        given = self._given
        parts = RepositoryParts(
            client=self._client,
            namespace=given.namespace,
            repositories=self._repositories,
            captures=self._captures,
            fillings=self._fillings,
            stores=self._stores,
            runner=given.runner,
            scratch_dir=given.scratch_dir,
            clock=given.clock,
            fast_keys=self._fast_keys() if given.fast_keys else None,
        )
        return Repositories(
            client=self._client,
            namespace=given.namespace,
            lister=self._repositories.lister,
            controller=add_repositories(self._manager, parts),
            changes=self._changes,
            clock=given.clock,
        )

    def _fast_keys(self) -> FastKeys:
        given = self._given
        return FastKeys(client=self._client, namespace=given.namespace, runner=given.runner, clock=given.clock)

    def _add_backups(self, repositories: Repositories) -> None:
        given, desk = self._given, self._admission_desk()

        def capturer(backup: Backup, location: StorageLocation) -> VolumeCapturer:
            captures = Captures(
                backup,
                self._client,
                self._captures.lister,
                agents=self._nodes.agents,
                changes=self._changes,
                clock=given.clock,
                desk=desk,
                gate=self._maintenance.gate,
                on_waiting=functools.partial(self._events.event, backup),
            )
            timeout = volume_timeout(backup.metadata, self._stores.settings().pod_volume_timeout_seconds)
            return ServerCapturer(captures=captures, repositories=repositories, location=location, timeout=timeout)

        kind = BackupKindOfEngine(
            self._client,
            stores=self._stores,
            capturer=capturer,
            clock=given.clock,
            scratch_dir=given.scratch_dir,
            metrics=self._metrics,
            events=self._events,
            execute=given.execute,
            kit_condition=self._recovery_kit.condition,
        )
        backups = self._manager.factory.informer(BACKUPS, Backup, namespace=given.namespace)
        late = _Late()
        operations: Operations[EngineOutcome] = self._operations("backup", late)
        reconciler = EngineReconciler(
            self._client, backups.lister, kind, operations=operations, holder=given.holder, clock=given.clock
        )
        self._watch("backup", reconciler, backups, late)

    def _add_restores(self) -> None:
        given = self._given
        kind = RestoreKindOfEngine(
            self._client,
            stores=self._stores,
            restorer=self._restorer,
            clock=given.clock,
            scratch_dir=given.scratch_dir,
            helper_image=given.helper_image,
            execute=given.execute,
            metrics=self._metrics,
            events=self._events,
        )
        late = _Late()
        operations: Operations[EngineOutcome] = self._operations("restore", late)
        reconciler = EngineReconciler(
            self._client, self._restores.lister, kind, operations=operations, holder=given.holder, clock=given.clock
        )
        self._watch("restore", reconciler, self._restores, late)

    @contextmanager
    def _restorer(self, restore: Restore) -> Iterator[VolumeRestorer]:
        """Watches the pods of one restore for as long as it runs."""
        stop, settings = StopToken(), self._stores.settings()
        own = Selection(ref=PODS, label_selector=f"{RESTORE_UID_LABEL}={restore.metadata.uid}")
        pods: SharedInformer[Pod] = SharedInformer(self._client, own, Pod, clock=self._given.clock)
        pods.add_handler(self._changes)
        pods.start(stop)
        try:
            pods.wait_synced(stop, POD_SYNC_SECONDS)
            yield ServerRestorer(
                restore,
                self._client,
                self._fillings.lister,
                pods=pods,
                agents=self._nodes.agents,
                changes=self._changes,
                claims=self._claims,
                no_lock=settings.restore_only,
                timeout=volume_timeout(restore.metadata, settings.pod_volume_timeout_seconds),
            )
        finally:
            stop.cancel("restore ended")
            pods.stop()
            self._claims.release(restore.metadata.uid)

    def _watch(self, name: str, reconciler: EngineReconciler[T], informer: SharedInformer[T], late: _Late) -> None:
        controller = self._manager.controller(name, reconciler, workers=ENGINE_WORKERS)
        controller.watch(informer)
        late.controllers.append(controller)

    def _add_sync(self) -> None:
        given = self._given
        add_sync(
            self._manager,
            self._client,
            namespace=given.namespace,
            stores=self._stores,
            registry=given.registry,
            clock=given.clock,
        )

    def _add_deletion(self) -> None:
        DeletionWiring(
            manager=self._manager,
            client=self._client,
            namespace=self._given.namespace,
            stores=self._stores,
            runner=self._given.runner,
            scratch_dir=self._given.scratch_dir,
            clock=self._given.clock,
        ).add()

    def _add_schedules(self) -> None:
        given = self._given
        parts = ScheduleParts(
            client=self._client,
            namespace=given.namespace,
            stores=self._stores,
            metrics=self._metrics,
            registry=given.registry,
            clock=given.clock,
            configs=self._configs,
            backups=self._manager.factory.informer(BACKUPS, Backup, namespace=given.namespace),
            captures=self._captures,
        )
        add_schedules(self._manager, parts)

    def _add_orphans(self) -> None:
        given = self._given
        parts = OrphanParts(
            client=self._client,
            namespace=given.namespace,
            configs=self._configs,
            stores=self._stores,
            runner=given.runner,
            scratch_dir=given.scratch_dir,
            registry=given.registry,
            clock=given.clock,
        )
        add_orphans(self._manager, parts)

    def _add_gone_holders(self) -> None:
        given = self._given
        parts = HolderParts(
            namespace=given.namespace,
            repositories=self._repositories,
            stores=self._stores,
            runner=given.runner,
            scratch_dir=given.scratch_dir,
            clock=given.clock,
        )
        add_gone_holders(self._manager, self._client, parts)

    def _add_downloads(self) -> None:
        given = self._given
        listener = DownloadListener(given.clock, given.scratch_dir)
        self._manager.add_runnable("downloads", listener.run)
        requests = self._manager.factory.informer(DOWNLOAD_REQUESTS, DownloadRequest, namespace=given.namespace)
        backups = self._manager.factory.informer(BACKUPS, Backup, namespace=given.namespace)
        reconciler = DownloadRequestReconciler(
            self._client,
            requests.lister,
            self._restores.lister,
            stores=self._stores,
            listener=listener,
            events=DownloadEvents(self._events, backups.lister, self._restores.lister),
            server_pod=given.pod_name,
            clock=given.clock,
        )
        self._manager.controller("download-request", reconciler).watch(requests)
