"""PodVolumeBackup, PodVolumeRestore and ResticRepository: what server and agents tell each other."""

from __future__ import annotations

import datetime

import msgspec

from pkg.apis.meta import ApiStruct, Object, ObjectReference
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


class PodVolumeBackupSpec(ApiStruct, frozen=True, kw_only=True):
    """One volume to capture.

    Attributes:
        repo_identifier: restic's repository address.
        repository: Name of the ResticRepository; empty in objects of 0.9.
        parent_snapshot_id: Full id of the snapshot to compare with, chosen by the server.
        timeout: The longest time from the slot to the end, as a Go duration; empty for none.
        hold: The agent takes a slot and waits until this is false.
        cancel_reason: Why it is canceled, where nobody asked for it: FreezeExceeded, HookFailed or Thawed.
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


class PodVolumeBackupStatus(ApiStruct, frozen=True, kw_only=True):
    """What became of a capture.

    Attributes:
        holder: UID of the agent pod and start of its process (`<pod uid>/<start>`) that works on it.
        attempts: How many times restic was started for it.
        slot_at: When the agent took it on.
        repository_id: Id of the repository that the snapshot is in.
        unread_files: Files that restic could not read (exit code 3); the first paths in `unread_paths`.
    """

    phase: str = ""
    path: str = ""
    snapshot_id: str = msgspec.field(default="", name="snapshotID")
    message: str = ""
    reason: str = ""
    holder: str = ""
    attempts: int = 0
    slot_at: datetime.datetime | None = None
    start_timestamp: datetime.datetime | None = None
    completion_timestamp: datetime.datetime | None = None
    progress: VolumeProgress | None = None
    bytes_added: int = 0
    repository_id: str = msgspec.field(default="", name="repositoryID")
    unread_files: int = 0
    unread_paths: tuple[str, ...] | None = None
    root: RootMetadata | None = None


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
    restore_uid: str = msgspec.field(default="", name="restoreUID")
    marker_only: bool = False
    no_lock: bool = False
    cancel: bool = False
    timeout: str = ""


class PodVolumeRestoreStatus(ApiStruct, frozen=True, kw_only=True):
    """What became of it."""

    phase: str = ""
    message: str = ""
    reason: str = ""
    path: str = ""
    holder: str = ""
    attempts: int = 0
    slot_at: datetime.datetime | None = None
    start_timestamp: datetime.datetime | None = None
    completion_timestamp: datetime.datetime | None = None
    progress: VolumeProgress | None = None


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


class ResticRepository(Object, frozen=True, kw_only=True):
    """The repository of one namespace's volumes."""

    spec: ResticRepositorySpec = ResticRepositorySpec()
    status: ResticRepositoryStatus = ResticRepositoryStatus()

    @property
    def volume_namespace(self) -> str:
        """The namespace whose volumes it holds; an object of 0.9 only has it for its name."""
        return self.spec.volume_namespace or self.metadata.name
