"""Backup, Restore, Schedule, Config and the two request kinds of ark.heptio.com/v1.

Ark 0.9's fields keep their names and forms; ours stand beside them. Phases are plain strings here, because a
status that an older or newer Ark wrote must always decode (operators.md 24).
"""

from __future__ import annotations

import datetime

import msgspec

from pkg.apis.meta import ApiStruct, Condition, LabelSelector, Object
from pkg.apis.names import DEFAULT_LOCATION


class ExecHook(ApiStruct, frozen=True, kw_only=True):
    """A command in a container."""

    container: str = ""
    command: tuple[str, ...] | None = None
    on_error: str = ""
    timeout: str = ""


class BackupResourceHook(ApiStruct, frozen=True, kw_only=True):
    """One hook."""

    exec: ExecHook | None = None


class BackupResourceHookSpec(ApiStruct, frozen=True, kw_only=True):
    """Hooks for the pods that match."""

    name: str = ""
    included_namespaces: tuple[str, ...] | None = None
    excluded_namespaces: tuple[str, ...] | None = None
    included_resources: tuple[str, ...] | None = None
    excluded_resources: tuple[str, ...] | None = None
    label_selector: LabelSelector | None = None
    hooks: tuple[BackupResourceHook, ...] | None = None
    pre: tuple[BackupResourceHook, ...] | None = None
    post: tuple[BackupResourceHook, ...] | None = None


class BackupHooks(ApiStruct, frozen=True, kw_only=True):
    """Hooks of a backup."""

    resources: tuple[BackupResourceHookSpec, ...] | None = None


class BackupSpec(ApiStruct, frozen=True, kw_only=True):
    """What to back up.

    Attributes:
        snapshot_volumes: 0.9's cloud disk snapshots; kept, not acted on.
        include_cluster_resources: None means: with all namespaces, or what a namespaced item needs.
        default_volumes_to_restic: Take every volume but the excluded ones, instead of only annotated ones.
        location: The storage location.
        tolerate_unread_files: Files that restic could not read degrade a volume to a warning only.
        cancel: Ask a running backup to end.
    """

    included_namespaces: tuple[str, ...] | None = None
    excluded_namespaces: tuple[str, ...] | None = None
    included_resources: tuple[str, ...] | None = None
    excluded_resources: tuple[str, ...] | None = None
    label_selector: LabelSelector | None = None
    snapshot_volumes: bool | None = None
    ttl: str = ""
    include_cluster_resources: bool | None = None
    hooks: BackupHooks | None = None
    default_volumes_to_restic: bool | None = None
    location: str = DEFAULT_LOCATION
    tolerate_unread_files: bool = False
    cancel: bool = False


class VolumeBackupInfo(ApiStruct, frozen=True, kw_only=True):
    """A cloud disk snapshot of 0.9."""

    snapshot_id: str = msgspec.field(default="", name="snapshotID")
    type: str = ""
    availability_zone: str = ""
    iops: int | None = None


class Claim(ApiStruct, frozen=True, kw_only=True):
    """Which process works on an object; `epoch` grows by one with each that takes it over."""

    holder: str = ""
    epoch: int = 0


class VolumeEntry(ApiStruct, frozen=True, kw_only=True):
    """One line of a ledger as status shows it."""

    namespace: str = ""
    pod: str = ""
    volume: str = ""
    claim_name: str = ""
    phase: str = ""
    reason: str = ""
    message: str = ""
    snapshot_id: str = msgspec.field(default="", name="snapshotID")


class VolumeCounts(ApiStruct, frozen=True, kw_only=True):
    """The ledger in numbers.

    Attributes:
        expected: Volumes that should be captured (restored).
        captured: Those that were.
        failed: Those that were not, and make the phase PartiallyFailed.
        warnings: Those that were not and only warn.
        bytes_done: Bytes transferred, or seen unchanged, so far.
        total_bytes: Bytes of the volumes as far as known.
        entries: At most 100, the failed ones first.
    """

    expected: int = 0
    captured: int = 0
    failed: int = 0
    warnings: int = 0
    bytes_done: int = 0
    total_bytes: int = 0
    entries: tuple[VolumeEntry, ...] | None = None


class ItemProgress(ApiStruct, frozen=True, kw_only=True):
    """How many objects are done."""

    total_items: int = 0
    items_done: int = 0


class BackupStatus(ApiStruct, frozen=True, kw_only=True):
    """What became of a backup."""

    version: int = 0
    expiration: datetime.datetime | None = None
    phase: str = ""
    reason: str = ""
    message: str = ""
    volume_backups: dict[str, VolumeBackupInfo] | None = None
    validation_errors: tuple[str, ...] | None = None
    start_timestamp: datetime.datetime | None = None
    completion_timestamp: datetime.datetime | None = None
    claim: Claim | None = None
    attempts: int = 0
    progress: ItemProgress | None = None
    volumes: VolumeCounts | None = None
    errors: int = 0
    warnings: int = 0
    cluster_id: str = msgspec.field(default="", name="clusterID")
    tarball_sha256: str = ""
    conditions: tuple[Condition, ...] | None = None


