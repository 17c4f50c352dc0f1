"""Puts an agent's care of its locks together: before the agent, whose runner it is, and with the manager after it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pkg.apis.volumes import ResticRepository
from pkg.controllers.agent import Agent
from pkg.controllers.agent_locks import AgentLockReconciler
from pkg.controllers.config import Settings
from pkg.controllers.holder_records import HolderRecords, Identity
from pkg.controllers.lock_keeping import LockKeeping
from pkg.controllers.lock_sweep import Swept
from pkg.controllers.own_locks import OwnLocks
from pkg.informers.informer import SharedInformer
from pkg.kube.client import Client
from pkg.kube.clock import Clock
from pkg.manager.manager import Manager
from pkg.manager.operations import Operations
from pkg.objectstore.store import ObjectStore
from pkg.restic.runner import ResticRunner
from pkg.workqueue.key import Key


@dataclass(frozen=True, slots=True, kw_only=True)
class LockParts:
    """What it is made of.

    Attributes:
        runner: Starts restic to read a lock.
        running: Numbers of the children that run now.
        open_store: Opens the store of the repositories.
    """

    client: Client
    namespace: str
    clock: Clock
    identity: Identity
    runner: ResticRunner
    running: Callable[[], set[int]]
    repositories: SharedInformer[ResticRepository]
    open_store: Callable[[Settings], ObjectStore]


def lock_keeping(parts: LockParts) -> LockKeeping:
    """What the agent's runner is wrapped with."""
    return LockKeeping(
        client=parts.client,
        namespace=parts.namespace,
        clock=parts.clock,
        repositories=parts.repositories.lister,
        records=HolderRecords(client=parts.client, clock=parts.clock, identity=parts.identity),
        own=OwnLocks(parts.identity, parts.running),
    )


def add_lock_sweeps(manager: Manager, agent: Agent, keeping: LockKeeping, parts: LockParts) -> None:
    """Adds the controller that removes what was left."""

    def wake(key: Key) -> None:
        controller.enqueue(key)

    operations: Operations[Swept | None] = Operations("locks", clock=parts.clock, on_finished=wake)
    reconciler = AgentLockReconciler(
        agent, keeping, operations=operations, runner=parts.runner, open_store=parts.open_store
    )
    controller = manager.controller("locks", reconciler)
    controller.watch(parts.repositories)
    manager.add_operations(operations)
    keeping.wake = wake
