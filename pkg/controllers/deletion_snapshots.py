"""The restic snapshots of a deleted backup: queued in their repositories, where a Job forgets them in batches.

A snapshot is queued before the first file goes, because the volume list is its only record. Queueing twice is
harmless: forgetting what is not there does nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import structlog

from pkg.apis.reasons import Reason
from pkg.apis.volumes import PodVolumeBackup, ResticRepository
from pkg.controllers.repositories import repository_name, repository_object
from pkg.controllers.status import patch_status
from pkg.kube.backoff import retry_on_conflict
from pkg.kube.client import Client
from pkg.kube.errors import AlreadyExistsError, NotFoundError
from pkg.kube.refs import RESTIC_REPOSITORIES
from pkg.kube.stop import StopToken
from pkg.objectstore.location import StorageLocation
from pkg.objectstore.store import ObjectStore
from pkg.volumes.ledger import Ledger

PENDING_LIMIT = 5000  # ids of 64 digits: a third of a megabyte, of what etcd takes at most one and a half

log = structlog.get_logger()


class QueueFullError(Exception):
    """The repository has as many snapshots to forget as it can list; maintenance must come first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshots:
    """The snapshots of one backup in one repository; `repository_id` is empty where nobody wrote it down."""

    namespace: str
    repository: str
    repository_id: str
    ids: tuple[str, ...]


def snapshots_of(ledger: Ledger | None, captures: Iterable[PodVolumeBackup]) -> tuple[Snapshots, ...]:
    """All snapshots that a backup made.

    Args:
        ledger: The volume list, which names what a restore uses.
        captures: PodVolumeBackups of this backup's UID: the only record where a backup failed before its commit.
    """
    found: dict[tuple[str, str, str], dict[str, None]] = {}
    for entry in ledger.entries if ledger else ():
        if entry.snapshot_id:
            name = entry.repository or repository_name(entry.namespace)
            found.setdefault((entry.namespace, name, entry.repository_id), {})[entry.snapshot_id] = None
    listed = {identity for ids in found.values() for identity in ids}
    for capture in captures:
        identity, namespace = capture.status.snapshot_id, capture.spec.pod.namespace
        if identity and identity not in listed:
            name = capture.spec.repository or repository_name(namespace)
            found.setdefault((namespace, name, capture.status.repository_id), {})[identity] = None
    return tuple(
        Snapshots(namespace=namespace, repository=name, repository_id=repository_id, ids=tuple(ids))
        for (namespace, name, repository_id), ids in sorted(found.items())
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetQueue:
    """The queues of the repositories of one location."""

    client: Client
    namespace: str
    location: StorageLocation
    restic: ObjectStore

    def problem(self, snapshots: Snapshots) -> str:
        """Why these snapshots cannot be queued; empty when they can."""
        repository = self._find(snapshots.repository)
        where = f"{len(snapshots.ids)} snapshots of namespace {snapshots.namespace} stay"
        if repository is None:
            exists = self.restic.head(f"{snapshots.namespace}/config") is not None
            return "" if exists else f"{where}: the restic repository is missing"
        pinned = repository.status.repository_id
        if _is_given_up(repository, snapshots):
            return ""
        if pinned and snapshots.repository_id not in ("", pinned):
            return f"{where}: ResticRepository {snapshots.repository} is another repository now"
        if repository.status.reason == Reason.REPOSITORY_MISSING:
            return f"{where}: {repository.status.message or 'the restic repository is missing'}"
        return ""

    def add(self, snapshots: Snapshots, stop: StopToken) -> None:
        """Queues them.

        Raises:
            QueueFullError: there is no room; nothing was queued.
        """
        retry_on_conflict(lambda: self._add(snapshots), stop=stop)

    def _add(self, snapshots: Snapshots) -> None:
        repository = self._find(snapshots.repository) or self._make(snapshots)
        if _is_given_up(repository, snapshots):
            log.info(
                "Snapshots went with their repository", repository=snapshots.repository, id=snapshots.repository_id
            )
            return
        pending = repository.status.pending_forget or ()
        queued = tuple(dict.fromkeys((*pending, *snapshots.ids)))
        if queued == tuple(pending):
            return
        if pending and len(queued) > PENDING_LIMIT:
            raise QueueFullError(
                f"ResticRepository {snapshots.repository} has {len(pending)} snapshots to forget; "
                f"{len(snapshots.ids)} more wait for its maintenance"
            )
        patch_status(self.client, RESTIC_REPOSITORIES, repository, {"pendingForget": list(queued)})
        log.info("Snapshots to forget", repository=snapshots.repository, snapshots=len(snapshots.ids))

    def _find(self, name: str) -> ResticRepository | None:
        try:
            return self.client.get(RESTIC_REPOSITORIES, self.namespace, name, ResticRepository)
        except NotFoundError:
            return None

    def _make(self, snapshots: Snapshots) -> ResticRepository:
        """The object for a repository that lies in the store and that nothing here has opened yet."""
        name, namespace = snapshots.repository, snapshots.namespace
        body = repository_object(name, self.namespace, namespace, self.location, initialize=False)
        try:
            return self.client.create(RESTIC_REPOSITORIES, self.namespace, body, ResticRepository)
        except AlreadyExistsError:
            return self.client.get(RESTIC_REPOSITORIES, self.namespace, name, ResticRepository)


def _is_given_up(repository: ResticRepository, snapshots: Snapshots) -> bool:
    """Whether they were in a repository that somebody gave up: they went with it, and there is nothing to forget.

    One that was given up and came back is pinned again, and holds them still.
    """
    status = repository.status
    return snapshots.repository_id != status.repository_id and snapshots.repository_id in {
        one.id for one in status.replaced or ()
    }
