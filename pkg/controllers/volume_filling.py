"""Filling one volume: what is checked before restic starts, and what is said of what could not be set.

The marker is written last, with the losses in it: an agent that dies between marker and status finds them there.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import structlog

from pkg.apis.meta import ApiStruct, JsonObject
from pkg.apis.reasons import Reason, VolumePhase
from pkg.apis.volumes import PodVolumeRestore, ResticRepository, VolumeProgress
from pkg.controllers.agent import LOCK_WAIT_SECONDS, Agent, VolumeFailure
from pkg.controllers.progress import ProgressGate
from pkg.controllers.status import timestamp, to_json
from pkg.kube.refs import POD_VOLUME_RESTORES
from pkg.kube.stop import StopToken
from pkg.restic.complaints import KEPT_PATHS, MetadataFailures
from pkg.restic.restoration import RestoreRequest, RestoreSummary, full_snapshot_id, restore_volume
from pkg.volumes.hostpath import file_system_of, resolve_directory
from pkg.volumes.marker import done_text, is_done, write_done
from pkg.volumes.root import apply_root
from pkg.volumes.target import check_target, keeps_attributes

log = structlog.get_logger()

_NEXT_STEP = {
    Reason.NOT_PROPAGATED: "repair that, delete the pod and restore again",
    Reason.TARGET_FULL: "give the claim more storage, or another class by --storage-class-mappings, and restore again",
    Reason.TARGET_READ_ONLY: "let the pod and its volume be mounted for writing, and restore again",
    Reason.TARGET_UNUSABLE: "look at the volume on its node, and restore again",
    Reason.METADATA_LOST: "restore without --strict-metadata, or to a storage class that keeps them",
}


class Losses(ApiStruct, frozen=True, kw_only=True):
    """What of a filled volume is not as it was: owner, times or attributes; the contents are always there."""

    count: int = 0
    paths: tuple[str, ...] = ()
    first: str = ""

    @property
    def text(self) -> str:
        """One sentence for a status."""
        files = "a file" if self.count == 1 else f"{self.count} files"
        first = f"{self.paths[0]}: {self.first}" if self.paths else self.first
        return f"owner, times or attributes of {files} could not be set, first {first}"


class VolumeFiller:
    """Fills the volumes of one node.

    Args:
        agent: Of that node.
        silent_loss: Why a directory cannot get everything back though restic would say nothing; empty when it can.
    """

    def __init__(self, agent: Agent, silent_loss: Callable[[Path], str] | None = None) -> None:
        self._agent = agent
        self._silent_loss = silent_loss or silent_loss_of

    def fill(self, obj: PodVolumeRestore, stop: StopToken, on_progress: Callable[[VolumeProgress], None]) -> JsonObject:
        """The status of a volume that is filled; blocks.

        Raises:
            VolumeFailure, VolumePathError, MarkerError, ResticError: it is not.
        """
        spec, pods_dir = obj.spec, self._agent.pods_dir
        if is_done(pods_dir, spec):
            return self._completed(path=obj.status.path, losses=noted_losses(done_text(pods_dir, spec)))
        if spec.marker_only:
            write_done(pods_dir, spec)
            return self._completed(path="", message="another pod's object filled this claim")
        mountinfo = Path("/proc/self/mountinfo").read_text()
        directory = resolve_directory(pods_dir, spec.pod.uid, spec.source, mountinfo)
        with _usable(directory):
            check_target(directory, spec.size, file_system_of(directory, mountinfo))
        self._check_strictness(obj, directory)
        repository = self._agent.ready_repository(spec.repository, stop)
        check_identity(obj, repository)
        request, summary = self._transfer(obj, repository, directory, stop, on_progress)
        with _usable(directory):
            losses = all_losses(summary.metadata, apply_root(directory, spec.root) if spec.root is not None else [])
        if losses.count and spec.strict_metadata:
            raise VolumeFailure(Reason.METADATA_LOST, losses.text)
        write_done(pods_dir, spec, msgspec.json.encode(losses).decode() if losses.count else "")
        log.info("Volume filled", key=obj.metadata.key, snapshot=request.snapshot_id, metadata_failures=losses.count)
        status = self._completed(path=str(directory), message=restored_text(summary), losses=losses)
        return {**status, "snapshotID": request.snapshot_id, "progress": to_json(restored_progress(summary))}

    def _check_strictness(self, obj: PodVolumeRestore, directory: Path) -> None:
        loss = self._silent_loss(directory) if obj.spec.strict_metadata else ""
        if loss:
            raise VolumeFailure(Reason.METADATA_LOST, loss)

    def _transfer(
        self,
        obj: PodVolumeRestore,
        repository: ResticRepository,
        directory: Path,
        stop: StopToken,
        on_progress: Callable[[VolumeProgress], None],
    ) -> tuple[RestoreRequest, RestoreSummary]:
        spec, runner = obj.spec, self._agent.runner_for(POD_VOLUME_RESTORES, obj)
        environment = self._agent.environment(repository, spec.repo_identifier, stop)
        request = RestoreRequest(
            snapshot_id=full_snapshot_id(runner, environment, spec.snapshot_id, stop, no_lock=spec.no_lock),
            target=str(directory),
            no_lock=spec.no_lock,
            lock_wait_seconds=LOCK_WAIT_SECONDS,
            expected_files=spec.size.files if spec.size else 0,
            keep_labels=self._agent.keep_labels,
        )
        gate = ProgressGate(self._agent.clock, on_progress)
        return request, restore_volume(runner, request, environment, stop, gate.offer)

    def _completed(self, *, path: str, message: str = "", losses: Losses | None = None) -> JsonObject:
        status: JsonObject = {
            "phase": VolumePhase.COMPLETED.value,
            "path": path,
            "reason": "",
            "message": message,
            "completionTimestamp": timestamp(self._agent.clock.now()),
        }
        if losses is not None and losses.count:
            status["reason"] = Reason.METADATA_LOST.value
            status["message"] = losses.text
            status["metadataFailures"] = losses.count
            status["metadataPaths"] = list(losses.paths)
        return status


@contextlib.contextmanager
def _usable(directory: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise VolumeFailure(Reason.TARGET_UNUSABLE, f"{directory}: {error.strerror}") from error


def with_next_step(reason: Reason, message: str) -> str:
    """The message of a failure with what to do about it, where that is known."""
    step = _NEXT_STEP.get(reason)
    return f"{message}; {step}" if step else message


def silent_loss_of(directory: Path) -> str:
    """Why restic would lose metadata in a directory without a word; empty where it would not."""
    if os.geteuid() != 0:
        return "the agent does not run as root, so no owner can be set"
    if not keeps_attributes(directory):
        return "the volume's file system keeps no extended attributes"
    return ""


def all_losses(metadata: MetadataFailures, root: list[str]) -> Losses:
    """What was lost below a volume's root and on the root itself, which comes first."""
    paths = (*(["/"] if root else []), *metadata.paths)
    first = root[0] if root else metadata.first
    return Losses(count=metadata.count + bool(root), paths=paths[:KEPT_PATHS], first=first)


def noted_losses(text: str) -> Losses:
    """What a marker tells of losses; a marker without any is empty."""
    try:
        return msgspec.json.decode(text, type=Losses) if text else Losses()
    except msgspec.DecodeError:
        return Losses()


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
