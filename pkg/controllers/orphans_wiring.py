"""Adds the orphan sweep to a server."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge

from pkg.apis.ark import Config
from pkg.controllers.deletion_gate import DeletionGate
from pkg.controllers.orphan_facts import OrphanReader
from pkg.controllers.orphans import OrphanReconciler, OrphanSweep, SweepOutcome
from pkg.controllers.stores import Stores
from pkg.informers.informer import SharedInformer
from pkg.kube.client import Client
from pkg.kube.clock import Clock
from pkg.manager.controller import Controller
from pkg.manager.manager import Manager
from pkg.manager.operations import Operations
from pkg.restic.runner import ResticRunner
from pkg.workqueue.key import Key


@dataclass(frozen=True, slots=True, kw_only=True)
class OrphanParts:
    """What the sweep is given by the server."""

    client: Client
    namespace: str
    configs: SharedInformer[Config]
    stores: Stores
    runner: ResticRunner
    scratch_dir: Path
    registry: CollectorRegistry
    clock: Clock


def orphan_gauge(registry: CollectorRegistry) -> Gauge:
    """The series of what the last sweep found."""
    return Gauge("ark_orphans", "Snapshots and files that no backup names, by kind.", ("kind",), registry=registry)


def add_orphans(manager: Manager, parts: OrphanParts) -> None:
    """Adds the controller that looks for orphans."""
    controllers: list[Controller] = []

    def ended(key: Key) -> None:
        controllers[0].enqueue(key)

    operations: Operations[SweepOutcome] = Operations("orphans", clock=parts.clock, on_finished=ended)
    manager.add_operations(operations)
    gate = DeletionGate(configs=parts.configs.lister, namespace=parts.namespace, stores=parts.stores)
    reader = OrphanReader(
        client=parts.client,
        namespace=parts.namespace,
        runner=parts.runner,
        scratch_dir=parts.scratch_dir,
        cluster_id=parts.stores.cluster_id,
    )
    sweep = OrphanSweep(
        client=parts.client,
        namespace=parts.namespace,
        stores=parts.stores,
        gate=gate,
        reader=reader,
        clock=parts.clock,
    )
    reconciler = OrphanReconciler(
        sweep, gate=gate, operations=operations, gauge=orphan_gauge(parts.registry), clock=parts.clock
    )
    controller = manager.controller("orphans", reconciler)
    controller.watch(parts.configs)
    controllers.append(controller)
