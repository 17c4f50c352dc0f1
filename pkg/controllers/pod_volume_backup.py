"""PodVolumeBackup on the node of its pod: one restic process, and everything it said, in status.

From a second run on, the snapshot that carries this object's UID as a tag is adopted: nothing of an upload that had
finished when the agent died is sent again, and no second snapshot is made of what did not change. The volume is walked
once more for it, because the snapshot does not tell which files restic could not read, and a capture must not turn
whole by being interrupted.
"""

from __future__ import annotations

import math
from pathlib import Path

import structlog

from pkg.apis.meta import JsonObject
from pkg.apis.names import BACKUP_UID_LABEL
from pkg.apis.reasons import Reason, VolumePhase
from pkg.apis.volumes import PodVolumeBackup, RootMetadata, VolumeProgress
from pkg.controllers.agent import LOCK_WAIT_SECONDS, Agent, VolumeFailure, VolumeStatus
from pkg.controllers.out_of_memory import failure_text, runs_alone_next
from pkg.controllers.progress import ProgressGate
from pkg.controllers.status import patch_progress, timestamp, to_json
from pkg.controllers.volume_plan import VolumeView, Work, cancel_reason, is_open
from pkg.controllers.volume_reconciler import VolumeOutcome, failed_status
from pkg.controllers.volume_time import seconds_left
from pkg.kube.errors import KubeError
from pkg.kube.refs import POD_VOLUME_BACKUPS
from pkg.kube.stop import StopToken
from pkg.restic.environment import ResticEnvironment
from pkg.restic.errors import CancelledError, ResticError, SnapshotMissingError
from pkg.restic.transfer import BackupRequest, BackupSummary, backup_volume, find_snapshot_by_tag
from pkg.volumes.hostpath import VolumePathError, resolve_directory
from pkg.volumes.root import read_root
from pkg.volumes.target import used_bytes

PVB_UID_TAG = "pvb-uid"

log = structlog.get_logger()


