"""What an agent does about locks around each restic: says who takes one, whom it waits for, and what is left."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from pkg.apis.reasons import Reason
from pkg.apis.volumes import ResticRepository
from pkg.controllers.holder_records import HolderRecords
from pkg.controllers.kept_runner import EndedChild, KeptRunner
from pkg.controllers.lock_plan import describe
from pkg.controllers.own_locks import OwnLocks
from pkg.informers.lister import Lister
from pkg.kube.client import Client
from pkg.kube.clock import Clock
from pkg.kube.errors import KubeError
from pkg.kube.refs import RESTIC_REPOSITORIES
from pkg.kube.stop import StopToken
from pkg.restic.errors import ResticFailedError
from pkg.restic.locks import Lock
from pkg.restic.patient import PatientRunner
from pkg.restic.runner import ResticRunner
from pkg.workqueue.key import Key

log = structlog.get_logger()


@dataclass(slots=True, kw_only=True)
class LockKeeping:
    """What an agent needs to mind its locks.

    Attributes:
        wake: Has a repository's locks looked at.
    """

    client: Client
    namespace: str
    clock: Clock
    repositories: Lister[ResticRepository]
    records: HolderRecords
    own: OwnLocks
    wake: Callable[[Key], None] = field(default=lambda key: None)

    def runner(self, inner: ResticRunner) -> ResticRunner:
        """The runner by which volumes are moved."""
        return KeptRunner(inner, self.clock, before=self._before, left_behind=self._left_behind)

    def patient(self, inner: ResticRunner, say: Callable[[str], None]) -> ResticRunner:
        """A runner that says whose lock it waits for."""
        return PatientRunner(inner, self.clock, on_locked=say, describe=self._describe)

    def _before(self, address: str, stop: StopToken) -> None:
        repository = self._of(address)
        if repository is None:
            raise ResticFailedError(
                verb="lock",
                repository=address,
                exit_code=0,
                reason=Reason.REPOSITORY_NOT_READY,
                message=f"no ResticRepository is at {address}",
            )
        self.own.taking(repository)
        self.records.record(repository, stop)

    def _left_behind(self, child: EndedChild) -> None:
        self.own.ended(child)
        repository = self._of(child.repository)
        if repository is not None:
            self.wake(Key(repository.metadata.namespace, repository.metadata.name))

    def _of(self, address: str) -> ResticRepository | None:
        """The repository at an address, from the cache or, where that does not show it yet, from the API."""
        for found in (self.repositories.list, self._live):
            for repository in found(self.namespace):
                if repository.spec.restic_identifier == address:
                    return repository
        return None

    def _live(self, namespace: str) -> list[ResticRepository]:
        try:
            return self.client.list(RESTIC_REPOSITORIES, namespace, ResticRepository)
        except KubeError as error:
            log.warning("Repositories cannot be listed", error=str(error))
            return []

    def _describe(self, lock: Lock) -> str:
        holders = {
            uid: holder
            for repository in self.repositories.list(self.namespace)
            for uid, holder in (repository.status.holders or {}).items()
        }
        return describe(lock, holders, self.clock.now())
