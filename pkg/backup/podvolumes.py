"""The captures of a backup as pure functions: their names, their specs, and what their results do to the ledger.

A capture's name follows from the backup and the claim, so a run after a crash finds those of the run before. A new
ordinal is made only where the volume must be captured in another pod.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from pkg.apis.ark import Backup
from pkg.apis.core import Pod
from pkg.apis.meta import ObjectReference
from pkg.apis.reasons import Reason, VolumePhase
from pkg.apis.volumes import PodVolumeBackup, PodVolumeBackupSpec, PodVolumeBackupStatus
from pkg.volumes.ledger import EntryState, LedgerEntry
from pkg.volumes.naming import capture_name, capture_stem, ordinal_of
from pkg.volumes.selection import claim_of, is_running

GONE_REASONS = frozenset({Reason.POD_GONE, Reason.POD_DELETED})
FINISHED = frozenset({VolumePhase.COMPLETED, VolumePhase.FAILED})


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryReady:
    """A repository that can be written to.

    Attributes:
        name: Of the ResticRepository.
        identifier: restic's address.
    """

    name: str
    identifier: str
    repository_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryFailed:
    """A repository that cannot be used, and why."""

    reason: Reason
    message: str


def with_captures(
    backup: Backup, entries: Iterable[LedgerEntry], existing: Sequence[PodVolumeBackup]
) -> tuple[LedgerEntry, ...]:
    """Names the capture of every expected entry; pods that share a claim get the same.

    Args:
        backup: Whose captures they are.
        entries: The ledger.
        existing: This backup's PodVolumeBackups of an earlier run.
    """
    expected: dict[str, list[LedgerEntry]] = {}
    entries = tuple(entries)
    for entry in entries:
        if entry.state is EntryState.EXPECTED:
            expected.setdefault(_stem(backup, entry), []).append(entry)
    names = {stem: _chosen_name(stem, group, existing) for stem, group in expected.items()}
    return tuple(
        msgspec.structs.replace(entry, capture=names[_stem(backup, entry)])
        if entry.state is EntryState.EXPECTED
        else entry
        for entry in entries
    )


def capturing(
    entries: Iterable[LedgerEntry], existing: Sequence[PodVolumeBackup], hooked: Collection[str] = ()
) -> dict[str, LedgerEntry]:
    """For each capture the one entry whose pod it goes through: that of the existing object, else the first.

    Args:
        entries: The ledger.
        existing: This backup's PodVolumeBackups.
        hooked: UIDs of pods with hooks; a shared claim is captured through one of them, while it stands still.
    """
    pods = {one.metadata.name: one.spec.pod.uid for one in existing}

    def rank(entry: LedgerEntry) -> tuple[bool, bool]:
        return pods.get(entry.capture) == entry.pod_uid, entry.pod_uid in hooked

    found: dict[str, LedgerEntry] = {}
    for entry in entries:
        if entry.state is EntryState.EXPECTED and (
            entry.capture not in found or rank(entry) > rank(found[entry.capture])
        ):
            found[entry.capture] = entry
    return found


def capture_spec(
    backup: Backup,
    entry: LedgerEntry,
    repository: RepositoryReady,
    *,
    cluster_id: str,
    parent: str,
    hold: bool = False,
    last_run_seconds: int | None = None,
) -> PodVolumeBackupSpec:
    """What an agent is told; the tags are 0.9's six and the cluster, the agent adds the object's own UID."""
    return PodVolumeBackupSpec(
        node=entry.node,
        pod=ObjectReference(kind="Pod", namespace=entry.namespace, name=entry.pod, uid=entry.pod_uid),
        volume=entry.volume,
        repo_identifier=repository.identifier,
        repository=repository.name,
        tags={
            "backup": backup.metadata.name,
            "backup-uid": backup.metadata.uid,
            "pod": entry.pod,
            "pod-uid": entry.pod_uid,
            "ns": entry.namespace,
            "volume": entry.volume,
            "cluster": cluster_id,
        },
        source=entry.source,
        parent_snapshot_id=parent,
        excludes=entry.excludes,
        hold=hold,
        last_run_seconds=last_run_seconds,
    )


def with_existing(entries: Iterable[LedgerEntry], existing: Iterable[PodVolumeBackup]) -> tuple[LedgerEntry, ...]:
    """The ledger with the results that captures of an earlier run have reached already."""
    finished = {one.metadata.name: one for one in existing if one.status.phase in FINISHED}
    return tuple(
        with_result(_located(entry, finished[entry.capture].spec), _own_status(finished[entry.capture]))
        if entry.state is EntryState.EXPECTED and entry.capture in finished
        else entry
        for entry in entries
    )


def _own_status(capture: PodVolumeBackup) -> PodVolumeBackupStatus:
    """A capture's result; one that was given up does not count, also where it came to its end meanwhile."""
    if not capture.spec.cancel_reason or capture.status.phase == VolumePhase.FAILED:
        return capture.status
    return msgspec.structs.replace(
        capture.status, phase=VolumePhase.FAILED.value, reason=capture.spec.cancel_reason, message="given up"
    )


