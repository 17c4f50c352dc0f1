"""Backup, Restore, Schedule, Config and the two request kinds of ark.heptio.com/v1.

Ark 0.9's fields keep their names and forms; ours stand beside them. Phases are plain strings here, because a
status that an older or newer Ark wrote must always decode (operators.md 24).
"""

from __future__ import annotations

import datetime

import msgspec

from pkg.apis.hooks import BackupHooks, RestoreHooks
from pkg.apis.meta import ApiStruct, Condition, LabelSelector, Object
from pkg.apis.names import DEFAULT_LOCATION


class BackupSpec(ApiStruct, frozen=True, kw_only=True):
    """What to back up.

    Attributes:
        snapshot_volumes: 0.9's cloud disk snapshots, which this Ark does not take; true is refused.
        include_cluster_resources: None means: with all namespaces, or what a namespaced item needs.
        default_volumes_to_restic: Take every volume but the excluded ones, instead of only annotated ones.
        location: The storage location.
        tolerate_unread_files: Files that restic could not read degrade a volume to a warning only.
        cancel: Ask a running backup to end.
        max_freeze: The longest time between a pod's pre hook and its post hook, as a Go duration; empty: the default.
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
    max_freeze: str = ""


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
    """One line of a ledger as status shows it.

    Attributes:
        parent_backup: With SuspiciousShrink, the backup that has the capture before the shrinking.
    """

    namespace: str = ""
    pod: str = ""
    volume: str = ""
    claim_name: str = ""
    phase: str = ""
    reason: str = ""
    message: str = ""
    snapshot_id: str = msgspec.field(default="", name="snapshotID")
    excludes: tuple[str, ...] | None = None
    parent_backup: str = ""


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


class OpenHook(ApiStruct, frozen=True, kw_only=True):
    """A pod whose pre hook was begun and whose post hook has not ended: it may be frozen."""

    namespace: str = ""
    pod: str = ""
    pod_uid: str = msgspec.field(default="", name="podUID")
    since: datetime.datetime | None = None


class BackupStatus(ApiStruct, frozen=True, kw_only=True):
    """What became of a backup.

    Attributes:
        open_hooks: Written before a pre hook runs, so that a restarted server runs the missing post hook first.
        frozen_seconds: The longest time that one pod was between its hooks.
    """

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
    open_hooks: tuple[OpenHook, ...] | None = None
    frozen_seconds: int = 0
    conditions: tuple[Condition, ...] | None = None


class Backup(Object, frozen=True, kw_only=True):
    """A backup of some of the cluster."""

    spec: BackupSpec = BackupSpec()
    status: BackupStatus = BackupStatus()


class RestoreSpec(ApiStruct, frozen=True, kw_only=True):
    """What to restore, and where to.

    Attributes:
        schedule_name: Instead of `backup_name`: the newest Completed or PartiallyFailed backup of that schedule.
        existing_resource_policy: `none` (compare and report) or `update`; empty means `none`.
        restore_last: Resources that are made only when all volumes are filled or given up.
        storage_class_mapping: Storage class in the backup to the one to use.
        image_mapping: Prefix of an image's name in the backup to the one to use.
        strict_metadata: A volume some of whose files cannot get their owner, times or attributes back has failed.
    """

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
    schedule_name: str = ""
    existing_resource_policy: str = ""
    restore_last: tuple[str, ...] | None = None
    storage_class_mapping: dict[str, str] | None = None
    image_mapping: dict[str, str] | None = None
    hooks: RestoreHooks | None = None
    disable_hooks: bool = False
    strict_metadata: bool = False


class RestoreStatus(ApiStruct, frozen=True, kw_only=True):
    """What became of a restore; `warnings` and `errors` count the entries of the results file.

    Attributes:
        results_config_map: The ConfigMap with results and the end of the log, where the store must not be written to.
        backup_name: The backup that is restored, where the spec names a schedule.
    """

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
    results_config_map: str = ""
    backup_name: str = ""
    conditions: tuple[Condition, ...] | None = None


class Restore(Object, frozen=True, kw_only=True):
    """A restore of some of a backup."""

    spec: RestoreSpec = RestoreSpec()
    status: RestoreStatus = RestoreStatus()

    @property
    def backup_name(self) -> str:
        """The backup that is restored: the named one, or the one that was found for the named schedule."""
        return self.spec.backup_name or self.status.backup_name


class ScheduleSpec(ApiStruct, frozen=True, kw_only=True):
    """A backup at times that a cron line names.

    Attributes:
        schedule: Five fields of cron, `@daily` and the like, or `@every 90m`.
        time_zone: IANA name; empty means UTC.
        run_on_create: 0.9's behaviour: the first backup at once and not at the first time that the line names.
        jitter: The longest delay of a run, as a Go duration; the same for every run of one schedule.
        min_keep: How many Completed backups deletion by age leaves; None means 1.
    """

    template: BackupSpec = BackupSpec()
    schedule: str = ""
    paused: bool = False
    time_zone: str = ""
    run_on_create: bool = False
    jitter: str = ""
    min_keep: int | None = None


class ScheduleStatus(ApiStruct, frozen=True, kw_only=True):
    """What became of a schedule.

    Attributes:
        last_backup: The time of the run that made the last backup; in 0.9 the moment at which it was made.
        last_skipped: The time of the last run that was left out; `reason` says why.
        timetable: Line, time zone and jitter that are in force.
        counts_from: Only runs after this moment are due, because the schedule was changed, paused or refused before.
    """

    phase: str = ""
    last_backup: datetime.datetime | None = None
    validation_errors: tuple[str, ...] | None = None
    last_backup_name: str = ""
    next_backup: datetime.datetime | None = None
    last_skipped: datetime.datetime | None = None
    timetable: str = ""
    counts_from: datetime.datetime | None = None
    reason: str = ""
    message: str = ""


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
    """Ark's settings; the fields stand at the top, as in 0.9. Only the object named `default` counts.

    Attributes:
        deletions_frozen: Why nothing may be deleted now (`ark freeze-deletions`); empty when deletion is allowed.
        maintenance_window: `HH:MM-HH:MM` in UTC in which repositories may be pruned; empty for any time.
    """

    persistent_volume_provider: CloudProvider | None = None
    backup_storage_provider: StorageProvider | None = None
    backup_sync_period: str = ""
    gc_sync_period: str = ""
    schedule_sync_period: str = ""
    pod_volume_operation_timeout: str = ""
    resource_priorities: tuple[str, ...] | None = None
    restore_only_mode: bool = False
    deletions_frozen: str = ""
    maintenance_window: str = ""


class DownloadTarget(ApiStruct, frozen=True, kw_only=True):
    """A file of a backup or a restore: BackupLog, BackupContents, BackupVolumes, RestoreLog or RestoreResults."""

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
    """Which backup.

    Attributes:
        backup_uid: The Backup object that is meant; empty for whichever has the name, as in 0.9.
        force: Go on where a repository or the bucket is missing; what could not be deleted is in the errors.
    """

    backup_name: str = ""
    backup_uid: str = msgspec.field(default="", name="backupUID")
    force: bool = False


class DeleteBackupRequestStatus(ApiStruct, frozen=True, kw_only=True):
    """What became of the request."""

    phase: str = ""
    errors: tuple[str, ...] | None = None
    reason: str = ""
    message: str = ""
    completion_timestamp: datetime.datetime | None = None


class DeleteBackupRequest(Object, frozen=True, kw_only=True):
    """A wish to delete a backup and all that belongs to it."""

    spec: DeleteBackupRequestSpec = DeleteBackupRequestSpec()
    status: DeleteBackupRequestStatus = DeleteBackupRequestStatus()
