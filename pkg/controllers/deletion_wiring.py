"""Puts deletion together: by age, by request, and of the objects of work that has ended long ago."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pkg.apis.ark import Backup, Config, DeleteBackupRequest, Restore, Schedule
from pkg.controllers.deletion import DeletionReconciler, keys_of_backup
from pkg.controllers.deletion_gate import DeletionGate
from pkg.controllers.deletion_run import DeletionOutcome
from pkg.controllers.deletion_unlisted import unlisted_snapshots
from pkg.controllers.gc_reconciler import SCHEDULE_INDEX, GcReconciler, schedule_label
from pkg.controllers.retention_wiring import add_retention
from pkg.controllers.stores import Stores
from pkg.informers.informer import SharedInformer
from pkg.kube.client import Client
from pkg.kube.clock import Clock
from pkg.kube.refs import BACKUPS, CONFIGS, DELETE_BACKUP_REQUESTS, RESTORES, SCHEDULES
from pkg.manager.controller import Controller
from pkg.manager.manager import Manager
from pkg.manager.operations import Operations
from pkg.manager.predicates import generation_changed, version_changed
from pkg.restic.runner import ResticRunner
from pkg.workqueue.key import Key


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletionWiring:
    """Adds the controllers of deletion to a manager."""

    manager: Manager
    client: Client
    namespace: str
    stores: Stores
    runner: ResticRunner
    scratch_dir: Path
    clock: Clock

    def add(self) -> None:
        """Adds all of them."""
        factory, namespace = self.manager.factory, self.namespace
        backups = factory.informer(BACKUPS, Backup, namespace=namespace)
        backups.add_index(SCHEDULE_INDEX, schedule_label)
        requests = factory.informer(DELETE_BACKUP_REQUESTS, DeleteBackupRequest, namespace=namespace)
        configs = factory.informer(CONFIGS, Config, namespace=namespace)
        gate = DeletionGate(configs=configs.lister, namespace=namespace, stores=self.stores)
        self._add_gc(backups, requests, configs, gate)
        self._add_deletion(backups, requests, configs, gate)
        add_retention(self.manager, self.client, backups, namespace=namespace, frozen=gate.frozen, clock=self.clock)

    def _restores(self) -> SharedInformer[Restore]:
        return self.manager.factory.informer(RESTORES, Restore, namespace=self.namespace)

    def _add_gc(
        self,
        backups: SharedInformer[Backup],
        requests: SharedInformer[DeleteBackupRequest],
        configs: SharedInformer[Config],
        gate: DeletionGate,
    ) -> None:
        schedules = self.manager.factory.informer(SCHEDULES, Schedule, namespace=self.namespace)
        reconciler = GcReconciler(
            self.client,
            backups=backups.lister,
            schedules=schedules.lister,
            requests=requests.lister,
            restores=self._restores().lister,
            gate=gate,
            cluster_id=self.stores.cluster_id,
            events=self.manager.events,
            clock=self.clock,
        )

        def all_backups(obj: Config | Schedule) -> Iterable[Key]:
            return [Key(one.metadata.namespace, one.metadata.name) for one in backups.lister.list(self.namespace)]

        def backup_of(request: DeleteBackupRequest) -> Iterable[Key]:
            return [Key(request.metadata.namespace, request.spec.backup_name)]

        controller = self.manager.controller("gc", reconciler)
        controller.watch(backups)
        controller.watch(requests, backup_of)
        controller.watch(schedules, all_backups, predicate=generation_changed)
        controller.watch(configs, all_backups, predicate=version_changed)

    def _add_deletion(
        self,
        backups: SharedInformer[Backup],
        requests: SharedInformer[DeleteBackupRequest],
        configs: SharedInformer[Config],
        gate: DeletionGate,
    ) -> None:
        controllers: list[Controller] = []

        def ended(key: Key) -> None:
            controllers[0].enqueue(key)

        def of_backup(backup: Backup) -> Iterable[Key]:
            return keys_of_backup(requests.lister, backup)

        def all_requests(obj: Config) -> Iterable[Key]:
            return [Key(one.metadata.namespace, one.metadata.name) for one in requests.lister.list(self.namespace)]

        operations: Operations[DeletionOutcome] = Operations("deletion", clock=self.clock, on_finished=ended)
        reconciler = DeletionReconciler(
            self.client,
            requests=requests.lister,
            backups=backups.lister,
            restores=self._restores().lister,
            stores=self.stores,
            gate=gate,
            operations=operations,
            unlisted=unlisted_snapshots(self.client, self.namespace, self.runner, self.scratch_dir),
            events=self.manager.events,
            clock=self.clock,
        )
        self.manager.add_operations(operations)
        controller = self.manager.controller("deletion", reconciler)
        controllers.append(controller)
        controller.watch(requests)
        controller.watch(backups, of_backup)
        controller.watch(configs, all_requests, predicate=version_changed)
