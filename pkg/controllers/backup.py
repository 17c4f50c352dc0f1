"""Backup: validated, claimed, run by the engine, and recorded with the engine's own verdict."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path

import structlog

from pkg.apis.ark import Backup, ItemProgress, VolumeCounts
from pkg.apis.core import Namespace
from pkg.apis.duration import parse_duration
from pkg.apis.formats import BACKUP_FORMAT
from pkg.apis.meta import Condition, JsonObject
from pkg.apis.names import IMPORTED_ANNOTATION
from pkg.apis.reasons import BackupPhase, Reason
from pkg.backup.engine import run_backup
from pkg.backup.errors import BackupGoneError, BackupInterruptedError, ClaimLostError
from pkg.backup.hook_runner import Execute
from pkg.backup.job import BackupJob, VolumeCapturer
from pkg.backup.takeover import Takeover, Thawed
from pkg.backup.validation import validate_backup
from pkg.controllers.config import SettingsError
from pkg.controllers.engine_plan import EngineView
from pkg.controllers.engine_reconciler import ClaimState, EngineOutcome
from pkg.controllers.metrics import ServerMetrics
from pkg.controllers.pace import Pace
from pkg.controllers.recovery_kit import BackupCondition
from pkg.controllers.status import patch_progress, patch_status, timestamp, to_json
from pkg.controllers.stores import OpenStores, StoreFailure, Stores
from pkg.controllers.volume_plan import Work
from pkg.kube.client import Client
from pkg.kube.clock import Clock
from pkg.kube.discovery import discover
from pkg.kube.errors import ConflictError, KubeError, NotFoundError
from pkg.kube.refs import BACKUPS, NAMESPACES
from pkg.kube.stop import StopToken
from pkg.manager.events import EventRecorder
from pkg.objectstore.location import StorageLocation

log = structlog.get_logger()

CapturerFactory = Callable[[Backup, StorageLocation], VolumeCapturer]


class BackupKindOfEngine:
    """Makes backups."""

    ref = BACKUPS

    def __init__(
        self,
        client: Client,
        *,
        stores: Stores,
        capturer: CapturerFactory,
        clock: Clock,
        scratch_dir: Path,
        metrics: ServerMetrics,
        events: EventRecorder,
        execute: Execute,
        kit_condition: BackupCondition = lambda: None,
    ) -> None:
        self._client = client
        self._stores = stores
        self._capturer = capturer
        self._clock = clock
        self._scratch_dir = scratch_dir
        self._metrics = metrics
        self._events = events
        self._execute = execute
        self._kit_condition = kit_condition

    def view(self, obj: Backup, work: Work) -> EngineView:
        """What the decision rests on."""
        return EngineView(
            phase=obj.status.phase,
            work=work,
            cancel=obj.spec.cancel,
            imported=bool(obj.metadata.annotation(IMPORTED_ANNOTATION)),
            deleting=obj.metadata.deletion_timestamp is not None,
        )

    def validate(self, obj: Backup) -> list[str]:
        """Sentences that say why it cannot run."""
        refusal = self._stores.why_not_written()
        if refusal is not None:
            raise SettingsError(Reason.RESTORE_ONLY, refusal)
        location = self._stores.settings().location
        namespaces = {item.metadata.name for item in self._client.list(NAMESPACES, "", Namespace)}
        return validate_backup(
            obj,
            discovery=discover(self._client),
            namespaces=namespaces,
            restic_location=location.restic_location,
            prefix=location.prefix,
        )

    def claimed_so_far(self, obj: Backup) -> ClaimState:
        """Its claim."""
        return ClaimState(epoch=obj.status.claim.epoch if obj.status.claim else 0, attempts=obj.status.attempts)

    def first_claim(self, obj: Backup) -> JsonObject:
        """Format version and expiration."""
        self._metrics.backup_started(obj)
        ttl = parse_duration(obj.spec.ttl) if obj.spec.ttl else 0.0
        change: JsonObject = {"version": BACKUP_FORMAT}
        if ttl > 0:
            change["expiration"] = timestamp(self._clock.now() + datetime.timedelta(seconds=ttl))
        return change

    def run(self, obj: Backup, stop: StopToken) -> EngineOutcome:
        """Makes the backup; blocks. What an earlier run left frozen is thawed before anything else."""
        try:
            thawed = self._thaw(obj)
            stores = self._stores.owned()
            outcome = run_backup(self._job(obj, stores, thawed), stop)
        except (StoreFailure, SettingsError) as error:
            first = obj.status.attempts <= 1  # nothing was written then
            return EngineOutcome(status=self._failed(error.reason, error.message, refused=first))
        except (BackupInterruptedError, ClaimLostError) as error:
            log.warning("Backup interrupted, it will go on", key=obj.metadata.key, error=str(error))
            return EngineOutcome(status=None)
        return EngineOutcome(status=with_condition(outcome.patch, self._kit_condition()))

    def _thaw(self, obj: Backup) -> Thawed:
        takeover = Takeover(backup=obj, client=self._client, execute=self._execute, clock=self._clock, log=log)
        try:
            return takeover.thaw()
        except KubeError as error:
            raise BackupInterruptedError(f"a pod is left to be thawed: {error}") from error

    def ended(self, obj: Backup) -> None:
        """Counts and announces it."""
        self._metrics.backup_ended(obj)
        warning = obj.status.phase != BackupPhase.COMPLETED
        text = obj.status.message or f"backup {obj.status.phase}"
        self._events.event(
            obj, f"Backup{obj.status.phase}", text, kind="Backup", api_version=BACKUPS.api_version, warning=warning
        )

    def _job(self, obj: Backup, stores: OpenStores, thawed: Thawed) -> BackupJob:
        pace = Pace(self._clock)

        def progressed(total: int, done: int, volumes: VolumeCounts | None) -> None:
            change: JsonObject = {"progress": to_json(ItemProgress(total_items=total, items_done=done))}
            if volumes is not None:
                change["volumes"] = to_json(volumes)
            pace.offer(change, lambda: self._write_progress(obj, change))

        return BackupJob(
            backup=obj,
            client=self._client,
            discover=lambda: discover(self._client),
            store=stores.backups,
            volumes=self._capturer(obj, stores.settings.location),
            cluster_id=self._stores.cluster_id,
            confirm=lambda: self._confirm(obj),
            execute=self._execute,
            thawed=thawed,
            on_tarball=lambda size_bytes: self._metrics.tarball_written(obj, size_bytes),
            on_progress=progressed,
            scratch_dir=self._scratch_dir,
            clock=self._clock,
        )

    def _confirm(self, obj: Backup) -> None:
        """Refuses the commit unless the Backup still carries this run's claim, by a compare-and-set."""
        try:
            live = self._client.get(BACKUPS, obj.metadata.namespace, obj.metadata.name, Backup)
        except NotFoundError as error:
            raise BackupGoneError("the Backup was deleted") from error
        if live.metadata.uid != obj.metadata.uid or live.status.claim != obj.status.claim:
            raise BackupInterruptedError("the Backup is another process's now")
        try:
            patch_status(self._client, BACKUPS, live, {"message": "committing"})
        except ConflictError as error:
            raise BackupInterruptedError("the Backup changed at its commit") from error

    def _write_progress(self, obj: Backup, change: JsonObject) -> None:
        try:
            patch_progress(self._client, BACKUPS, obj, change)
        except KubeError as error:
            log.debug("Progress not written", key=obj.metadata.key, error=str(error))

    def _failed(self, reason: Reason, message: str, *, refused: bool) -> JsonObject:
        """The end of a backup that was not made; a refusal that only a look at the bucket told is one all the same."""
        refused = refused and reason is Reason.RESTORE_ONLY
        return {
            "phase": (BackupPhase.FAILED_VALIDATION if refused else BackupPhase.FAILED).value,
            "reason": reason.value,
            "message": message,
            "completionTimestamp": timestamp(self._clock.now()),
            **({"validationErrors": [message]} if refused else {}),
        }


def with_condition(status: JsonObject, condition: Condition | None) -> JsonObject:
    """The status with one more condition, beside those that it has."""
    if condition is None:
        return status
    before = status.get("conditions")
    return {**status, "conditions": [*(before if isinstance(before, list) else ()), to_json(condition)]}
