"""PodVolumeRestore on the node of its pod: fill the volume, then let the pod go on.

The pod waits in restic-wait for one marker per volume, which lies in an emptyDir of its own and never in user data
(operators.md 11). The marker is written last, and a marker that is there already means that the data is, so an
agent that died between marker and status only records.
"""

from __future__ import annotations

from pathlib import Path

import structlog

from pkg.apis.meta import JsonObject
from pkg.apis.reasons import Reason, VolumePhase
from pkg.apis.volumes import PodVolumeRestore, ResticRepository, VolumeProgress
from pkg.controllers.agent import LOCK_WAIT_SECONDS, Agent, VolumeFailure
from pkg.controllers.progress import ProgressGate
from pkg.controllers.status import patch_progress, timestamp, to_json
from pkg.controllers.volume_plan import VolumeView, Work, is_open
from pkg.controllers.volume_reconciler import VolumeOutcome, failed_status
from pkg.controllers.volume_time import seconds_left
from pkg.kube.errors import KubeError
from pkg.kube.refs import POD_VOLUME_RESTORES
from pkg.kube.stop import StopToken
from pkg.restic.errors import CancelledError, ResticError
from pkg.restic.transfer import RestoreRequest, RestoreSummary, restore_volume
from pkg.volumes.hostpath import VolumePathError, resolve_directory
from pkg.volumes.marker import MarkerError, is_done, write_done, write_failed
from pkg.volumes.root import apply_root

log = structlog.get_logger()


class RestoreKind:
    """Fills volumes."""

    ref = POD_VOLUME_RESTORES

    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    def view(self, obj: PodVolumeRestore, work: Work) -> VolumeView:
        """What the decision rests on."""
        pod = obj.spec.pod
        return VolumeView(
            phase=obj.status.phase,
            attempts=obj.status.attempts,
            work=work,
            cancel=obj.spec.cancel,
            pod=self._agent.pod(pod.namespace, pod.name, pod.uid) if is_open(obj.status.phase) else None,
            pod_uid=pod.uid,
            pod_key=f"{pod.namespace}/{pod.name}",
            seconds_left=seconds_left(obj.spec.timeout, obj.status.slot_at, self._agent.clock.now()),
            needs_wait=True,
        )

    def attempts(self, obj: PodVolumeRestore) -> int:
        """How often it was started so far."""
        return obj.status.attempts

    def group(self, obj: PodVolumeRestore) -> str:
        """The pod's namespace."""
        return obj.spec.pod.namespace

    def last_seconds(self, obj: PodVolumeRestore) -> float | None:
        """Nothing: a restore's slots are its own, and none is kept."""
        return None

    def before_failure(self, obj: PodVolumeRestore, reason: Reason, message: str) -> None:
        """Tells the waiting pod, so that it does not wait for ever."""
        try:
            write_failed(self._agent.pods_dir, obj.spec, f"{reason.value}: {message}")
        except MarkerError as error:
            log.warning("Failure marker not written", key=obj.metadata.key, error=str(error))

    def run(self, obj: PodVolumeRestore, stop: StopToken) -> VolumeOutcome:
        """Fills the volume; blocks."""
        try:
            return VolumeOutcome(status=self._fill(obj, stop))
        except VolumeFailure as error:
            return self._failed(obj, error.reason, error.message)
        except VolumePathError as error:
            return self._failed(obj, error.reason, str(error))
        except MarkerError as error:
            return self._failed(obj, Reason.TARGET_UNUSABLE, str(error))
        except CancelledError:
            if not isinstance(stop.reason, Reason):
                return VolumeOutcome(status=None)
            return self._failed(obj, stop.reason, "stopped before it was complete")
        except ResticError as error:
            return self._failed(obj, error.reason, str(error))

    def _failed(self, obj: PodVolumeRestore, reason: Reason, message: str) -> VolumeOutcome:
        self.before_failure(obj, reason, message)
        return VolumeOutcome(status=failed_status(reason, message, timestamp(self._agent.clock.now())))

    def _fill(self, obj: PodVolumeRestore, stop: StopToken) -> JsonObject:
        spec = obj.spec
        if is_done(self._agent.pods_dir, spec):
            return self._completed(obj, path=obj.status.path, message="")
        if spec.marker_only:
            write_done(self._agent.pods_dir, spec)
            return self._completed(obj, path="", message="another pod's object filled this claim")
        directory = resolve_directory(
            self._agent.pods_dir, spec.pod.uid, spec.source, Path("/proc/self/mountinfo").read_text()
        )
        repository = self._agent.ready_repository(spec.repository, stop)
        check_identity(obj, repository)
        summary = self._transfer(obj, repository, directory, stop)
        failures = apply_root(directory, spec.root) if spec.root is not None else []
        write_done(self._agent.pods_dir, spec)
        log.info("Volume filled", key=obj.metadata.key, snapshot=spec.snapshot_id, root_failures=len(failures))
        status = self._completed(obj, path=str(directory), message="; ".join(failures) or restored_text(summary))
        return {**status, "progress": to_json(restored_progress(summary))}

    def _transfer(
        self, obj: PodVolumeRestore, repository: ResticRepository, directory: Path, stop: StopToken
    ) -> RestoreSummary:
        environment = self._agent.environment(repository, obj.spec.repo_identifier, stop)
        gate = ProgressGate(self._agent.clock, lambda progress: self._write_progress(obj, progress))
        request = RestoreRequest(
            snapshot_id=obj.spec.snapshot_id,
            target=str(directory),
            no_lock=obj.spec.no_lock,
            lock_wait_seconds=LOCK_WAIT_SECONDS,
        )
        return restore_volume(self._agent.runner, request, environment, stop, gate.offer)

    def _completed(self, obj: PodVolumeRestore, *, path: str, message: str) -> JsonObject:
        return {
            "phase": VolumePhase.COMPLETED.value,
            "path": path,
            "reason": "",
            "message": message,
            "completionTimestamp": timestamp(self._agent.clock.now()),
        }

    def _write_progress(self, obj: PodVolumeRestore, progress: VolumeProgress) -> None:
        try:
            patch_progress(self._agent.client, self.ref, obj, {"progress": to_json(progress)})
        except KubeError as error:
            log.debug("Progress not written", key=obj.metadata.key, error=str(error))


def restored_text(summary: RestoreSummary) -> str:
    """What a Completed object says of itself."""
    return f"{summary.files} files and directories, {summary.bytes} bytes"


def restored_progress(summary: RestoreSummary) -> VolumeProgress:
    """The progress at the end, which the last line of progress before it need not have reached."""
    return VolumeProgress(
        bytes_done=summary.bytes, total_bytes=summary.bytes, files_done=summary.files, total_files=summary.files
    )


def check_identity(obj: PodVolumeRestore, repository: ResticRepository) -> None:
    """Refuses a repository that is not the one the snapshot was made in.

    Raises:
        VolumeFailure: ForeignRepository with both ids.
    """
    if obj.spec.repository_id and repository.status.repository_id != obj.spec.repository_id:
        raise VolumeFailure(
            Reason.FOREIGN_REPOSITORY,
            f"repository {obj.spec.repository} has the id {repository.status.repository_id}, "
            f"the snapshot was made in {obj.spec.repository_id}",
        )
