"""The backup engine's view of volumes: repositories made Ready by one controller, captures created and watched."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import msgspec

from pkg.apis.reasons import Reason
from pkg.apis.volumes import PodVolumeBackupSpec, PodVolumeBackupStatus
from pkg.backup.job import OnStatuses
from pkg.backup.podvolumes import RepositoryFailed, RepositoryReady
from pkg.controllers.agent import VolumeFailure
from pkg.controllers.captures import Captures
from pkg.controllers.damaged_captures import in_damaged
from pkg.controllers.repositories import Repositories
from pkg.kube.stop import StopToken
from pkg.objectstore.location import StorageLocation
from pkg.volumes.ledger import LedgerEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerCapturer:
    """pkg.backup.job.VolumeCapturer over the API; `timeout` is each volume's, as a Go duration, empty for none."""

    captures: Captures
    repositories: Repositories
    location: StorageLocation
    timeout: str = ""

    def ensure_repository(
        self, namespace: str, *, may_initialize: Callable[[], bool], stop: StopToken
    ) -> RepositoryReady | RepositoryFailed:
        """Blocks until the namespace's repository is Ready or known not to be."""
        try:
            ready = self.repositories.ensure(namespace, self.location, may_initialize=may_initialize, stop=stop)
        except VolumeFailure as error:
            return RepositoryFailed(reason=error.reason, message=error.message)
        return RepositoryReady(
            name=ready.metadata.name,
            identifier=ready.spec.restic_identifier,
            repository_id=ready.status.repository_id,
        )

    def start(self, entry: LedgerEntry, spec: PodVolumeBackupSpec) -> None:
        """Asks for a capture."""
        self.captures.want(entry.capture, msgspec.structs.replace(spec, timeout=self.timeout))

    def release(self, captures: Iterable[str]) -> None:
        """Lets held captures run."""
        self.captures.release(captures)

    def cancel(self, captures: Iterable[str], reason: Reason) -> None:
        """Ends captures."""
        self.captures.cancel(captures, reason)

    def wait(self, stop: StopToken, on_change: OnStatuses) -> dict[str, PodVolumeBackupStatus]:
        """Blocks until every capture that was asked for has a result."""
        results = self.captures.wait(stop, on_change)
        return in_damaged(results, self.repositories.lister.list(self.repositories.namespace))
