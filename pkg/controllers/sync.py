"""Brings the API's Backups in line with what lies in the bucket, one pass at a time.

The bucket is the truth about which backups exist: what is there and unknown is imported, an import whose files are
gone is removed, and an own backup that lost its files says so and stays. Every step may be the last before the
process dies: an import without status is completed by the next pass. One bad directory never stops the others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from pkg.apis.ark import Backup
from pkg.apis.meta import JsonObject
from pkg.apis.reasons import Reason
from pkg.controllers.conditions import with_condition, without_condition
from pkg.controllers.foreign import Adoption
from pkg.controllers.ownership import source_cluster
from pkg.controllers.status import patch_status
from pkg.controllers.sync_import import Import, MetadataUnusableError, import_of
from pkg.controllers.sync_plan import FILES_MISSING_CONDITION, SyncAction, SyncStep, plan_sync
from pkg.controllers.sync_troubles import Troubles
from pkg.kube.client import Client
from pkg.kube.clock import Clock
from pkg.kube.errors import AlreadyExistsError, BadRequestError, ConflictError, InvalidError, NotFoundError
from pkg.kube.refs import BACKUPS
from pkg.kube.stop import StopToken
from pkg.objectstore.catalog import BackupMetadata, list_backups, read_metadata
from pkg.objectstore.errors import ObjectInvalidError, ObjectNotFoundError
from pkg.objectstore.layout import backup_keys
from pkg.objectstore.store import ObjectStore

log = structlog.get_logger()


@dataclass(slots=True)
class SyncReport:
    """What a pass did."""

    listed: int = 0
    imported: int = 0
    removed: int = 0
    missing: int = 0
    damaged: int = 0
    interrupted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncTarget:
    """What a pass works on.

    Attributes:
        store: The bucket of the backups; it is only read.
        adoption: Whose backups count as ours; empty while the place is not ours.
    """

    store: ObjectStore
    known: list[Backup]
    adoption: Adoption = field(default_factory=Adoption)


class BackupSync:
    """One pass after the other; remembers between them what could not be read.

    Args:
        complain: Says something about a directory to people: its name, a reason, a sentence.
    """

    def __init__(
        self, client: Client, namespace: str, *, clock: Clock, complain: Callable[[str, str, str], None]
    ) -> None:
        self._client = client
        self._namespace = namespace
        self._clock = clock
        self._complain = complain
        self._troubles = Troubles(clock)
        self._compared: dict[str, str] = {}  # own objects, by name, that were compared with the bucket: their UIDs

    def run(self, target: SyncTarget, stop: StopToken) -> SyncReport:
        """One pass.

        Raises:
            StoreError: the bucket cannot be read.
            KubeError: the API does not take what it should; the next pass goes on.
        """
        listed = list_backups(target.store)
        self._troubles.keep_only(listed)
        report = SyncReport(listed=len(listed))
        for action in plan_sync(listed, target.known):
            if stop.cancelled:
                report.interrupted = True
                break
            self._carry_out(action, target, report)
        report.damaged = self._troubles.damaged
        return report

    def _carry_out(self, action: SyncAction, target: SyncTarget, report: SyncReport) -> None:
        backup = action.backup
        if action.step is SyncStep.IMPORT or backup is None:
            report.imported += self._import(action.name, None, target)
            return
        match action.step:
            case SyncStep.COMPLETE:
                report.imported += self._import(action.name, backup, target)
            case SyncStep.COMPARE:
                self._compare(backup, target.store)
            case SyncStep.REMOVE:
                report.removed += self._remove(backup, target.store)
            case SyncStep.MARK_MISSING:
                report.missing += self._mark_missing(backup, target.store)
            case _:
                self._mark_found(backup, target.store)

    def _import(self, name: str, half_made: Backup | None, target: SyncTarget) -> bool:
        """Imports a directory, or writes the status that an import died before; whether there is a Backup now."""
        if not self._troubles.due(name):
            return False
        try:
            metadata = read_metadata(target.store, name)
            wanted = self._wanted(name, metadata, target.adoption)
            made = self._create(wanted) if half_made is None else half_made
            if made is None:
                return False
            self._write_status(made, wanted, was_created=half_made is None)
        except ObjectNotFoundError:
            self._troubles.note(name)
            return False
        except (ObjectInvalidError, MetadataUnusableError, BadRequestError, InvalidError) as error:
            self._damaged(name, str(error))
            return False
        self._troubles.forget(name)
        log.info("Backup imported", backup=name, cluster=metadata.backup.status.cluster_id)
        return True

    def _wanted(self, name: str, metadata: BackupMetadata, adoption: Adoption) -> Import:
        adopted = source_cluster(metadata.backup) in adoption.clusters
        now = self._clock.now() if adopted else None
        return import_of(name, metadata, namespace=self._namespace, adopted_at=now)

    def _create(self, wanted: Import) -> Backup | None:
        try:
            return self._client.create(BACKUPS, self._namespace, wanted.body, Backup)
        except AlreadyExistsError:
            return None  # somebody made one of that name just now; the next pass sees it

    def _write_status(self, made: Backup, wanted: Import, *, was_created: bool) -> None:
        try:
            patch_status(self._client, BACKUPS, made, wanted.status)
        except (ConflictError, NotFoundError):
            log.info("Import changed meanwhile, the next sync completes it", key=made.metadata.key)
        except (BadRequestError, InvalidError):
            if was_created:  # an object that says nothing would hide the directory for ever
                self._client.delete(BACKUPS, self._namespace, made.metadata.name, uid=made.metadata.uid)
            raise

    def _damaged(self, name: str, message: str) -> None:
        if self._troubles.note(name, message):
            log.warning("Backup in the bucket not usable", backup=name, message=message)
            self._complain(name, Reason.BACKUP_DAMAGED.value, f"backup {name} in the bucket cannot be used: {message}")

    def _compare(self, backup: Backup, store: ObjectStore) -> None:
        """Says once that an own backup that came to nothing hides another one of its name."""
        name, uid = backup.metadata.name, backup.metadata.uid
        if self._compared.get(name) == uid:
            return
        try:
            found = read_metadata(store, name).backup
        except (ObjectNotFoundError, ObjectInvalidError):
            found = backup
        self._compared[name] = uid
        if found.metadata.uid == uid:
            return
        message = (
            f"the bucket holds another backup named {name}, made by cluster {source_cluster(found)}, which the Backup "
            f"{backup.metadata.key} of phase {backup.status.phase} hides; to see it: kubectl -n "
            f"{backup.metadata.namespace} delete backup {name} (that deletes nothing in the bucket)"
        )
        log.warning("Backup in the bucket hidden by another of its name", backup=name, uid=uid)
        self._complain(name, Reason.NAME_TAKEN.value, message)

    def _remove(self, backup: Backup, store: ObjectStore) -> bool:
        if _has_metadata(store, backup.metadata.name):
            return False
        try:
            self._client.delete(
                BACKUPS,
                backup.metadata.namespace,
                backup.metadata.name,
                uid=backup.metadata.uid,
                resource_version=backup.metadata.resource_version,
            )
        except (NotFoundError, ConflictError):
            return False
        log.info("Imported backup removed, its files are gone", key=backup.metadata.key)
        return True

    def _mark_missing(self, backup: Backup, store: ObjectStore) -> bool:
        if _has_metadata(store, backup.metadata.name):
            return False
        message = "the bucket holds no files of this backup any more; nothing can be restored from it"
        conditions = with_condition(
            backup.status.conditions,
            FILES_MISSING_CONDITION,
            reason=Reason.BACKUP_NOT_FOUND.value,
            message=message,
            now=self._clock.now(),
        )
        log.error("Files of a backup are gone", key=backup.metadata.key)
        self._complain(backup.metadata.name, Reason.BACKUP_NOT_FOUND.value, f"backup {backup.metadata.name}: {message}")
        return self._patch(backup, {"conditions": conditions})

    def _mark_found(self, backup: Backup, store: ObjectStore) -> None:
        if _has_metadata(store, backup.metadata.name):
            conditions = without_condition(backup.status.conditions, FILES_MISSING_CONDITION)
            self._patch(backup, {"conditions": conditions})

    def _patch(self, backup: Backup, change: JsonObject) -> bool:
        try:
            patch_status(self._client, BACKUPS, backup, change)
        except (ConflictError, NotFoundError):
            return False  # the next pass decides anew
        return True


def _has_metadata(store: ObjectStore, name: str) -> bool:
    return store.head(backup_keys(name).metadata) is not None
