"""PodVolumeBackup, PodVolumeRestore and ResticRepository: what server and agents tell each other."""

from __future__ import annotations

import datetime

import msgspec

from pkg.apis.holders import LockHolder
from pkg.apis.meta import ApiStruct, Condition, Object, ObjectReference
from pkg.apis.names import DEFAULT_LOCATION


class VolumeSource(ApiStruct, frozen=True, kw_only=True):
    """Where a volume lies below `<host pods dir>/<pod uid>/volumes`, resolved by the server.

    Attributes:
        directory: Relative path of the contents, such as `kubernetes.io~csi/<pv>/mount`.
        must_be_mount: Whether that directory must be a mount point in the agent's own mountinfo.
        claim_name: The PVC, empty for a volume without one.
    """

    directory: str = ""
    must_be_mount: bool = False
    claim_name: str = ""
    claim_uid: str = msgspec.field(default="", name="claimUID")
    pv_name: str = ""
    driver: str = ""


class RootMetadata(ApiStruct, frozen=True, kw_only=True):
    """Owner, mode, mtime and xattrs of a volume's root directory, which restic does not keep.

    Attributes:
        mode: Permission bits including setuid, setgid and sticky, as a number.
        mtime_ns: Nanoseconds since the epoch.
        xattrs: Attribute name to base64 of its value.
    """

    uid: int = 0
    gid: int = 0
    mode: int = 0
    mtime_ns: int = 0
    xattrs: dict[str, str] | None = None


class VolumeProgress(ApiStruct, frozen=True, kw_only=True):
    """How far restic is."""

    bytes_done: int = 0
    total_bytes: int = 0
    files_done: int = 0
    total_files: int = 0


class VolumeSize(ApiStruct, frozen=True, kw_only=True):
    """How large a volume was when it was captured.

    Attributes:
        used_bytes: What was in use of its file system; 0 where it shares one, or nobody asked.
    """

    files: int = 0
    bytes: int = 0
    used_bytes: int = 0


class PodVolumeBackupSpec(ApiStruct, frozen=True, kw_only=True):
    """One volume to capture.

    Attributes:
        repo_identifier: restic's repository address.
        repository: Name of the ResticRepository; empty in objects of 0.9.
        parent_snapshot_id: Full id of the snapshot to compare with, chosen by the server.
        timeout: The longest time from the slot to the end, as a Go duration; empty for none.
        hold: The agent takes a slot and waits until this is false.
        cancel_reason: Why it is canceled, where nobody asked for it: FreezeExceeded, HookFailed or Thawed.
        last_run_seconds: How long the slot was needed the last time: by the volume, or by all volumes of a pod with
            hooks; absent where that is not known.
    """

    node: str = ""
    pod: ObjectReference = ObjectReference()
    volume: str = ""
    repo_identifier: str = ""
    tags: dict[str, str] | None = None
    repository: str = ""
    source: VolumeSource = VolumeSource()
    parent_snapshot_id: str = msgspec.field(default="", name="parentSnapshotID")
    excludes: tuple[str, ...] | None = None
    hold: bool = False
    cancel: bool = False
    timeout: str = ""
    cancel_reason: str = ""
    last_run_seconds: int | None = None


class PodVolumeBackupStatus(ApiStruct, frozen=True, kw_only=True):
    """What became of a capture.

    Attributes:
        holder: UID of the agent pod and start of its process (`<pod uid>/<start>`) that works on it.
        attempts: Runs that failed by restic's fault, with the one that goes on or ended it; 3 at most.
        interruptions: Runs that ended with their agent, by no fault of restic's; they cost no attempt.
        out_of_memory: 1 once restic was killed for want of memory; it runs alone on its node then, and not again.
        slot_at: When the agent took it on.
        repository_id: Id of the repository that the snapshot is in.
        unread_files: Files that restic could not read (exit code 3); the first paths in `unread_paths`.
        used_bytes: What was in use of the volume's file system; 0 where the volume is not one of its own.
        run_seconds: How long restic ran for it, rounded up; 0 where nobody measured it.
    """

    phase: str = ""
    path: str = ""
    snapshot_id: str = msgspec.field(default="", name="snapshotID")
    message: str = ""
    reason: str = ""
    holder: str = ""
    attempts: int = 0
    interruptions: int = 0
    out_of_memory: int = 0
    slot_at: datetime.datetime | None = None
    start_timestamp: datetime.datetime | None = None
    completion_timestamp: datetime.datetime | None = None
    progress: VolumeProgress | None = None
    bytes_added: int = 0
    repository_id: str = msgspec.field(default="", name="repositoryID")
    unread_files: int = 0
    unread_paths: tuple[str, ...] | None = None
    root: RootMetadata | None = None
    used_bytes: int = 0
    run_seconds: int = 0


