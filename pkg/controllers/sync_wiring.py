"""Adds the sync to a server."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from pkg.apis.ark import Backup, Config
from pkg.apis.names import CONFIG_NAME
from pkg.controllers.stores import Stores
from pkg.controllers.sync import BackupSync, SyncReport
from pkg.controllers.sync_metrics import SyncMetrics
from pkg.controllers.sync_reconciler import SyncReconciler
from pkg.informers.informer import SharedInformer
from pkg.kube.client import Client
from pkg.kube.clock import Clock
from pkg.kube.refs import BACKUPS, CONFIGS
from pkg.manager.controller import Controller
from pkg.manager.manager import Manager
from pkg.manager.operations import Operations
from pkg.workqueue.key import Key


def add_sync(
    manager: Manager, client: Client, *, namespace: str, stores: Stores, registry: CollectorRegistry, clock: Clock
) -> None:
    """Adds the controller that looks through the bucket."""
    backups = manager.factory.informer(BACKUPS, Backup, namespace=namespace)
    configs: SharedInformer[Config] = manager.factory.informer(CONFIGS, Config, namespace=namespace)
    controllers: list[Controller] = []

    def complain(name: str, reason: str, message: str) -> None:
        config = configs.lister.get(namespace, CONFIG_NAME)
        if config is not None:
            manager.events.event(config, reason, message, warning=True)

    def ended(key: Key) -> None:
        controllers[0].enqueue(key)

    operations: Operations[SyncReport | str] = Operations("backup-sync", clock=clock, on_finished=ended)
    manager.add_operations(operations)
    reconciler = SyncReconciler(
        client,
        namespace,
        backups.lister,
        stores=stores,
        sync=BackupSync(client, namespace, clock=clock, complain=complain),
        operations=operations,
        metrics=SyncMetrics(registry),
        clock=clock,
    )
    controller = manager.controller("backup-sync", reconciler)
    controller.watch(configs)
    controller.watch(backups, lambda backup: ())  # none wakes it, but it must not begin before it knows them
    controllers.append(controller)
