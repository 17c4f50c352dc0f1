"""Restore: validated, claimed, run by the engine, and recorded with the engine's own verdict."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import msgspec
import structlog

from pkg.apis.ark import Restore
from pkg.apis.meta import JsonObject
from pkg.apis.names import RESTORE_UID_LABEL
from pkg.apis.reasons import BackupPhase, Reason, VolumePhase
from pkg.apis.volumes import PodVolumeRestore
from pkg.controllers.config import SettingsError
from pkg.controllers.engine_plan import EngineView
from pkg.controllers.engine_reconciler import ClaimState, EngineOutcome
from pkg.controllers.metrics import ServerMetrics
from pkg.controllers.pace import Pace
from pkg.controllers.restore_results import ResultsSink
from pkg.controllers.restore_source import backup_of, unfit
from pkg.controllers.status import patch_progress, timestamp, to_json
from pkg.controllers.stores import OpenStores, StoreFailure, Stores
from pkg.controllers.volume_plan import Work
from pkg.kube.client import Client
from pkg.kube.clock import Clock
from pkg.kube.discovery import discover
from pkg.kube.errors import KubeError
from pkg.kube.refs import POD_VOLUME_RESTORES, RESTORES
from pkg.kube.stop import StopToken
from pkg.manager.events import EventRecorder
from pkg.objectstore.errors import StoreError
from pkg.objectstore.layout import backup_keys
from pkg.restore.engine import run_restore
from pkg.restore.errors import ApiUnavailableError, RestoreInterruptedError
from pkg.restore.job import ExecHook, RestoreJob, RestoreOutcome, RestoreProgress, VolumeRestorer
from pkg.restore.validation import validate_restore

FINISHED_VOLUMES = frozenset({VolumePhase.COMPLETED, VolumePhase.FAILED})

log = structlog.get_logger()

RestorerFactory = Callable[[Restore], AbstractContextManager[VolumeRestorer]]


class RestoreKindOfEngine:
    """Restores."""

    ref = RESTORES

    def __init__(
        self,
        client: Client,
        *,
        stores: Stores,
        restorer: RestorerFactory,
        clock: Clock,
        scratch_dir: Path,
        helper_image: str,
        execute: ExecHook,
        metrics: ServerMetrics,
        events: EventRecorder,
    ) -> None:
        self._client = client
        self._stores = stores
        self._restorer = restorer
        self._clock = clock
        self._scratch_dir = scratch_dir
        self._helper_image = helper_image
        self._execute = execute
        self._metrics = metrics
        self._events = events

    def view(self, obj: Restore, work: Work) -> EngineView:
        """What the decision rests on."""
        return EngineView(
            phase=obj.status.phase,
            work=work,
            cancel=obj.spec.cancel,
            deleting=obj.metadata.deletion_timestamp is not None,
        )

    def validate(self, obj: Restore) -> list[str]:
        """Sentences that say why it cannot run."""
        problems = validate_restore(obj, discover(self._client))
        if problems:
            return problems
        name = backup_of(self._client, obj)
        if not name:
            return [f'no backup of schedule "{obj.spec.schedule_name}" can be restored: none has ended well']
        why = unfit(self._client, obj.metadata.namespace, name)
        return [why] if why else self._missing(obj, name)

    def _missing(self, obj: Restore, name: str) -> list[str]:
        try:
            exists = self._stores.checked().backups.head(backup_keys(name).metadata) is not None
        except (StoreFailure, StoreError) as error:
            log.warning("Backup not looked up, the engine will tell", key=obj.metadata.key, error=str(error))
            return []
        return [] if exists else [f'there is no backup "{name}" in the bucket; ark backup get lists them']

    def claimed_so_far(self, obj: Restore) -> ClaimState:
        """Its claim."""
        return ClaimState(epoch=obj.status.claim.epoch if obj.status.claim else 0, attempts=obj.status.attempts)

    def first_claim(self, obj: Restore) -> JsonObject:
        """Which backup it is, where the spec names a schedule: later backups must not change that."""
        return {} if obj.backup_name else {"backupName": backup_of(self._client, obj)}

    def run(self, obj: Restore, stop: StopToken) -> EngineOutcome:
        """Restores; blocks."""
        try:
            stores = self._stores.checked()
            sink = ResultsSink(self._client, obj, stores.backups)
            with self._restorer(obj) as restorer:
                outcome = run_restore(self._job(obj, stores, restorer, sink), stop)
            self._cancel_given_up(obj)
        except (StoreFailure, SettingsError) as error:
            return EngineOutcome(status=self._failed(error.reason, error.message))
        except (RestoreInterruptedError, ApiUnavailableError, KubeError) as error:
            log.warning("Restore interrupted, it will go on", key=obj.metadata.key, error=str(error))
            return EngineOutcome(status=None)
        return EngineOutcome(status={**self._status(outcome), "resultsConfigMap": sink.config_map})

    def _cancel_given_up(self, obj: Restore) -> None:
        """Stops the transfers that the engine did not wait for, before the Restore is said to have ended."""
        own = f"{RESTORE_UID_LABEL}={obj.metadata.uid}"
        found = self._client.list(POD_VOLUME_RESTORES, obj.metadata.namespace, PodVolumeRestore, label_selector=own)
        for filling in found:
            if filling.status.phase not in FINISHED_VOLUMES and not filling.spec.cancel:
                patch: JsonObject = {"metadata": {"uid": filling.metadata.uid}, "spec": {"cancel": True}}
                meta = filling.metadata
                self._client.patch(POD_VOLUME_RESTORES, meta.namespace, meta.name, patch, PodVolumeRestore)
                log.info("Volume restore canceled", key=meta.key)

    def ended(self, obj: Restore) -> None:
        """Counts and announces it."""
        self._metrics.restore_ended(obj)
        warning = obj.status.phase != BackupPhase.COMPLETED
        text = obj.status.message or f"restore {obj.status.phase}"
        self._events.event(
            obj, f"Restore{obj.status.phase}", text, kind="Restore", api_version=RESTORES.api_version, warning=warning
        )

    def _job(self, obj: Restore, stores: OpenStores, restorer: VolumeRestorer, sink: ResultsSink) -> RestoreJob:
        pace = Pace(self._clock)

        def progressed(progress: RestoreProgress) -> None:
            change: JsonObject = {"progress": to_json(progress.items), "volumes": to_json(progress.volumes)}
            pace.offer(change, lambda: self._write_progress(obj, change))

        return RestoreJob(
            restore=msgspec.structs.replace(obj, spec=msgspec.structs.replace(obj.spec, backup_name=obj.backup_name)),
            client=self._client,
            discover=lambda: discover(self._client),
            store=stores.backups,
            volumes=restorer,
            restic_identifier=stores.settings.location.restic_identifier,
            exec_hook=self._execute,
            helper_image=self._helper_image,
            publish=sink.publish,
            ark_namespace=obj.metadata.namespace,
            priorities=stores.settings.resource_priorities or None,
            on_progress=progressed,
            clock=self._clock,
            scratch_dir=str(self._scratch_dir),
        )

    def _status(self, outcome: RestoreOutcome) -> JsonObject:
        return {
            "phase": outcome.phase.value,
            "reason": outcome.reason.value if outcome.reason else "",
            "message": outcome.message,
            "warnings": outcome.warnings,
            "errors": outcome.errors,
            "progress": msgspec.to_builtins(outcome.items),
            "volumes": msgspec.to_builtins(outcome.volumes),
            "completionTimestamp": timestamp(self._clock.now()),
        }

    def _write_progress(self, obj: Restore, change: JsonObject) -> None:
        try:
            patch_progress(self._client, RESTORES, obj, change)
        except KubeError as error:
            log.debug("Progress not written", key=obj.metadata.key, error=str(error))

    def _failed(self, reason: Reason, message: str) -> JsonObject:
        return {
            "phase": BackupPhase.FAILED.value,
            "reason": reason.value,
            "message": message,
            "completionTimestamp": timestamp(self._clock.now()),
        }