class PodVolumeBackup(Object, frozen=True, kw_only=True):
    """A capture of one volume of one pod."""

    spec: PodVolumeBackupSpec = PodVolumeBackupSpec()
    status: PodVolumeBackupStatus = PodVolumeBackupStatus()


class PodVolumeRestoreSpec(ApiStruct, frozen=True, kw_only=True):
    """One volume to fill.

    Attributes:
        pod: The new pod.
        snapshot_id: Full id, or the 8 digits of 0.9.
        repository_id: Id that the repository must have; empty for 0.9's snapshots.
        root: What to apply to the root directory after the contents; None for 0.9's snapshots.
        timeout: As of a PodVolumeBackup.
        size: How large the contents are; None for 0.9's snapshots.
        strict_metadata: Owner, times and attributes that cannot be set are a failure.
        marker_only: Another pod's object fills the same claim; only the marker is written.
        no_lock: Nothing may be written to the store, so the repository is read without a lock.
    """

    pod: ObjectReference = ObjectReference()
    volume: str = ""
    repo_identifier: str = ""
    snapshot_id: str = msgspec.field(default="", name="snapshotID")
    node: str = ""
    repository: str = ""
    repository_id: str = msgspec.field(default="", name="repositoryID")
    source: VolumeSource = VolumeSource()
    root: RootMetadata | None = None
    size: VolumeSize | None = None
    restore_uid: str = msgspec.field(default="", name="restoreUID")
    strict_metadata: bool = False
    marker_only: bool = False
    no_lock: bool = False
    cancel: bool = False
    timeout: str = ""


class PodVolumeRestoreStatus(ApiStruct, frozen=True, kw_only=True):
    """What became of it; `attempts`, `interruptions` and `out_of_memory` as of a PodVolumeBackup.

    Attributes:
        snapshot_id: The full id of the snapshot that was restored.
        metadata_failures: Files whose owner, times or attributes could not be set; the first paths in `metadata_paths`.
    """

    phase: str = ""
    message: str = ""
    reason: str = ""
    path: str = ""
    holder: str = ""
    attempts: int = 0
    interruptions: int = 0
    out_of_memory: int = 0
    slot_at: datetime.datetime | None = None
    start_timestamp: datetime.datetime | None = None
    completion_timestamp: datetime.datetime | None = None
    progress: VolumeProgress | None = None
    snapshot_id: str = msgspec.field(default="", name="snapshotID")
    metadata_failures: int = 0
    metadata_paths: tuple[str, ...] | None = None


class PodVolumeRestore(Object, frozen=True, kw_only=True):
    """The filling of one volume of one restored pod."""

    spec: PodVolumeRestoreSpec = PodVolumeRestoreSpec()
    status: PodVolumeRestoreStatus = PodVolumeRestoreStatus()


class ResticRepositorySpec(ApiStruct, frozen=True, kw_only=True):
    """A restic repository.

    Attributes:
        volume_namespace: The namespace whose volumes it holds.
        initialize: Whether it may be made where restic says that there is none; only the Backup engine sets it.
    """

    maintenance_frequency: str = ""
    restic_identifier: str = ""
    volume_namespace: str = ""
    location: str = DEFAULT_LOCATION
    initialize: bool = False