class BackupKind:
    """Captures volumes."""

    ref = POD_VOLUME_BACKUPS

    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    def view(self, obj: PodVolumeBackup, work: Work) -> VolumeView:
        """What the decision rests on."""
        pod = obj.spec.pod
        return VolumeView(
            phase=obj.status.phase,
            attempts=obj.status.attempts,
            next_run=self._agent.next_run(obj.status),
            work=work,
            cancel=obj.spec.cancel,
            pod=self._agent.pod(pod.namespace, pod.name, pod.uid) if is_open(obj.status.phase) else None,
            pod_uid=pod.uid,
            pod_key=f"{pod.namespace}/{pod.name}",
            seconds_left=seconds_left(obj.spec.timeout, obj.status.slot_at, self._agent.clock.now()),
            hold=obj.spec.hold,
            freeze=f"{obj.metadata.label(BACKUP_UID_LABEL)}/{pod.uid}",
            cancel_reason=cancel_reason(obj.spec.cancel_reason),
        )

    def status(self, obj: PodVolumeBackup) -> VolumeStatus:
        """What became of it so far."""
        return obj.status

    def group(self, obj: PodVolumeBackup) -> str:
        """The pod's namespace."""
        return obj.spec.pod.namespace

    def last_seconds(self, obj: PodVolumeBackup) -> float | None:
        """How long the slot was needed the last time, as the server knows it."""
        return None if obj.spec.last_run_seconds is None else float(obj.spec.last_run_seconds)

    def before_failure(self, obj: PodVolumeBackup, reason: Reason, message: str) -> None:
        """Nothing: only the API knows of a backup."""

    def run(self, obj: PodVolumeBackup, stop: StopToken) -> VolumeOutcome:
        """Captures the volume; blocks."""
        try:
            return VolumeOutcome(status=self._capture(obj, stop))
        except VolumeFailure as error:
            return self._failed(error.reason, error.message)
        except VolumePathError as error:
            return self._failed(error.reason, str(error))
        except CancelledError as error:
            if not stop.cancelled:
                return VolumeOutcome(status=None, again=f"somebody else ended restic: {error.message}")
            if not isinstance(stop.reason, Reason):
                return VolumeOutcome(status=None)
            return self._failed(stop.reason, "stopped before it was complete")
        except ResticError as error:
            if runs_alone_next(error, obj.status):
                return VolumeOutcome(status=None, again=str(error), alone=True)
            return self._failed(error.reason, failure_text(error, obj.status))

    def _failed(self, reason: Reason, message: str) -> VolumeOutcome:
        return VolumeOutcome(status=failed_status(reason, message, timestamp(self._agent.clock.now())))

    def _capture(self, obj: PodVolumeBackup, stop: StopToken) -> JsonObject:
        spec = obj.spec
        repository = self._agent.ready_repository(spec.repository, stop)
        environment = self._agent.environment(repository, spec.repo_identifier, stop)
        directory = resolve_directory(
            self._agent.pods_dir, spec.pod.uid, spec.source, Path("/proc/self/mountinfo").read_text()
        )
        root = read_root(directory)
        earlier = self._earlier_snapshot(obj, environment, stop)
        summary = self._transfer(obj, directory, environment, stop, earlier=earlier)
        log.info(
            "Volume captured",
            key=obj.metadata.key,
            snapshot=summary.snapshot_id,
            bytes=summary.bytes,
            added=summary.bytes_added,
        )
        return captured_status(
            summary,
            directory=directory,
            root=root,
            used=used_bytes(directory) if spec.source.must_be_mount else 0,
            repository_id=repository.status.repository_id,
            now=timestamp(self._agent.clock.now()),
        )

    def _earlier_snapshot(self, obj: PodVolumeBackup, environment: ResticEnvironment, stop: StopToken) -> str:
        """Id of the snapshot that an earlier attempt at this object finished; empty without one."""
        if obj.status.attempts < 2 and not obj.status.interruptions:
            return ""
        found = find_snapshot_by_tag(self._agent.runner, environment, {PVB_UID_TAG: obj.metadata.uid}, stop)
        if found is None:
            return ""
        log.info("Snapshot of an interrupted run found", key=obj.metadata.key, snapshot=found.id)
        return found.id

    def _transfer(
        self, obj: PodVolumeBackup, directory: Path, environment: ResticEnvironment, stop: StopToken, *, earlier: str
    ) -> BackupSummary:
        gate = ProgressGate(self._agent.clock, lambda progress: self._write_progress(obj, progress))
        tags, runner = {**(obj.spec.tags or {}), PVB_UID_TAG: obj.metadata.uid}, self._agent.runner_for(self.ref, obj)

        def attempt(compare_with: str, *, adopt: bool = False) -> BackupSummary:
            request = BackupRequest(
                directory=str(directory),
                tags=tags,
                parent=compare_with,
                adopt_parent=adopt,
                excludes=tuple(obj.spec.excludes or ()),
                lock_wait_seconds=LOCK_WAIT_SECONDS,
            )
            return backup_volume(runner, request, environment, stop, gate.offer)

        parent = earlier or obj.spec.parent_snapshot_id
        try:
            return attempt(parent, adopt=bool(earlier))
        except SnapshotMissingError:
            if not parent:
                raise
            log.warning("Parent snapshot is gone, reading everything", key=obj.metadata.key)
            return attempt("")

    def _write_progress(self, obj: PodVolumeBackup, progress: VolumeProgress) -> None:
        try:
            patch_progress(self._agent.client, self.ref, obj, {"progress": to_json(progress)})
        except KubeError as error:
            log.debug("Progress not written", key=obj.metadata.key, error=str(error))


def captured_status(
    summary: BackupSummary, *, directory: Path, root: RootMetadata, used: int, repository_id: str, now: str
) -> JsonObject:
    """The status of a captured volume, from restic's own summary."""
    status: JsonObject = {
        "phase": VolumePhase.COMPLETED.value,
        "path": str(directory),
        "snapshotID": summary.snapshot_id,
        "repositoryID": repository_id,
        "bytesAdded": summary.bytes_added,
        "usedBytes": used,
        "runSeconds": math.ceil(summary.seconds),
        "root": to_json(root),
        "progress": to_json(
            VolumeProgress(
                bytes_done=summary.bytes,
                total_bytes=summary.bytes,
                files_done=summary.files,
                total_files=summary.files,
            )
        ),
        "message": f"{summary.files} files, {summary.bytes} bytes",
        "reason": "",
        "completionTimestamp": now,
    }
    if summary.unread_files:
        status["reason"] = Reason.UNREAD_FILES.value
        status["unreadFiles"] = summary.unread_files
        status["unreadPaths"] = list(summary.unread_paths)
        first = f", first: {summary.unread_paths[0]}" if summary.unread_paths else ""
        status["message"] = f"{summary.unread_files} files could not be read{first}"
    return status