class Backup(Object, frozen=True, kw_only=True):
    """A backup of some of the cluster."""

    spec: BackupSpec = BackupSpec()
    status: BackupStatus = BackupStatus()


class RestoreSpec(ApiStruct, frozen=True, kw_only=True):
    """What to restore, and where to."""

    backup_name: str = ""
    included_namespaces: tuple[str, ...] | None = None
    excluded_namespaces: tuple[str, ...] | None = None
    included_resources: tuple[str, ...] | None = None
    excluded_resources: tuple[str, ...] | None = None
    namespace_mapping: dict[str, str] | None = None
    label_selector: LabelSelector | None = None
    restore_pvs: bool | None = msgspec.field(default=None, name="restorePVs")
    include_cluster_resources: bool | None = None
    cancel: bool = False


class RestoreStatus(ApiStruct, frozen=True, kw_only=True):
    """What became of a restore; `warnings` and `errors` count the entries of the results file."""

    phase: str = ""
    reason: str = ""
    message: str = ""
    validation_errors: tuple[str, ...] | None = None
    warnings: int = 0
    errors: int = 0
    start_timestamp: datetime.datetime | None = None
    completion_timestamp: datetime.datetime | None = None
    claim: Claim | None = None
    attempts: int = 0
    progress: ItemProgress | None = None
    volumes: VolumeCounts | None = None
    conditions: tuple[Condition, ...] | None = None


class Restore(Object, frozen=True, kw_only=True):
    """A restore of some of a backup."""

    spec: RestoreSpec = RestoreSpec()
    status: RestoreStatus = RestoreStatus()


class ScheduleSpec(ApiStruct, frozen=True, kw_only=True):
    """A backup at times that a cron line names."""

    template: BackupSpec = BackupSpec()
    schedule: str = ""
    paused: bool = False


class ScheduleStatus(ApiStruct, frozen=True, kw_only=True):
    """What became of a schedule."""

    phase: str = ""
    last_backup: datetime.datetime | None = None
    validation_errors: tuple[str, ...] | None = None


class Schedule(Object, frozen=True, kw_only=True):
    """Backups at intervals."""

    spec: ScheduleSpec = ScheduleSpec()
    status: ScheduleStatus = ScheduleStatus()


class CloudProvider(ApiStruct, frozen=True, kw_only=True):
    """A provider and its settings."""

    name: str = ""
    config: dict[str, str] | None = None


class StorageProvider(CloudProvider, frozen=True, kw_only=True):
    """Where backups go.

    Attributes:
        bucket: The bucket (container) of the backups.
        prefix: Path below which everything of ours lies; empty for the bucket's root.
        restic_location: `bucket` or `bucket/prefix` of the restic repositories; empty means
            `<bucket>/<prefix>/restic`.
    """

    bucket: str = ""
    prefix: str = ""
    restic_location: str = ""


class Config(Object, frozen=True, kw_only=True):
    """Ark's settings; the fields stand at the top, as in 0.9. Only the object named `default` counts."""

    persistent_volume_provider: CloudProvider | None = None
    backup_storage_provider: StorageProvider | None = None
    backup_sync_period: str = ""
    gc_sync_period: str = ""
    schedule_sync_period: str = ""
    pod_volume_operation_timeout: str = ""
    resource_priorities: tuple[str, ...] | None = None
    restore_only_mode: bool = False


class DownloadTarget(ApiStruct, frozen=True, kw_only=True):
    """A file of a backup or a restore: BackupLog, BackupContents, RestoreLog or RestoreResults."""

    kind: str = ""
    name: str = ""


class DownloadRequestSpec(ApiStruct, frozen=True, kw_only=True):
    """Which file."""

    target: DownloadTarget = DownloadTarget()


class DownloadRequestStatus(ApiStruct, frozen=True, kw_only=True):
    """How to get it.

    Attributes:
        download_url: A presigned address in the object store.
        server_pod: The pod whose loopback listener serves the same file, for a port-forward.
        server_port: That listener's port.
        token: One-time token for the listener.
    """

    phase: str = ""
    reason: str = ""
    message: str = ""
    download_url: str = msgspec.field(default="", name="downloadURL")
    expiration: datetime.datetime | None = None
    server_pod: str = ""
    server_port: int = 0
    token: str = ""


class DownloadRequest(Object, frozen=True, kw_only=True):
    """A wish to read a file in the bucket."""

    spec: DownloadRequestSpec = DownloadRequestSpec()
    status: DownloadRequestStatus = DownloadRequestStatus()


class DeleteBackupRequestSpec(ApiStruct, frozen=True, kw_only=True):
    """Which backup."""

    backup_name: str = ""


class DeleteBackupRequestStatus(ApiStruct, frozen=True, kw_only=True):
    """What became of the request."""

    phase: str = ""
    errors: tuple[str, ...] | None = None


class DeleteBackupRequest(Object, frozen=True, kw_only=True):
    """A wish to delete a backup and all that belongs to it."""

    spec: DeleteBackupRequestSpec = DeleteBackupRequestSpec()
    status: DeleteBackupRequestStatus = DeleteBackupRequestStatus()