class MaintenanceRun(ApiStruct, frozen=True, kw_only=True):
    """One Job that worked on a repository, or the reason why none was started; `verb` is such as `forget,prune`."""

    verb: str = ""
    job: str = ""
    phase: str = ""
    reason: str = ""
    message: str = ""
    start_timestamp: datetime.datetime | None = None
    completion_timestamp: datetime.datetime | None = None


class Verification(ApiStruct, frozen=True, kw_only=True):
    """How far reading everything in a repository is: in parts, one after the other, without a lock.

    Attributes:
        message: In how many days all data is read at this rate, or why nothing is read.
        part: The last part of this round that was read, of so many `parts`.
        round_began_at: When the first part of this round was due.
        read_at: When the last part was read, and how large it was in `read_bytes`.
        full_at: When the last round ended, in which all data was read.
        size_bytes: Of the data, when it was measured last.
        suspect: A part like `7/100` in which errors were found without a lock, until it was read without any.
        runs: The last five runs, the newest first.
    """

    message: str = ""
    part: int = 0
    parts: int = 0
    round_began_at: datetime.datetime | None = None
    read_at: datetime.datetime | None = None
    read_bytes: int = 0
    full_at: datetime.datetime | None = None
    size_bytes: int = 0
    measured_at: datetime.datetime | None = None
    suspect: str = ""
    runs: tuple[MaintenanceRun, ...] | None = None


class ReplacedRepository(ApiStruct, frozen=True, kw_only=True):
    """A repository that was at this address before and was given up; `message` says what went with it."""

    id: str = ""
    replaced_at: datetime.datetime | None = None
    message: str = ""


class ResticRepositoryStatus(ApiStruct, frozen=True, kw_only=True):
    """Whether it can be used.

    Attributes:
        repository_id: Its id, pinned when it was first opened; never replaced by itself.
        password_generation: Which key of the password Secret opens it.
        cluster_id: UID of kube-system of the cluster that made it.
        fast_key_id: Id of the cheap key, by which restic opens it first; empty for none.
        pending_forget: Full ids of snapshots whose backups were deleted; forgotten in batches.
        maintenance: The last five runs, the newest first.
        maintenance_runs: How many runs were recorded; the next Job is named after it.
        maintenance_request: The last `ark restic repo maintain` that was carried out.
        last_forget_time: When queued snapshots were forgotten last.
        last_prune_time: When unused data was removed last.
        last_check_time: When the structure was verified last.
        holders: Processes of ours that may hold locks in it, by the UID of their pods.
        verification: How far reading all data is.
        replaced: The repositories before this one, the newest first.
        conditions: Damaged, while errors that were confirmed under a lock stand.
    """

    phase: str = ""
    message: str = ""
    reason: str = ""
    last_maintenance_time: datetime.datetime | None = None
    repository_id: str = msgspec.field(default="", name="repositoryID")
    password_generation: int = 0
    cluster_id: str = msgspec.field(default="", name="clusterID")
    fast_key_id: str = msgspec.field(default="", name="fastKeyID")
    checked_at: datetime.datetime | None = None
    pending_forget: tuple[str, ...] | None = None
    maintenance: tuple[MaintenanceRun, ...] | None = None
    maintenance_runs: int = 0
    maintenance_request: str = ""
    last_forget_time: datetime.datetime | None = None
    last_prune_time: datetime.datetime | None = None
    last_check_time: datetime.datetime | None = None
    holders: dict[str, LockHolder] | None = None
    verification: Verification | None = None
    conditions: tuple[Condition, ...] | None = None
    replaced: tuple[ReplacedRepository, ...] | None = None


class ResticRepository(Object, frozen=True, kw_only=True):
    """The repository of one namespace's volumes."""

    spec: ResticRepositorySpec = ResticRepositorySpec()
    status: ResticRepositoryStatus = ResticRepositoryStatus()

    @property
    def volume_namespace(self) -> str:
        """The namespace whose volumes it holds; an object of 0.9 only has it for its name."""
        return self.spec.volume_namespace or self.metadata.name
