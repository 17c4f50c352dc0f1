"""The snapshots of a backup that has no volume list, as Ark 0.9's have none: found by their tags in the repositories.

The tags `backup` and `backup-uid` say whose a snapshot is, and nothing else is trusted: a pod's annotation may be left
over from an earlier restore and name another backup's. It only tells which volumes the backup had at all, and so that
a repository which should be there is missing. All of it is read before the first file goes, so a deletion that is run
again finds the same, or a backup whose snapshots were queued before its record was deleted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from pkg.apis.ark import Backup
from pkg.apis.names import BACKUP_VOLUMES_ANNOTATION, SNAPSHOT_ANNOTATION_PREFIX
from pkg.apis.reasons import Reason
from pkg.apis.volumes import ResticRepository
from pkg.backup.includes import includes
from pkg.controllers.agent import VolumeFailure
from pkg.controllers.deletion_snapshots import Snapshots
from pkg.controllers.repositories import in_place, repository_name, repository_object
from pkg.controllers.repository_opening import RepositoryOpener
from pkg.controllers.repository_password import find_repositories
from pkg.controllers.stores import OpenStores
from pkg.kube.client import Client
from pkg.kube.errors import NotFoundError
from pkg.kube.refs import RESTIC_REPOSITORIES
from pkg.kube.stop import StopToken
from pkg.objectstore.errors import StoreError
from pkg.objectstore.preflight import preflight
from pkg.restic.errors import CancelledError, ResticError
from pkg.restic.maintenance import list_snapshots
from pkg.restic.runner import ResticRunner
from pkg.restore.archive import Archive
from pkg.restore.errors import BackupDamagedError, BackupNotFoundError, StoreFailedError
from pkg.restore.reading import read_backup

PODS = "pods"


class _Metadata(msgspec.Struct, frozen=True, kw_only=True):
    annotations: dict[str, str] | None = None


class _Pod(msgspec.Struct, frozen=True, kw_only=True):
    """A pod in a tarball, as far as 0.9 wrote into it what it captured."""

    metadata: _Metadata = _Metadata()


@dataclass(frozen=True, slots=True, kw_only=True)
class Unlisted:
    """What was found; each problem says which snapshots are not known, or cannot be forgotten, and why."""

    snapshots: tuple[Snapshots, ...] = ()
    problems: tuple[tuple[Reason, str], ...] = ()


@dataclass(slots=True)
class _Search:
    snapshots: list[Snapshots] = field(default_factory=list)
    problems: list[tuple[Reason, str]] = field(default_factory=list)

    def stay(self, reason: Reason, message: str) -> None:
        self.problems.append((reason, message))


@dataclass(frozen=True, slots=True, kw_only=True)
class UnlistedSnapshots:
    """Finds them."""

    client: Client
    namespace: str
    opener: RepositoryOpener
    scratch_dir: Path

    def find(self, stores: OpenStores, name: str, stop: StopToken) -> Unlisted:
        """All snapshots of a backup in the bucket; blocks.

        Raises:
            CancelledError: it was stopped.
            StoreError: the store does not answer.
            ScratchFullError: there is no room to read the backup.
            KubeError: the API does not answer.
        """
        try:
            stored = read_backup(stores.backups, name, scratch_dir=str(self.scratch_dir))
        except BackupNotFoundError:  # its record went in an earlier run, and its snapshots were queued before
            return Unlisted()
        except BackupDamagedError as error:
            return _unknown(str(error))
        except StoreFailedError as error:
            raise error.__cause__ if isinstance(error.__cause__, StoreError) else error from error.__cause__
        try:
            captured = captured_volumes(stored.archive)
        except BackupDamagedError as error:
            return _unknown(str(error))
        finally:
            stored.archive.close()
        if not stored.backup.metadata.uid:
            return _unknown("its record has no UID")
        return self._search(stores, stored.backup, captured, stop)

    def _search(self, stores: OpenStores, backup: Backup, captured: Counter[str], stop: StopToken) -> Unlisted:
        there, found = find_repositories(stores.restic), _Search()
        for missing in sorted(set(captured) - set(there)):
            text = f"{captured[missing]} snapshots of namespace {missing} stay: the restic repository is missing"
            found.stay(Reason.REPOSITORY_MISSING, text)
        wanted = includes(backup.spec.included_namespaces, backup.spec.excluded_namespaces)
        namespaces = [one for one in there if one in captured or one in wanted]
        if namespaces:
            preflight(stores.restic)  # restic itself would repeat for a quarter of an hour
        for namespace in namespaces:
            self._look(stores, backup, namespace, found, stop)
        return Unlisted(snapshots=tuple(found.snapshots), problems=tuple(found.problems))

    def _look(self, stores: OpenStores, backup: Backup, namespace: str, found: _Search, stop: StopToken) -> None:
        repository = self._repository(stores, namespace)
        tags = {"backup": backup.metadata.name, "backup-uid": backup.metadata.uid}
        try:
            opened = self.opener.open(in_place(repository, stores.settings.location), stores, stop)
            pinned = repository.status.repository_id
            if pinned and opened.repository_id != pinned:
                text = f"snapshots of namespace {namespace} stay: its repository is another one now"
                found.stay(Reason.FOREIGN_REPOSITORY, text)
                return
            snapshots = list_snapshots(self.opener.runner, opened.environment, stop, tags)
        except CancelledError:
            raise
        except (ResticError, VolumeFailure) as error:
            found.stay(error.reason, f"the snapshots of namespace {namespace} cannot be listed: {error}")
            return
        if snapshots:
            found.snapshots.append(
                Snapshots(
                    namespace=namespace,
                    repository=repository.metadata.name,
                    repository_id=opened.repository_id,
                    ids=tuple(sorted(one.id for one in snapshots)),
                )
            )

    def _repository(self, stores: OpenStores, namespace: str) -> ResticRepository:
        """The object, or what it would be where nothing was captured or restored here yet."""
        name = repository_name(namespace)
        try:
            return self.client.get(RESTIC_REPOSITORIES, self.namespace, name, ResticRepository)
        except NotFoundError:
            body = repository_object(name, self.namespace, namespace, stores.settings.location, initialize=False)
            return msgspec.convert(body, ResticRepository)


def unlisted_snapshots(client: Client, namespace: str, runner: ResticRunner, scratch_dir: Path) -> UnlistedSnapshots:
    """Finds them with these; no cheap key is made on the way."""
    opener = RepositoryOpener(
        client=client, namespace=namespace, runner=runner, scratch_dir=scratch_dir, fast_keys=None
    )
    return UnlistedSnapshots(client=client, namespace=namespace, opener=opener, scratch_dir=scratch_dir)


def _unknown(why: str) -> Unlisted:
    return Unlisted(problems=((Reason.BACKUP_DAMAGED, f"its snapshots are not known: {why}"),))


def captured_volumes(archive: Archive) -> Counter[str]:
    """How many volumes were captured in each namespace, as the pods in a tarball say.

    Raises:
        BackupDamagedError: a pod does not decode.
    """
    found: Counter[str] = Counter()
    for entry in archive.of(PODS):
        pod = msgspec.convert(archive.read(entry), _Pod)
        found[entry.namespace] += sum(1 for _ in _captured(pod.metadata.annotations or {}))
    return +found


def _captured(annotations: dict[str, str]) -> Iterator[str]:
    """The volumes that were asked for and have a snapshot; one that was not asked for has another backup's."""
    for volume in annotations.get(BACKUP_VOLUMES_ANNOTATION, "").split(","):
        if volume.strip() and annotations.get(f"{SNAPSHOT_ANNOTATION_PREFIX}{volume.strip()}"):
            yield volume
