"""What an orphan sweep reads, in the order that makes a race harmless.

The API's objects come first, then the repositories, then the bucket: a backup that commits meanwhile is still in
progress in the first or listed in the last. What cannot be read is a problem, which stops the removal of anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from pkg.apis.ark import Backup
from pkg.apis.reasons import RepositoryPhase
from pkg.apis.volumes import PodVolumeBackup, ResticRepository
from pkg.backup.claim import ClaimDocument
from pkg.controllers.agent import VolumeFailure, read_password
from pkg.controllers.location_record import RecordInCluster
from pkg.controllers.orphan_plan import Directory, OrphanFacts, RepositoryFacts
from pkg.controllers.repositories import in_place
from pkg.controllers.stores import OpenStores
from pkg.controllers.tenancy import place_of
from pkg.kube.client import Client
from pkg.kube.refs import BACKUPS, POD_VOLUME_BACKUPS, RESTIC_REPOSITORIES
from pkg.kube.stop import StopToken
from pkg.objectstore.catalog import list_backups, read_metadata
from pkg.objectstore.errors import ObjectNotFoundError, StoreError
from pkg.objectstore.layout import backup_keys
from pkg.objectstore.preflight import preflight
from pkg.objectstore.store import ObjectStore
from pkg.restic.environment import restic_environment
from pkg.restic.errors import CancelledError, ResticError
from pkg.restic.maintenance import list_snapshots
from pkg.restic.repository import open_repository
from pkg.restic.runner import ResticRunner
from pkg.volumes.errors import VolumeListError
from pkg.volumes.ledger import from_json_gz


class SweepStoppedError(Exception):
    """The sweep was asked to end before it knew anything."""


class _UnreadableError(Exception):
    """Something that must be known cannot be read; the message says what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrphanReader:
    """Reads facts."""

    client: Client
    namespace: str
    runner: ResticRunner
    scratch_dir: Path
    cluster_id: str

    def read(self, stores: OpenStores, stop: StopToken) -> OrphanFacts:
        """All facts; blocks for as long as it takes to list every repository.

        Raises:
            SweepStoppedError: it was stopped.
            KubeError: the API does not answer.
        """
        backups = self.client.list(BACKUPS, self.namespace, Backup)
        captures = self.client.list(POD_VOLUME_BACKUPS, self.namespace, PodVolumeBackup)
        repositories = self.client.list(RESTIC_REPOSITORIES, self.namespace, ResticRepository)
        try:
            self._check_places(stores)
            found = self._repositories(repositories, stores, stop)
            directories = _directories(stores, stop)
        except _UnreadableError as error:
            return OrphanFacts(problem=str(error))
        except CancelledError as error:
            raise SweepStoppedError from error
        seen = {one.namespace for one in found}
        return OrphanFacts(
            repositories=found,
            directories=directories,
            backups=backups,
            captures=captures,
            unseen=frozenset(one.volume_namespace for one in repositories) - seen,
        )

    def _check_places(self, stores: OpenStores) -> None:
        """The lists of a place that this installation wrote to before may name snapshots in the same repositories."""
        here = place_of(stores.settings.location)
        others = [place for place in RecordInCluster(self.client, self.namespace).read().held if place != here]
        if others:
            raise _UnreadableError(f"this installation wrote to {others[0]} too, whose volume lists are not read")

    def _repositories(
        self, objects: Sequence[ResticRepository], stores: OpenStores, stop: StopToken
    ) -> list[RepositoryFacts]:
        usable = [one for one in objects if self._is_usable(one, stores)]
        try:
            if usable:
                preflight(stores.restic)  # restic itself would repeat for a quarter of an hour
            looked = [self._look(one, stores, stop) for one in usable]
        except StoreError as error:
            raise _UnreadableError(f"the place of the repositories cannot be read: {error}") from error
        return [one for one in looked if one is not None]

    def _is_usable(self, repository: ResticRepository, stores: OpenStores) -> bool:
        status = repository.status
        if status.cluster_id != self.cluster_id or status.phase != RepositoryPhase.READY or not status.repository_id:
            return False
        try:
            in_place(repository, stores.settings.location)
        except VolumeFailure:
            return False
        return True

    def _look(self, repository: ResticRepository, stores: OpenStores, stop: StopToken) -> RepositoryFacts | None:
        """The snapshots of a repository; None where another one lies there."""
        status = repository.status
        try:
            environment = restic_environment(
                repository=repository.spec.restic_identifier,
                password=read_password(self.client, self.namespace, status.password_generation),
                location=stores.settings.location,
                credentials=stores.settings.credentials,
                cache_dir=str(self.scratch_dir / "restic-cache"),
                key_hint=status.fast_key_id,
            )
            if open_repository(self.runner, environment, stop) != status.repository_id:
                return None
            found = list_snapshots(self.runner, environment, stop, {"cluster": self.cluster_id})
        except CancelledError:
            raise
        except (ResticError, VolumeFailure) as error:
            name = repository.metadata.name
            raise _UnreadableError(f"the snapshots of repository {name} cannot be listed: {error}") from error
        return RepositoryFacts(
            name=repository.metadata.name,
            namespace=repository.volume_namespace,
            repository_id=status.repository_id,
            snapshots=tuple(found),
            pending=frozenset(status.pending_forget or ()),
        )


def read_claim(store: ObjectStore, name: str) -> ClaimDocument | None:
    """Whose a directory is; None where nothing says so.

    Raises:
        StoreError: the store does not tell.
        msgspec.DecodeError: it is damaged.
    """
    try:
        return msgspec.json.decode(store.get(backup_keys(name).claim), type=ClaimDocument)
    except ObjectNotFoundError:
        return None


def _directories(stores: OpenStores, stop: StopToken) -> list[Directory]:
    store, found = stores.backups, []
    try:
        names = [name for name in list_backups(store) if name not in stores.settings.location.reserved_backup_names]
    except StoreError as error:
        raise _UnreadableError(f"the bucket cannot be listed: {error}") from error
    for name in names:
        if stop.cancelled:
            raise SweepStoppedError
        try:
            found.append(_directory(store, name))
        except (StoreError, VolumeListError, msgspec.DecodeError) as error:
            raise _UnreadableError(f"{name}/ in the bucket cannot be read: {error}") from error
    return found


def _directory(store: ObjectStore, name: str) -> Directory:
    keys = backup_keys(name)
    try:
        metadata = read_metadata(store, name).backup
    except ObjectNotFoundError:
        metadata = None
    claim = read_claim(store, name)
    unfinished = claim is not None and metadata is None
    there = tuple(key for key in keys.in_deletion_order if store.head(key) is not None) if unfinished else ()
    return Directory(name=name, keys=there, claim=claim, metadata=metadata, listed=_listed(store, keys.volumes))


def _listed(store: ObjectStore, key: str) -> frozenset[str] | None:
    try:
        ledger = from_json_gz(store.get(key))
    except ObjectNotFoundError:
        return None
    return frozenset(entry.snapshot_id for entry in ledger.entries if entry.snapshot_id)
