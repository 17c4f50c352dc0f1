"""One volume into a repository: one restic process, believed by its exit code alone.

The snapshot's id is read from the backup's own last line, so no second call is needed. Exit code 3 is a third
outcome: the snapshot is there, some files are not in it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import msgspec

from pkg.apis.reasons import Reason
from pkg.apis.volumes import VolumeProgress
from pkg.kube.stop import StopToken
from pkg.restic import command
from pkg.restic.classify import error_from
from pkg.restic.environment import ResticEnvironment
from pkg.restic.errors import ResticFailedError
from pkg.restic.messages import ItemError, Message, Snapshot, Status
from pkg.restic.repository import unexpected_answer
from pkg.restic.runner import ResticRunner
from pkg.restic.volume import is_cache, is_empty

UNREAD_FILES_EXIT_CODE = 3
_KEPT_PATHS = 20
_COUNTED_PATHS = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupRequest:
    """What to capture.

    Attributes:
        directory: The volume's root.
        parent: Full id of the snapshot to compare with; where it is gone, SnapshotMissingError says so and the
            caller tries again without.
        adopt_parent: The parent is this capture itself, finished by a run whose end nobody recorded: where everything
            is as in it no other snapshot is made, and what it cannot tell, the files that it lacks, is found out anew.
        excludes: restic's patterns; a leading slash means the volume's root, without one they count anywhere in it.
        lock_wait_seconds: How long restic may wait for a lock.
    """

    directory: str
    tags: Mapping[str, str]
    parent: str = ""
    adopt_parent: bool = False
    excludes: tuple[str, ...] = ()
    lock_wait_seconds: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupSummary:
    """A snapshot that was made, or adopted.

    Attributes:
        snapshot_id: All 64 digits.
        unread_files: Files that restic could not read; each path counts once.
        unread_paths: The first 20 of them.
    """

    snapshot_id: str
    files: int
    bytes: int
    bytes_added: int
    unread_files: int = 0
    unread_paths: tuple[str, ...] = ()
    seconds: float = 0.0


@dataclass(slots=True)
class _Listener:
    """Turns messages into progress, and counts the files that could not be read."""

    on_progress: Callable[[VolumeProgress], None]
    directory: str
    unread: dict[str, None] = field(default_factory=dict)

    def __call__(self, message: Message) -> None:
        if isinstance(message, Status):
            self.on_progress(volume_progress(message))
        elif isinstance(message, ItemError) and len(self.unread) < _COUNTED_PATHS:
            self.unread.setdefault(_in_volume(message.item, self.directory))


def backup_volume(
    runner: ResticRunner,
    request: BackupRequest,
    environment: ResticEnvironment,
    stop: StopToken,
    on_progress: Callable[[VolumeProgress], None] = lambda progress: None,
) -> BackupSummary:
    """Captures a volume; one restic start.

    Raises:
        ResticError: No snapshot that counts was made.
    """
    directory = os.path.realpath(request.directory)  # what restic sees: excludes and error paths are written from it
    listener = _Listener(on_progress, directory)
    asked = _backup_command(request, directory, environment)
    finished = runner.run(asked, environment, stop, listener)
    if finished.exit_code not in (0, UNREAD_FILES_EXIT_CODE):
        raise error_from(finished)
    summary = finished.summary
    adopted = request.parent if request.adopt_parent else ""
    if summary is None or not (summary.snapshot_id or adopted):
        raise unexpected_answer(finished, "its snapshot")
    degraded = finished.exit_code == UNREAD_FILES_EXIT_CODE
    return BackupSummary(
        snapshot_id=summary.snapshot_id or adopted,
        files=0 if asked.stdin else summary.total_files_processed,  # the marker of an empty volume is none of its files
        bytes=0 if asked.stdin else summary.total_bytes_processed,
        bytes_added=summary.data_added_packed,
        unread_files=max(1, len(listener.unread)) if degraded else 0,
        unread_paths=tuple(listener.unread)[:_KEPT_PATHS] if degraded else (),
        seconds=finished.seconds,
    )


def find_snapshot_by_tag(
    runner: ResticRunner, environment: ResticEnvironment, tags: Mapping[str, str], stop: StopToken
) -> Snapshot | None:
    """The newest snapshot with all these tags; None when there is none.

    Raises:
        ResticError: When that cannot be told.
    """
    finished = runner.run(command.snapshots(tags=tags, no_lock=True, options=environment.options), environment, stop)
    if finished.exit_code:
        raise error_from(finished)
    try:
        found = msgspec.json.decode(finished.stdout, type=list[Snapshot])
    except msgspec.DecodeError as error:
        raise unexpected_answer(finished, "the snapshots") from error
    return max(found, key=lambda snapshot: snapshot.time, default=None)


def volume_progress(status: Status) -> VolumeProgress:
    """How far restic is; a restore leaves what is there already out of its totals."""
    return VolumeProgress(
        bytes_done=status.bytes_done or status.bytes_restored + status.bytes_skipped,
        total_bytes=status.total_bytes + status.bytes_skipped,
        files_done=status.files_done or status.files_restored + status.files_skipped,
        total_files=status.total_files + status.files_skipped,
    )


def _backup_command(request: BackupRequest, directory: str, environment: ResticEnvironment) -> command.Command:
    options, wait = environment.options, request.lock_wait_seconds
    if _is_empty(directory, request, environment):
        return command.backup_of_nothing(
            directory=directory, tags=request.tags, options=options, lock_wait_seconds=wait
        )
    return command.backup(
        directory=directory,
        tags=request.tags,
        parent=request.parent,
        unless_unchanged=request.adopt_parent,
        excludes=request.excludes,
        exclude_caches=not is_cache(directory),
        options=options,
        lock_wait_seconds=wait,
    )


def _is_empty(directory: str, request: BackupRequest, environment: ResticEnvironment) -> bool:
    try:
        return is_empty(directory, request.excludes)
    except OSError as error:
        raise ResticFailedError(
            verb="backup",
            repository=environment.repository,
            exit_code=0,
            reason=Reason.INTERNAL,
            message=f"{directory} cannot be listed: {error.strerror}",
        ) from error


def _in_volume(path: str, directory: str) -> str:
    """The path as somebody sees it in the volume; restic reports it absolute or relative, by the kind of error."""
    return path.removeprefix(directory.rstrip("/")).lstrip("/") or "."
