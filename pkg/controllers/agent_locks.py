"""An agent's controller of its own locks: a repository in which a child left one is swept until it is gone.

At the end of such a child at once, and once more when what it sent last must have arrived; at the agent's start in
every repository that knows an earlier process of its pod. It costs one listing of the store where nothing was left,
and an agent whose children end orderly never asks. Killed at any line, the next process finds the record of this one.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog

from pkg.apis.volumes import ResticRepository
from pkg.controllers.agent import Agent, VolumeFailure
from pkg.controllers.config import Settings, SettingsError
from pkg.controllers.lock_keeping import LockKeeping
from pkg.controllers.lock_sweep import LockSweep, Swept
from pkg.controllers.own_locks import SETTLE
from pkg.controllers.repositories import in_place
from pkg.kube.stop import StopToken
from pkg.manager.operations import Crashed, Operations, Running, Succeeded
from pkg.manager.reconciler import Result, again_in, done
from pkg.objectstore.errors import StoreError
from pkg.objectstore.store import ObjectStore
from pkg.restic.errors import ResticError
from pkg.restic.locks import LockContent
from pkg.restic.runner import ResticRunner
from pkg.workqueue.key import Key

RETRY_SECONDS = 30.0
AT_ONCE = 4
_TURN_SECONDS = 1.0

log = structlog.get_logger()


class AgentLockReconciler:
    """Sweeps repositories in which a lock of this agent's may have been left, some at once; for one worker."""

    def __init__(
        self,
        agent: Agent,
        keeping: LockKeeping,
        *,
        operations: Operations[Swept | None],
        runner: ResticRunner,
        open_store: Callable[[Settings], ObjectStore],
    ) -> None:
        self._agent = agent
        self._keeping = keeping
        self._operations = operations
        self._runner = runner
        self._open_store = open_store
        self._sweeping: set[Key] = set()
        self._known: dict[str, dict[str, LockContent]] = {}  # by UID: locks that are still there, for none changes

    def reconcile(self, key: Key) -> Result:
        """Takes one step for the repository of that key."""
        outcome = self._operations.observe(key)
        if isinstance(outcome, Running):
            return done()
        repository = self._agent.repositories.get(key.namespace, key.name)
        self._operations.forget(key)
        self._sweeping.discard(key)
        if repository is None or not self._keeping.own.is_due(repository):
            return done()
        match outcome:
            case Succeeded(result=None) | Crashed():
                return again_in(RETRY_SECONDS)
            case Succeeded():
                return again_in(SETTLE.total_seconds())
        if len(self._sweeping) >= AT_ONCE:
            return again_in(_TURN_SECONDS)
        self._sweeping.add(key)
        self._operations.start(key, lambda stop: self._sweep(repository, stop))
        return done()

    def _sweep(self, repository: ResticRepository, stop: StopToken) -> Swept | None:
        """What was removed and left; None where it must be tried again."""
        began = self._agent.clock.now()
        try:
            swept = self._swept(repository, stop)
        except (StoreError, ResticError, SettingsError, VolumeFailure) as error:
            log.warning("Locks not swept", repository=repository.metadata.key, error=str(error))
            return None
        if swept is not None and swept.complete:
            self._keeping.own.swept(repository, began)
        return swept

    def _swept(self, repository: ResticRepository, stop: StopToken) -> Swept | None:
        settings = self._agent.config.settings()
        address, directory = repository.spec.restic_identifier, repository.volume_namespace
        if settings.restore_only:
            return None
        in_place(repository, settings.location)
        sweep = LockSweep(
            store=self._open_store(settings),
            directory=directory,
            runner=self._runner,
            environment=lambda: self._agent.environment(repository, address, stop),
            why_dead=lambda lock: self._keeping.own.why_dead(lock, address),
            known=self._known.setdefault(repository.metadata.uid, {}),
        )
        return sweep.run(stop)
