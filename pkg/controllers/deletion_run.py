"""One deletion from the first look to the last object; it may die at any line and be run again.

The order is what makes that safe. Everything is read and judged first, while the backup is whole. Then the Backup is
marked Deleting, so that no restore begins; its snapshots are queued, while the volume list that names them is there;
its restores' files go, then its own, the one that makes it exist first and the claim on its name last; and when
nothing is left in the bucket the objects go, the Backup last of all.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import structlog

from pkg.apis.ark import Backup, Restore
from pkg.apis.names import BACKUP_NAME_LABEL, BACKUP_UID_LABEL
from pkg.apis.reasons import TERMINAL_PHASES, BackupPhase, Reason
from pkg.apis.volumes import PodVolumeBackup
from pkg.controllers.config import SettingsError
from pkg.controllers.deletion_facts import open_restores
from pkg.controllers.deletion_files import BackupFiles, look_at_files
from pkg.controllers.deletion_snapshots import ForgetQueue, QueueFullError, Snapshots, snapshots_of
from pkg.controllers.deletion_unlisted import UnlistedSnapshots
from pkg.controllers.status import patch_status
from pkg.controllers.stores import OpenStores, StoreFailure, store_reason
from pkg.kube.backoff import Backoff, retry_on_conflict
from pkg.kube.client import Client
from pkg.kube.clock import Clock
from pkg.kube.errors import ConflictError, NotFoundError
from pkg.kube.refs import BACKUPS, POD_VOLUME_BACKUPS, RESTORES
from pkg.kube.resources import ResourceRef
from pkg.kube.stop import StopToken
from pkg.objectstore.errors import StoreError, StoreUnreachableError
from pkg.restic.errors import CancelledError
from pkg.restore.errors import RestoreError
from pkg.volumes.naming import label_value

STORE_ATTEMPTS = 4
RESTORE_WAIT_SECONDS = 15.0
QUEUE_WAIT_SECONDS = 600.0

log = structlog.get_logger()

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletionJob:
    """What to delete, and with what.

    Attributes:
        backup: As the API server had it.
        force: Go on where something cannot be deleted.
        stores: Gives the stores after they were found to be this cluster's; raises SettingsError and StoreFailure.
        hold: Why nothing may be deleted right now; empty when it may.
    """

    client: Client
    backup: Backup
    force: bool
    stores: Callable[[], OpenStores]
    hold: Callable[[], str]
    clock: Clock
    unlisted: UnlistedSnapshots


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletionOutcome:
    """How a deletion ended.

    Attributes:
        errors: What could not be deleted; with force the rest went all the same.
        retry_seconds: Set where it has not ended: when to go on, for the reason in `message`.
    """

    errors: tuple[str, ...] = ()
    reason: Reason | None = None
    message: str = ""
    retry_seconds: float | None = None


class _WaitError(Exception):
    """It must go on later."""

    def __init__(self, reason: Reason | None, message: str, seconds: float) -> None:
        super().__init__(message)
        self.reason = reason
        self.seconds = seconds


class _GiveUpError(Exception):
    """Something could not be deleted, and nobody forces it."""


def run_deletion(job: DeletionJob, stop: StopToken) -> DeletionOutcome:
    """Deletes a backup and all that belongs to it; blocks."""
    return _Deletion(job, stop).run()


class _Deletion:
    """The steps of one run."""

    def __init__(self, job: DeletionJob, stop: StopToken) -> None:
        self._job = job
        self._stop = stop
        self._errors: list[str] = []
        self._reason: Reason | None = None
        self._client = job.client
        self._namespace = job.backup.metadata.namespace
        self._name = job.backup.metadata.name

    def run(self) -> DeletionOutcome:
        files = BackupFiles()
        snapshots: tuple[Snapshots, ...] = ()
        try:
            stores = self._stores()
            if stores is not None:
                files = self._look(stores)
                snapshots = self._snapshots(stores, files)
            self._mark()
            if stores is not None:
                self._queue(stores, snapshots)
                self._delete_files(stores, files)
            self._delete_objects()
        except _WaitError as error:
            return DeletionOutcome(reason=error.reason, message=str(error), retry_seconds=error.seconds)
        except _GiveUpError:
            return self._ended("the backup was not deleted, or not wholly")
        return self._ended(_deleted_text(files, snapshots))

    def _ended(self, message: str) -> DeletionOutcome:
        return DeletionOutcome(errors=tuple(self._errors), reason=self._reason, message=message)

    def _fail(self, reason: Reason, message: str) -> None:
        """Notes what went wrong; without force that is the end."""
        self._errors.append(message)
        self._reason = self._reason or reason
        log.warning("Deletion incomplete", backup=self._job.backup.metadata.key, reason=reason.value, error=message)
        if not self._job.force:
            raise _GiveUpError(message)

    def _stores(self) -> OpenStores | None:
        try:
            return self._job.stores()
        except (SettingsError, StoreFailure) as error:
            self._fail(error.reason, error.message)
            return None

    def _look(self, stores: OpenStores) -> BackupFiles:
        try:
            files = self._asked(lambda: look_at_files(stores.backups, self._job.backup))
        except StoreError as error:
            self._fail(store_reason(error), f"error reading backup from object storage: {error}")
            return BackupFiles()
        if files.foreign:
            log.warning("Files left alone", backup=self._job.backup.metadata.key, why=files.foreign)
        if files.problem:
            self._fail(Reason.BACKUP_DAMAGED, f"its snapshots are not known: {files.problem}")
        self._tell_of_disk_snapshots()
        return files

    def _tell_of_disk_snapshots(self) -> None:
        """0.9's snapshots of cloud disks, which only the cloud's own tools delete; they cost money for ever."""
        disks = self._job.backup.status.volume_backups or {}
        if disks:
            shown = ", ".join(f"{one.snapshot_id} of {volume}" for volume, one in sorted(disks.items())[:20])
            text = f"{len(disks)} snapshots of cloud disks stay, delete them with the cloud's own tools: {shown}"
            self._fail(Reason.DISK_SNAPSHOTS, text)

    def _snapshots(self, stores: OpenStores, files: BackupFiles) -> tuple[Snapshots, ...]:
        """The snapshots that can be queued; the others are errors."""
        queue, usable = self._forget_queue(stores), []
        for one in (*snapshots_of(files.ledger, self._captures()), *self._unlisted(stores, files)):
            problem = self._problem(queue, one)
            if problem:
                self._fail(Reason.REPOSITORY_MISSING, problem)
            else:
                usable.append(one)
        return tuple(usable)

    def _unlisted(self, stores: OpenStores, files: BackupFiles) -> tuple[Snapshots, ...]:
        """What a backup without a volume list has in the repositories; what is not known is an error."""
        if files.ledger is not None or files.problem or not files.committed:
            return ()
        try:
            found = self._asked(lambda: self._job.unlisted.find(stores, self._name, self._stop))
        except CancelledError as error:
            raise _WaitError(None, "the server stopped", 0.0) from error
        except StoreError as error:
            self._fail(store_reason(error), f"its snapshots are not known: {error}")
            return ()
        except RestoreError as error:
            self._fail(error.reason, f"its snapshots are not known: {error}")
            return ()
        for reason, problem in found.problems:
            self._fail(reason, problem)
        return found.snapshots

    def _problem(self, queue: ForgetQueue, snapshots: Snapshots) -> str:
        try:
            return self._asked(lambda: queue.problem(snapshots))
        except StoreError as error:
            return f"repository of namespace {snapshots.namespace} not found: {error}"

    def _forget_queue(self, stores: OpenStores) -> ForgetQueue:
        return ForgetQueue(
            client=self._client,
            namespace=self._namespace,
            location=stores.settings.location,
            restic=stores.restic,
        )

    def _captures(self) -> list[PodVolumeBackup]:
        return self._client.list(POD_VOLUME_BACKUPS, self._namespace, PodVolumeBackup, label_selector=self._selector)

    @property
    def _selector(self) -> str:
        return f"{BACKUP_NAME_LABEL}={label_value(self._name)},{BACKUP_UID_LABEL}={self._job.backup.metadata.uid}"

    def _mark(self) -> None:
        """Marks the Backup Deleting and lets the restores that read it end first."""
        self._check()
        retry_on_conflict(self._mark_once, stop=self._stop, clock=self._job.clock)
        restores = open_restores(self._job.backup, self._client.list(RESTORES, self._namespace, Restore))
        if restores:
            text = f"restore {restores[0]} of backup {self._name} has not ended"
            raise _WaitError(Reason.BACKUP_IN_USE, text, RESTORE_WAIT_SECONDS)

    def _mark_once(self) -> None:
        try:
            live = self._client.get(BACKUPS, self._namespace, self._name, Backup)
        except NotFoundError:
            return
        if live.metadata.uid != self._job.backup.metadata.uid or live.status.phase == BackupPhase.DELETING:
            return
        if live.status.phase not in TERMINAL_PHASES:
            raise _WaitError(Reason.BACKUP_IN_PROGRESS, "backup is still in progress", RESTORE_WAIT_SECONDS)
        patch_status(self._client, BACKUPS, live, {"phase": BackupPhase.DELETING.value})

    def _queue(self, stores: OpenStores, snapshots: tuple[Snapshots, ...]) -> None:
        queue = self._forget_queue(stores)
        for one in snapshots:
            self._check()
            try:
                queue.add(one, self._stop)
            except QueueFullError as error:
                raise _WaitError(None, str(error), QUEUE_WAIT_SECONDS) from error

    def _delete_files(self, stores: OpenStores, files: BackupFiles) -> None:
        for key in files.keys:
            self._check()
            try:
                self._asked(functools.partial(stores.backups.delete, [key]))
            except StoreError as error:
                self._fail(store_reason(error), f"error deleting {key} from object storage: {error}")

    def _delete_objects(self) -> None:
        self._check()
        for restore in self._client.list(RESTORES, self._namespace, Restore):
            if restore.backup_name == self._name and restore.status.phase in TERMINAL_PHASES:
                self._delete(RESTORES, restore.metadata.name, restore.metadata.uid)
        for capture in self._captures():
            self._delete(POD_VOLUME_BACKUPS, capture.metadata.name, capture.metadata.uid)
        self._delete(BACKUPS, self._name, self._job.backup.metadata.uid)

    def _delete(self, ref: ResourceRef, name: str, uid: str) -> None:
        try:
            self._client.delete(ref, self._namespace, name, uid=uid)
        except (NotFoundError, ConflictError) as error:
            log.debug("Object was gone", kind=ref.kind, name=name, error=str(error))

    def _check(self) -> None:
        """Between any two steps: may anything be deleted, and does the server go on at all?"""
        if self._stop.cancelled:
            raise _WaitError(None, "the server stopped", 0.0)
        why = self._job.hold()
        if why:
            raise _WaitError(Reason.DELETIONS_FROZEN, why, RESTORE_WAIT_SECONDS)

    def _asked(self, call: Callable[[], T]) -> T:
        """Asks the store again while it does not answer, for about a minute."""
        backoff = Backoff(initial_seconds=2.0, cap_seconds=30.0, clock=self._job.clock)
        for _ in range(STORE_ATTEMPTS - 1):
            try:
                return call()
            except StoreUnreachableError as error:
                log.warning("Object store does not answer", backup=self._job.backup.metadata.key, error=str(error))
                self._job.clock.wait(self._stop, backoff.next())
                self._check()
        return call()


def _deleted_text(files: BackupFiles, snapshots: tuple[Snapshots, ...]) -> str:
    queued = sum(len(one.ids) for one in snapshots)
    text = f"deleted: {len(files.keys)} files; {queued} snapshots will be forgotten"
    return f"{text}; {files.foreign}" if files.foreign else text
