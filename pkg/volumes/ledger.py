"""The ledger of a backup: every volume that should be captured, what became of it, and for each other one the reason.

It is the record that restore, describe and deletion use; in the bucket it is `<backup>-volumes.json.gz`. An entry
belongs to a pod and a volume. Pods that share a claim share one capture (the same `capture`), which counts once.
"""

from __future__ import annotations

import datetime
import gzip
import zlib
from collections.abc import Iterable
from enum import StrEnum

import msgspec

from pkg.apis.ark import VolumeCounts, VolumeEntry
from pkg.apis.meta import ApiStruct
from pkg.apis.reasons import Effect, Reason, effect
from pkg.apis.volumes import RootMetadata, VolumeSource
from pkg.volumes.errors import VolumeListError

FORMAT_VERSION = 1
STATUS_ENTRIES = 100
SMALLEST_PARENT_BYTES = 1 << 30
SUSPICIOUS_RATIO = 0.1


class EntryState(StrEnum):
    """What became of a volume."""

    EXPECTED = "expected"
    CAPTURED = "captured"
    FAILED = "failed"
    SKIPPED = "skipped"


class LedgerEntry(ApiStruct, frozen=True, kw_only=True):
    """One volume of one pod, or a claim that no running pod mounts.

    Attributes:
        pod: Empty for a claim that no running pod mounts.
        claim_exists: Whether the claim was still there when the pod was found gone.
        capture: Name of the PodVolumeBackup; the same for pods that share a claim.
        reason: Why it was not captured, or is degraded; empty for a plain capture.
        repository: Name of the ResticRepository.
        root: Metadata of the volume's root directory, for the restore.
        parent: Full id of the snapshot it was compared with.
        parent_backup: The backup that made that snapshot; with SuspiciousShrink it is the one to keep.
        parent_bytes: How large the volume was then.
        used_bytes: What was in use of the volume's file system; 0 where the volume is not one of its own.
        frozen_seconds: How long its pod was between its hooks; 0 for a pod without.
    """

    namespace: str = ""
    pod: str = ""
    pod_uid: str = msgspec.field(default="", name="podUID")
    node: str = ""
    volume: str = ""
    claim_name: str = ""
    claim_uid: str = msgspec.field(default="", name="claimUID")
    claim_exists: bool = False
    opted_in_by_name: bool = False
    state: EntryState = EntryState.EXPECTED
    reason: str = ""
    message: str = ""
    capture: str = ""
    source: VolumeSource = VolumeSource()
    excludes: tuple[str, ...] | None = None
    repository: str = ""
    repository_id: str = msgspec.field(default="", name="repositoryID")
    repo_identifier: str = ""
    snapshot_id: str = msgspec.field(default="", name="snapshotID")
    parent: str = ""
    parent_backup: str = ""
    parent_bytes: int = 0
    frozen_seconds: int = 0
    bytes: int = 0
    bytes_added: int = 0
    used_bytes: int = 0
    files: int = 0
    unread_files: int = 0
    unread_paths: tuple[str, ...] | None = None
    attempts: int = 0
    start_timestamp: datetime.datetime | None = None
    completion_timestamp: datetime.datetime | None = None
    root: RootMetadata | None = None

    @property
    def key(self) -> str:
        """`namespace/pod/volume`, or the claim where there is no pod; for texts."""
        return f"{self.namespace}/{self.pod}/{self.volume}" if self.pod else f"{self.namespace}/{self.claim_name}"


class Ledger(ApiStruct, frozen=True, kw_only=True):
    """All entries of a backup."""

    version: int = FORMAT_VERSION
    backup_name: str = ""
    backup_uid: str = msgspec.field(default="", name="backupUID")
    cluster_id: str = msgspec.field(default="", name="clusterID")
    entries: tuple[LedgerEntry, ...] = ()


