"""One backup from claim to commit: a function of the Backup, the cluster, its captures, and what lies in the bucket.

It may die at any line and be run again: the claim is taken again, captures are found by their names, and a backup
that was committed is not made twice, its status is read from the bucket.
"""

from __future__ import annotations

import io
import math
from contextlib import suppress

import msgspec

from pkg.apis.ark import BackupStatus, ItemProgress
from pkg.apis.formats import BACKUP_FORMAT
from pkg.apis.meta import JsonObject
from pkg.apis.reasons import BackupPhase, Reason
from pkg.backup.capture_run import CaptureRun
from pkg.backup.claim import Claim, ClaimDocument, take_claim
from pkg.backup.commit import Committer, metadata_json
from pkg.backup.errors import (
    BackupCanceledError,
    BackupGoneError,
    BackupInterruptedError,
    NameTakenError,
    ScratchError,
    SpecInvalidError,
)
from pkg.backup.gather import Gathered, Gathering
from pkg.backup.job import BackupJob, BackupOutcome
from pkg.backup.oplog import OperationLog
from pkg.backup.scratch import scratch_errors, scratch_file
from pkg.backup.shrink import with_condition
from pkg.backup.spool import Spool
from pkg.backup.stopping import is_canceled, raise_if_interrupted, raise_if_stopped
from pkg.backup.store_items import ItemStore
from pkg.backup.tarball import TarballWriter
from pkg.kube.backoff import retry_transient
from pkg.kube.errors import KubeError, NotFoundError, ServerError, ThrottledError, TransportError
from pkg.kube.refs import BACKUPS
from pkg.kube.stop import StopToken
from pkg.objectstore.catalog import read_metadata
from pkg.objectstore.errors import ObjectInvalidError, ObjectNotFoundError, StoreError
from pkg.objectstore.layout import backup_keys
from pkg.volumes.ledger import Ledger, counts, to_json_gz
from pkg.volumes.verdict import Verdict, phase_of


def run_backup(job: BackupJob, stop: StopToken) -> BackupOutcome:
    """Makes a backup, or finds that it was made; blocks for as long as the volumes take.

    Args:
        job: What to back up, and with what.
        stop: Cancelled with the reason `Canceled` it ends the backup; with any other the run, without an outcome.

    Raises:
        BackupInterruptedError: the run was stopped, or the API server stayed away; it is to be repeated.
        ClaimLostError: another process works on this backup.
        Exception: what `job.confirm` raises.
    """
    try:
        with scratch_file(job.scratch_dir) as file:
            log = OperationLog(file, job.clock, backup=job.backup.metadata.key)
            return _Run(job, stop, log).run()
    except ScratchError as error:
        return _ended(job, BackupPhase.FAILED, Reason.INTERNAL, str(error))


