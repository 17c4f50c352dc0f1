"""Puts the controller of repositories together: who looks at them, and what wakes it."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pkg.apis.reasons import Reason
from pkg.apis.volumes import PodVolumeBackup, PodVolumeRestore, ResticRepository
from pkg.controllers.fast_keys import FastKeys
from pkg.controllers.repository_identity import RepositoryFinding
from pkg.controllers.repository_looks import doubted_at, is_doubt
from pkg.controllers.restic_repository import ResticRepositoryReconciler
from pkg.controllers.stores import Stores
from pkg.informers.informer import SharedInformer
from pkg.kube.client import Client
from pkg.kube.clock import Clock
from pkg.manager.controller import Controller
from pkg.manager.manager import Manager
from pkg.manager.operations import Operations
from pkg.manager.predicates import Change
from pkg.restic.runner import ResticRunner
from pkg.workqueue.key import Key


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryParts:
    """What the controller is given by the server; `fast_keys` is None where none are to be made."""

    client: Client
    namespace: str
    repositories: SharedInformer[ResticRepository]
    captures: SharedInformer[PodVolumeBackup]
    fillings: SharedInformer[PodVolumeRestore]
    stores: Stores
    runner: ResticRunner
    scratch_dir: Path
    clock: Clock
    fast_keys: FastKeys | None


def add_repositories(manager: Manager, parts: RepositoryParts) -> Controller:
    """Adds the controller that opens repositories and, where allowed, makes them."""
    late: list[Controller] = []

    def ended(key: Key) -> None:
        for controller in late:
            controller.enqueue(key)

    def doubted(repository: ResticRepository) -> datetime.datetime | None:
        namespace = parts.namespace
        return doubted_at(repository, parts.captures.lister.list(namespace), parts.fillings.lister.list(namespace))

    def tell(repository: ResticRepository, reason: Reason, message: str) -> None:
        manager.events.event(repository, reason, message, warning=True)

    operations: Operations[RepositoryFinding] = Operations("repository", clock=parts.clock, on_finished=ended)
    manager.add_operations(operations)
    reconciler = ResticRepositoryReconciler(
        parts.client,
        parts.namespace,
        parts.repositories.lister,
        stores=parts.stores,
        runner=parts.runner,
        operations=operations,
        clock=parts.clock,
        scratch_dir=parts.scratch_dir,
        fast_keys=parts.fast_keys,
        doubted_at=doubted,
        tell=tell,
    )
    controller = manager.controller("restic-repository", reconciler)
    controller.watch(parts.repositories)
    controller.watch(parts.captures, _repository_keys, predicate=_met_trouble)
    controller.watch(parts.fillings, _repository_keys, predicate=_met_trouble)
    late.append(controller)
    return controller


def _repository_keys(obj: PodVolumeBackup | PodVolumeRestore) -> Iterable[Key]:
    return (Key(obj.metadata.namespace, obj.spec.repository),) if obj.spec.repository else ()


def _met_trouble(change: Change[PodVolumeBackup] | Change[PodVolumeRestore]) -> bool:
    return change.new is not None and is_doubt(change.new)