def effect_of(entry: LedgerEntry, *, tolerate_unread: bool = False) -> Effect | None:
    """What an entry does to the phase; None for a plain capture. An entry that is still expected counts as failed."""
    if entry.state is EntryState.CAPTURED and not entry.reason:
        return None
    try:
        reason = Reason(entry.reason)
    except ValueError:  # a reason of another release of Ark
        reason = Reason.INTERNAL
    return effect(
        reason,
        opted_in_by_name=entry.opted_in_by_name,
        pvc_exists=entry.claim_exists,
        tolerate_unread=tolerate_unread,
    )


def shrank(entry: LedgerEntry) -> bool:
    """Whether a volume fell below a tenth of what was more than one GiB, also where its reason is another one."""
    large = entry.parent_bytes > SMALLEST_PARENT_BYTES
    return entry.state is EntryState.CAPTURED and large and entry.bytes < SUSPICIOUS_RATIO * entry.parent_bytes


def counts(ledger: Ledger, *, tolerate_unread: bool = False) -> VolumeCounts:
    """The ledger in numbers, and its first entries, the failed ones first.

    A degraded capture counts as captured and, where it makes the phase PartiallyFailed, as failed too.
    """
    captures = _once_per_capture(ledger.entries)
    effects = [(entry, _final_effect(entry, tolerate_unread=tolerate_unread)) for entry in captures]
    wanted = [entry for entry, found in effects if entry.state is not EntryState.SKIPPED or _fails(found)]
    done = [entry for entry in captures if entry.state is EntryState.CAPTURED]
    return VolumeCounts(
        expected=len(wanted),
        captured=len(done),
        failed=sum(_fails(found) for _, found in effects),
        warnings=sum(found is Effect.WARNING for _, found in effects),
        bytes_done=sum(entry.bytes for entry in done),
        total_bytes=sum(entry.bytes for entry in captures),
        entries=tuple(_status_entry(entry) for entry in _notable(effects)) or None,
    )


def to_json_gz(ledger: Ledger) -> bytes:
    """The volume list as it lies in the bucket; the same ledger gives the same bytes."""
    return gzip.compress(msgspec.json.encode(ledger), mtime=0)


def from_json_gz(data: bytes) -> Ledger:
    """Reads a volume list.

    Raises:
        VolumeListError: it is damaged, or of a later format.
    """
    try:
        ledger = msgspec.json.decode(gzip.decompress(data), type=Ledger)
    except (OSError, EOFError, zlib.error, msgspec.DecodeError) as error:
        raise VolumeListError(f"the volume list is damaged: {error}") from error
    if ledger.version > FORMAT_VERSION:
        raise VolumeListError(f"the volume list has format {ledger.version}, this Ark reads up to {FORMAT_VERSION}")
    return ledger


def _once_per_capture(entries: Iterable[LedgerEntry]) -> list[LedgerEntry]:
    found: dict[str, LedgerEntry] = {}
    for number, entry in enumerate(entries):
        found.setdefault(entry.capture or f"#{number}", entry)
    return list(found.values())


def _final_effect(entry: LedgerEntry, *, tolerate_unread: bool) -> Effect | None:
    return None if entry.state is EntryState.EXPECTED else effect_of(entry, tolerate_unread=tolerate_unread)


def _fails(found: Effect | None) -> bool:
    return found is Effect.PARTIALLY_FAILED


def _notable(effects: list[tuple[LedgerEntry, Effect | None]]) -> list[LedgerEntry]:
    ranked = [
        (0 if _fails(found) else 1 if found is Effect.WARNING else 2, number, entry)
        for number, (entry, found) in enumerate(effects)
        if found is not Effect.RECORDED
    ]
    return [entry for _, _, entry in sorted(ranked, key=lambda one: one[:2])[:STATUS_ENTRIES]]


def _status_entry(entry: LedgerEntry) -> VolumeEntry:
    return VolumeEntry(
        namespace=entry.namespace,
        pod=entry.pod,
        volume=entry.volume,
        claim_name=entry.claim_name,
        phase=entry.state,
        reason=entry.reason,
        message=entry.message,
        snapshot_id=entry.snapshot_id,
        excludes=entry.excludes,
        parent_backup=entry.parent_backup if shrank(entry) else "",
    )