class _Run:
    """The steps of one run."""

    def __init__(self, job: BackupJob, stop: StopToken, log: OperationLog) -> None:
        self._job = job
        self._stop = stop
        self._oplog = log
        self._log = log.logger
        self._keys = backup_keys(job.backup.metadata.name)
        self._warnings = 0

    def run(self) -> BackupOutcome:
        """Claims the name and makes the backup; every way to fail becomes an outcome with its reason."""
        try:
            earlier = self._committed()
            if earlier is not None:
                return BackupOutcome(status=earlier, found=True)
            claim = self._claim()
        except NameTakenError as error:
            return _ended(self._job, BackupPhase.FAILED_VALIDATION, Reason.NAME_TAKEN, str(error))
        except StoreError as error:
            return _ended(self._job, BackupPhase.FAILED, error.reason, str(error))
        committer = Committer(self._job.store, claim, stop=self._stop, clock=self._job.clock, log=self._log)
        try:
            return self._attempt(committer)
        except BackupGoneError:
            committer.withdraw(self._keys)
            raise

    def _attempt(self, committer: Committer) -> BackupOutcome:
        try:
            return self._make(committer)
        except BackupCanceledError as error:
            return self._failed(committer, Reason.CANCELED, str(error))
        except SpecInvalidError as error:
            return self._failed(committer, Reason.INVALID_SPEC, str(error))
        except StoreError as error:
            return self._failed(committer, error.reason, str(error))
        except (TransportError, ThrottledError, ServerError) as error:
            raise BackupInterruptedError(f"the API server does not answer: {error}") from error
        except (KubeError, ScratchError) as error:
            return self._failed(committer, Reason.INTERNAL, str(error))

    def _claim(self) -> Claim:
        document = ClaimDocument(
            backup_uid=self._job.backup.metadata.uid, cluster_uid=self._job.cluster_id, epoch=self._job.epoch
        )
        return take_claim(self._job.store, self._keys.claim, document)

    def _committed(self) -> BackupStatus | None:
        """The status of this very backup if it was committed before."""
        try:
            found = read_metadata(self._job.store, self._job.backup.metadata.name).backup
        except ObjectNotFoundError:
            return None
        except ObjectInvalidError as error:
            raise NameTakenError(f"the bucket holds something under this name: {error}") from error
        if found.metadata.uid != self._job.backup.metadata.uid:
            raise NameTakenError(
                f"the bucket holds a backup of this name already: {self._keys.metadata} is of backup "
                f"{found.metadata.uid or 'without a UID'}"
            )
        return found.status

    def _make(self, committer: Committer) -> BackupOutcome:
        with scratch_file(self._job.scratch_dir) as spool_file, scratch_file(self._job.scratch_dir) as tarball_file:
            with TarballWriter(tarball_file, self._job.clock) as tarball:
                items = ItemStore(tarball, Spool(spool_file))
                gathered = self._gather(items)
                run = CaptureRun(self._job, self._stop, self._log, gathered.hooked)
                run.items_total, run.items_done = items.count, items.stored
                entries = run.run(gathered.entries)
                items.store_pods(self._job, entries, stop=self._stop, log=self._log)
            errors = [*gathered.errors, *self._job.thawed.errors, *run.freezes.errors]
            self._warnings += run.freezes.warnings
            raise_if_interrupted(self._stop)
            ledger = Ledger(
                backup_name=self._job.backup.metadata.name,
                backup_uid=self._job.backup.metadata.uid,
                cluster_id=self._job.cluster_id,
                entries=entries,
            )
            status = self._final_status(ledger, errors, tarball)
            status = msgspec.structs.replace(status, frozen_seconds=self._frozen_seconds(run))
            self._log.info("Backup ends", phase=status.phase, reason=status.reason, items=tarball.count)
            self._read_own()
            with scratch_errors():
                size_bytes = tarball_file.seek(0, io.SEEK_END)
            committer.put(self._keys.tarball, tarball_file)
            self._job.on_tarball(size_bytes)
            committer.put(self._keys.log, self._oplog.compressed())
            committer.put(self._keys.volumes, to_json_gz(ledger))
            self._commit(committer, status)
        return BackupOutcome(status=status)

    def _frozen_seconds(self, run: CaptureRun) -> int:
        earlier = (self._job.backup.status.frozen_seconds, self._job.thawed.frozen_seconds)
        return math.ceil(max(*earlier, *run.freezes.frozen_seconds.values()))

    def _gather(self, items: ItemStore) -> Gathered:
        raise_if_stopped(self._stop)
        discovery = retry_transient(self._job.discover, stop=self._stop, clock=self._job.clock)
        for warning in discovery.warnings:
            self._log.warning("Discovery incomplete", warning=warning)
        self._warnings = len(discovery.warnings) + self._job.thawed.warnings
        for error in self._job.thawed.errors:
            self._log.error("Post hook of an interrupted run failed", error=error)
        return Gathering(self._job, items, self._stop, self._log).run(discovery)

    def _read_own(self) -> JsonObject:
        """The Backup as it is now; raises BackupGoneError where it was deleted, also where another has its name."""
        own = self._job.backup.metadata
        try:
            raw = retry_transient(
                lambda: self._job.client.get_raw(BACKUPS, own.namespace, own.name),
                stop=StopToken(),  # a cancellation that comes now comes too late
                clock=self._job.clock,
            )
        except NotFoundError as error:
            raise BackupGoneError("the Backup was deleted") from error
        metadata = raw.get("metadata")
        if not isinstance(metadata, dict) or metadata.get("uid") != own.uid:
            raise BackupGoneError("the Backup was deleted, and another has its name")
        return raw

    def _commit(self, committer: Committer, status: BackupStatus) -> None:
        raw = self._read_own()
        retry_transient(self._job.confirm, stop=StopToken(), clock=self._job.clock)
        committer.put(self._keys.metadata, metadata_json(raw, status))

    def _final_status(self, ledger: Ledger, errors: list[str], tarball: TarballWriter) -> BackupStatus:
        tolerate = self._job.backup.spec.tolerate_unread_files
        verdict = phase_of(ledger, errors, tolerate_unread=tolerate, cancelled=is_canceled(self._stop))
        return msgspec.structs.replace(
            _status(self._job, verdict, self._warnings),
            progress=ItemProgress(total_items=tarball.count, items_done=tarball.count),
            volumes=counts(ledger, tolerate_unread=tolerate),
            tarball_sha256=tarball.sha256,
            conditions=with_condition(self._job.backup.status.conditions, ledger.entries, self._job.clock.now()),
        )

    def _failed(self, committer: Committer, reason: Reason, message: str) -> BackupOutcome:
        """A Failed backup leaves its log in the bucket and nothing that makes it exist."""
        self._log.error("Backup failed", reason=reason.value, error=message)
        with suppress(KubeError):  # only a Backup that is gone for certain must leave no log
            self._read_own()
        try:
            committer.put(self._keys.log, self._oplog.compressed())
        except StoreError as error:
            message = f"{message} (its log could not be written: {error})"
        return _ended(self._job, BackupPhase.FAILED, reason, message)


def _ended(job: BackupJob, phase: BackupPhase, reason: Reason, message: str) -> BackupOutcome:
    return BackupOutcome(
        status=_status(job, Verdict(phase=phase, reason=reason, message=message, errors=1, warnings=0), 0)
    )


def _status(job: BackupJob, verdict: Verdict, more_warnings: int) -> BackupStatus:
    now = job.clock.now().replace(microsecond=0)
    return msgspec.structs.replace(
        job.backup.status,
        version=BACKUP_FORMAT,
        phase=verdict.phase.value,
        reason=verdict.reason.value if verdict.reason else "",
        message=verdict.message,
        start_timestamp=job.backup.status.start_timestamp or now,
        completion_timestamp=now,
        errors=verdict.errors,
        warnings=verdict.warnings + more_warnings,
        cluster_id=job.cluster_id,
        open_hooks=None,
    )
