"""Adds the care of dead holders to the server."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pkg.apis.holders import HolderPod
from pkg.apis.volumes import ResticRepository
from pkg.controllers.gone_holders import HolderCleaner, HolderFinding, HolderReconciler, repositories_of_pod
from pkg.controllers.holder_pods import HolderPods
from pkg.controllers.repository_access import RepositoryAccess
from pkg.controllers.stores import Stores
from pkg.informers.informer import SharedInformer
from pkg.kube.client import Client
from pkg.kube.clock import Clock
from pkg.kube.refs import PODS
from pkg.manager.manager import Manager
from pkg.manager.operations import Operations
from pkg.restic.runner import ResticRunner
from pkg.workqueue.key import Key


@dataclass(frozen=True, slots=True, kw_only=True)
class HolderParts:
    """What it is given by the server."""

    namespace: str
    repositories: SharedInformer[ResticRepository]
    stores: Stores
    runner: ResticRunner
    scratch_dir: Path
    clock: Clock


def add_gone_holders(manager: Manager, client: Client, given: HolderParts) -> None:
    """Adds the controller; a pod's change wakes the repositories that know it."""
    pods = manager.factory.informer(PODS, HolderPod, namespace=given.namespace)

    def wake(key: Key) -> None:
        controller.enqueue(key)

    operations: Operations[HolderFinding | None] = Operations("dead-holders", clock=given.clock, on_finished=wake)
    cleaner = HolderCleaner(
        pods=HolderPods(client=client, clock=given.clock),
        stores=given.stores,
        runner=given.runner,
        access=RepositoryAccess(client=client, namespace=given.namespace, scratch_dir=given.scratch_dir),
    )
    lister = given.repositories.lister
    reconciler = HolderReconciler(client, lister, pods.lister, cleaner=cleaner, operations=operations)
    controller = manager.controller("dead-holders", reconciler)
    controller.watch(given.repositories)
    controller.watch(pods, repositories_of_pod(lister, given.namespace))
    manager.add_operations(operations)
