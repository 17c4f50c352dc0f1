"""A snapshot into a volume: one restic process, believed by its exit code, and then counted.

restic's summary claims success even on a full disk, so it never makes a restore whole; but it can show that one is
not: fewer files or bytes than restic set out to write, or fewer files than the backup counted. restic would go on
writing to a full volume until it has tried every file, so it is ended when it first says so.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from pkg.apis.reasons import Reason
from pkg.apis.volumes import VolumeProgress
from pkg.kube.stop import ChildToken, StopToken
from pkg.restic import command
from pkg.restic.classify import error_from, restore_reason
from pkg.restic.complaints import Complaints, MetadataFailures
from pkg.restic.environment import ResticEnvironment
from pkg.restic.errors import ResticError, ResticFailedError, SnapshotMissingError
from pkg.restic.finished import Ended, Finished
from pkg.restic.messages import ItemError, Message, Snapshot, Status, Summary
from pkg.restic.repository import unexpected_answer
from pkg.restic.runner import ResticRunner
from pkg.restic.transfer import volume_progress

_HOPELESS = frozenset({Reason.TARGET_FULL, Reason.TARGET_READ_ONLY})
_FULL_ID = re.compile(r"[0-9a-f]{64}")
_SHORT_ID = re.compile(r"[0-9a-f]{8,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreRequest:
    """What to write where; `no_lock` for credentials that may only read.

    Attributes:
        snapshot_id: All 64 digits.
        lock_wait_seconds: How long restic may wait for a lock.
        expected_files: How many files the backup counted; 0 where that is not known.
        keep_labels: SELinux labels of the node are left as they are; restic before 0.18 cannot.
    """

    snapshot_id: str
    target: str
    no_lock: bool = False
    lock_wait_seconds: int = 0
    expected_files: int = 0
    keep_labels: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreSummary:
    """A restore that brought all contents.

    Attributes:
        files: Files, directories and whatever else; those that were there already count too.
        metadata: What it could not set; strict callers must look.
    """

    files: int
    bytes: int
    seconds: float
    metadata: MetadataFailures = field(default_factory=MetadataFailures)


@dataclass(slots=True)
class _Listener:
    """Turns messages into progress, hears complaints, and ends what cannot end well."""

    on_progress: Callable[[VolumeProgress], None]
    stop: ChildToken
    complaints: Complaints = field(default_factory=Complaints)

    def __call__(self, message: Message) -> None:
        if isinstance(message, Status):
            self.on_progress(volume_progress(message))
        elif isinstance(message, ItemError) and self.complaints.hear(message):
            reason = restore_reason(message.text)
            if reason in _HOPELESS:
                self.stop.cancel(reason)


def restore_volume(
    runner: ResticRunner,
    request: RestoreRequest,
    environment: ResticEnvironment,
    stop: StopToken,
    on_progress: Callable[[VolumeProgress], None] = lambda progress: None,
) -> RestoreSummary:
    """Fills a volume from a snapshot; the root directory's own metadata is the caller's.

    Raises:
        ResticError: Something is missing in the volume.
    """
    restore = command.restore(
        snapshot_id=request.snapshot_id,
        target=request.target,
        no_lock=request.no_lock,
        keep_labels=request.keep_labels,
        options=environment.options,
        lock_wait_seconds=request.lock_wait_seconds,
    )
    listener = _Listener(on_progress, stop.child())
    try:
        finished = runner.run(restore, environment, listener.stop, listener)
    finally:
        listener.stop.detach()
    complaints = listener.complaints
    if not _has_all_contents(finished, complaints):
        raise _failure(finished, complaints, environment)
    summary = finished.summary
    if summary is None:
        raise unexpected_answer(finished, "what it restored")
    lack = shortfall(summary, expected_files=request.expected_files, without_metadata=complaints.metadata.count)
    if lack:
        raise _failed(finished, Reason.RESTORE_INCOMPLETE, lack)
    return RestoreSummary(
        files=summary.total_files + summary.files_skipped,
        bytes=summary.total_bytes + summary.bytes_skipped,
        seconds=finished.seconds,
        metadata=complaints.metadata,
    )


def shortfall(summary: Summary, *, expected_files: int, without_metadata: int) -> str:
    """What a restore that ended well did not bring, in a sentence; empty when nothing is missing.

    A directory whose metadata failed is not counted as restored. The backup counts files; restic also counts
    directories and links, so it may name more, never less.
    """
    restored, wanted = summary.files_restored + without_metadata, summary.total_files
    if restored < wanted:
        return f"restic restored {summary.files_restored} of {wanted} files and directories"
    if summary.bytes_restored < summary.total_bytes:
        return f"restic restored {summary.bytes_restored} of {summary.total_bytes} bytes"
    found = summary.total_files + summary.files_skipped
    if found < expected_files:
        return f"the backup counted {expected_files} files, the snapshot gave {found}"
    return ""


def full_snapshot_id(
    runner: ResticRunner, environment: ResticEnvironment, snapshot_id: str, stop: StopToken, *, no_lock: bool
) -> str:
    """The id with all its digits; only one of 0.9's, which have 8, is looked up.

    Raises:
        SnapshotMissingError: it is no id, or no snapshot or more than one begins with it.
        ResticError: that cannot be told.
    """
    if _FULL_ID.fullmatch(snapshot_id):
        return snapshot_id
    if not _SHORT_ID.fullmatch(snapshot_id):
        raise _missing(environment, f'"{snapshot_id}" is no id of a snapshot')
    asked = command.snapshots(tags={}, ids=(snapshot_id,), no_lock=no_lock, options=environment.options)
    finished = runner.run(asked, environment, stop)
    if finished.exit_code:
        raise error_from(finished)
    try:
        found = msgspec.json.decode(finished.stdout, type=list[Snapshot])
    except msgspec.DecodeError as error:
        raise unexpected_answer(finished, "the snapshots") from error
    if len(found) != 1 or not found[0].id.startswith(snapshot_id):
        raise _missing(environment, f"no snapshot, or more than one, has an id that begins with {snapshot_id}")
    return found[0].id


def _has_all_contents(finished: Finished, complaints: Complaints) -> bool:
    if finished.exit_code == 0:
        return not complaints.content
    return finished.ended is Ended.ITSELF and complaints.only_metadata(finished.exit_code, finished.exit_message)


def _failure(finished: Finished, complaints: Complaints, environment: ResticEnvironment) -> ResticError:
    error = error_from(finished)
    ended_by_us = error.reason in _HOPELESS
    if not complaints.content or not (ended_by_us or type(error) is ResticFailedError):
        return error
    first = complaints.content[0]
    count = f"{complaints.total} errors, the first" if complaints.total > 1 else "one error"
    return _failed(finished, error.reason, f"{count}: {first.item}: {environment.redacted(first.text)}")


def _failed(finished: Finished, reason: Reason, message: str) -> ResticFailedError:
    return ResticFailedError(
        verb=finished.verb,
        repository=finished.repository,
        exit_code=finished.exit_code,
        reason=reason,
        message=message,
        stderr_tail=finished.stderr_tail,
    )


def _missing(environment: ResticEnvironment, message: str) -> SnapshotMissingError:
    return SnapshotMissingError(
        verb="snapshots",
        repository=environment.repository,
        exit_code=0,
        reason=Reason.BACKUP_DAMAGED,
        message=message,
    )