def overruled(entry: LedgerEntry, reason: Reason, message: str) -> LedgerEntry:
    """The entry whose capture does not count, whatever its own result is."""
    return msgspec.structs.replace(entry, state=EntryState.FAILED, reason=reason.value, message=message, snapshot_id="")


def with_result(entry: LedgerEntry, status: PodVolumeBackupStatus) -> LedgerEntry:
    """The entry after its capture ended."""
    progress = status.progress
    captured = status.phase == VolumePhase.COMPLETED and bool(status.snapshot_id)
    reason = status.reason if captured else status.reason or Reason.INTERNAL.value
    return msgspec.structs.replace(
        entry,
        state=EntryState.CAPTURED if captured else EntryState.FAILED,
        reason=reason,
        message=status.message,
        snapshot_id=status.snapshot_id if captured else "",
        repository_id=status.repository_id or entry.repository_id,
        bytes=progress.total_bytes if progress else 0,
        files=progress.total_files if progress else 0,
        bytes_added=status.bytes_added,
        used_bytes=status.used_bytes,
        unread_files=status.unread_files,
        unread_paths=status.unread_paths,
        attempts=status.attempts,
        start_timestamp=status.start_timestamp,
        completion_timestamp=status.completion_timestamp,
        root=status.root,
    )


def with_statuses(
    entries: Iterable[LedgerEntry], statuses: Mapping[str, PodVolumeBackupStatus]
) -> tuple[LedgerEntry, ...]:
    """The ledger as it stands while captures run or have ended."""
    return tuple(_as_it_stands(entry, statuses.get(entry.capture)) for entry in entries)


def adopted(entries: Sequence[LedgerEntry], existing: Iterable[PodVolumeBackup]) -> tuple[LedgerEntry, ...]:
    """Completed captures of an earlier run whose pod is no more: their claims are not without a capture."""
    by_claim: dict[str, PodVolumeBackup] = {}
    for one in existing:
        claim_uid = one.spec.source.claim_uid
        done = one.status.phase == VolumePhase.COMPLETED and not one.spec.cancel_reason
        latest = by_claim.get(claim_uid)
        if claim_uid and done and (latest is None or ordinal_of(one.metadata.name) > ordinal_of(latest.metadata.name)):
            by_claim[claim_uid] = one
    return tuple(
        _adopt(entry, by_claim[entry.claim_uid])
        if entry.reason == Reason.NO_POD and entry.claim_uid in by_claim
        else entry
        for entry in entries
    )


def replacement(backup: Backup, entry: LedgerEntry, pods: Iterable[Pod]) -> LedgerEntry | None:
    """The same claim in a running pod that took the place of one that went away; None when there is none yet."""
    for pod in pods:
        if pod.metadata.uid == entry.pod_uid or not is_running(pod) or not pod.spec.node_name:
            continue
        for volume in pod.spec.volumes or ():
            if claim_of(pod, volume) == entry.claim_name:
                return msgspec.structs.replace(
                    entry,
                    pod=pod.metadata.name,
                    pod_uid=pod.metadata.uid,
                    node=pod.spec.node_name,
                    volume=volume.name,
                    capture=capture_name(_stem(backup, entry), ordinal_of(entry.capture) + 1),
                    state=EntryState.EXPECTED,
                    reason="",
                    message="",
                )
    return None


def _stem(backup: Backup, entry: LedgerEntry) -> str:
    return capture_stem(
        backup.metadata.name,
        backup.metadata.uid,
        claim_uid=entry.claim_uid,
        pod_uid=entry.pod_uid,
        volume=entry.volume,
    )


def _chosen_name(stem: str, group: Sequence[LedgerEntry], existing: Iterable[PodVolumeBackup]) -> str:
    mine = [one for one in existing if one.metadata.name.rpartition("-")[0] == stem]
    latest = max(mine, key=lambda one: ordinal_of(one.metadata.name), default=None)
    if latest is None:
        return capture_name(stem, 0)
    usable = latest.metadata.deletion_timestamp is None and latest.spec.cancel_reason != Reason.THAWED
    if usable and latest.spec.pod.uid in {entry.pod_uid for entry in group}:
        return latest.metadata.name
    return capture_name(stem, ordinal_of(latest.metadata.name) + 1)


def _located(entry: LedgerEntry, spec: PodVolumeBackupSpec) -> LedgerEntry:
    return msgspec.structs.replace(
        entry,
        repository=spec.repository,
        repo_identifier=spec.repo_identifier,
        parent=spec.parent_snapshot_id,
    )


def _as_it_stands(entry: LedgerEntry, status: PodVolumeBackupStatus | None) -> LedgerEntry:
    if status is None or entry.state is not EntryState.EXPECTED:
        return entry
    if status.phase in FINISHED:
        return with_result(entry, status)
    return msgspec.structs.replace(entry, bytes=status.progress.total_bytes) if status.progress else entry


def _adopt(entry: LedgerEntry, capture: PodVolumeBackup) -> LedgerEntry:
    spec = capture.spec
    found = msgspec.structs.replace(
        entry,
        pod=spec.pod.name,
        pod_uid=spec.pod.uid,
        node=spec.node,
        volume=spec.volume,
        source=spec.source,
        capture=capture.metadata.name,
        message="",
    )
    return with_result(_located(found, spec), capture.status)
