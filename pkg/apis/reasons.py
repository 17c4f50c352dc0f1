"""Phases and reasons: the closed vocabulary of every status, and what a reason does to a backup's phase."""

from __future__ import annotations

from enum import StrEnum


class BackupPhase(StrEnum):
    """Phases of a Backup; a Restore has the same without Deleting."""

    NEW = "New"
    FAILED_VALIDATION = "FailedValidation"
    IN_PROGRESS = "InProgress"
    COMPLETED = "Completed"
    PARTIALLY_FAILED = "PartiallyFailed"
    FAILED = "Failed"
    DELETING = "Deleting"


TERMINAL_PHASES = frozenset(
    {
        BackupPhase.FAILED_VALIDATION,
        BackupPhase.COMPLETED,
        BackupPhase.PARTIALLY_FAILED,
        BackupPhase.FAILED,
    }
)


class VolumePhase(StrEnum):
    """Phases of a PodVolumeBackup and a PodVolumeRestore, as in 0.9."""

    NEW = "New"
    IN_PROGRESS = "InProgress"
    COMPLETED = "Completed"
    FAILED = "Failed"


class RepositoryPhase(StrEnum):
    """Phases of a ResticRepository."""

    NEW = "New"
    READY = "Ready"
    NOT_READY = "NotReady"


class RequestPhase(StrEnum):
    """Phases of a DownloadRequest and a DeleteBackupRequest."""

    NEW = "New"
    IN_PROGRESS = "InProgress"
    PROCESSED = "Processed"


class SchedulePhase(StrEnum):
    """Phases of a Schedule, as in 0.9."""

    NEW = "New"
    ENABLED = "Enabled"
    FAILED_VALIDATION = "FailedValidation"


class Effect(StrEnum):
    """What a reason does to the phase of the backup."""

    RECORDED = "recorded"
    WARNING = "warning"
    PARTIALLY_FAILED = "PartiallyFailed"


class Reason(StrEnum):
    """Why a volume was not captured, or a status is what it is."""

    NOT_SELECTED = "NotSelected"
    UNKNOWN_VOLUME = "UnknownVolume"
    HOST_PATH = "HostPath"
    FROM_API = "FromApi"
    BLOCK_MODE = "BlockMode"
    NOT_RUNNING = "NotRunning"
    POD_FINISHED = "PodFinished"
    POD_GONE = "PodGone"
    NO_POD = "NoPod"
    NOT_MOUNTED = "NotMounted"
    NOT_PROPAGATED = "NotPropagated"
    NO_AGENT = "NoAgent"
    NODE_GONE = "NodeGone"
    RESTORE_IN_PROGRESS = "RestoreInProgress"
    EXCLUDED = "Excluded"
    UNREAD_FILES = "UnreadFiles"
    # failures of a transfer
    NO_PROGRESS = "NoProgress"
    TIMED_OUT = "TimedOut"
    OUT_OF_MEMORY = "OutOfMemory"
    POD_DELETED = "PodDeleted"
    FREEZE_EXCEEDED = "FreezeExceeded"
    THAWED = "Thawed"
    CANCELED = "Canceled"
    BACKEND_UNREACHABLE = "BackendUnreachable"
    WRONG_PASSWORD = "WrongPassword"
    REPOSITORY_NOT_READY = "RepositoryNotReady"
    REPOSITORY_MISSING = "RepositoryMissing"
    LOCK_TIMEOUT = "LockTimeout"
    ATTEMPTS_EXHAUSTED = "AttemptsExhausted"
    INTERNAL = "Internal"
    # configuration, store and identity
    CONFIG_MISSING = "ConfigMissing"
    CONFIG_INVALID = "ConfigInvalid"
    INVALID_SPEC = "InvalidSpec"
    BUCKET_MISSING = "BucketMissing"
    CREDENTIALS_REFUSED = "CredentialsRefused"
    NAME_TAKEN = "NameTaken"
    FOREIGN_CLUSTER = "ForeignCluster"
    FOREIGN_REPOSITORY = "ForeignRepository"
    PASSWORD_MISSING = "PasswordMissing"
    BACKUP_NOT_FOUND = "BackupNotFound"
    DISK_SNAPSHOTS = "DiskSnapshots"
    BACKUP_DAMAGED = "BackupDamaged"
    ITEM_ERRORS = "ItemErrors"
    VOLUMES_MISSING = "VolumesMissing"
    POD_EXISTS = "PodExists"
    TARGET_UNUSABLE = "TargetUnusable"
    TARGET_READ_ONLY = "TargetReadOnly"
    TARGET_FULL = "TargetFull"
    RESTORE_INCOMPLETE = "RestoreIncomplete"
    METADATA_LOST = "MetadataLost"
    HOOK_FAILED = "HookFailed"
    SUSPICIOUS_SHRINK = "SuspiciousShrink"
    NAMESPACE_TERMINATING = "NamespaceTerminating"
    SCRATCH_FULL = "ScratchFull"
    # deletion and schedules
    EXPIRATION_HELD = "ExpirationHeld"
    DELETIONS_FROZEN = "DeletionsFrozen"
    MASS_DELETION_HELD = "MassDeletionHeld"
    BACKUP_IN_PROGRESS = "BackupInProgress"
    BACKUP_IN_USE = "BackupInUse"
    PINNED = "Pinned"
    RESTORE_ONLY = "RestoreOnly"
    OVERLAP = "Overlap"
    MISSED = "Missed"
    PAUSED = "Paused"
    # maintenance of repositories
    REPOSITORY_DAMAGED = "RepositoryDamaged"
    DAMAGE_SUSPECTED = "DamageSuspected"
    REPOSITORY_REPLACED = "RepositoryReplaced"
    STORAGE_CLASS_REFUSED = "StorageClassRefused"
    MEMORY_LIMIT_TOO_LOW = "MemoryLimitTooLow"
    DEADLINE_EXCEEDED = "DeadlineExceeded"
    RETAINED_BY_STORE = "RetainedByStore"
    GAVE_WAY = "GaveWay"


_BY_NAME: dict[Reason, Effect] = {
    Reason.NOT_SELECTED: Effect.RECORDED,
    Reason.UNKNOWN_VOLUME: Effect.PARTIALLY_FAILED,
    Reason.HOST_PATH: Effect.PARTIALLY_FAILED,
    Reason.FROM_API: Effect.WARNING,
    Reason.BLOCK_MODE: Effect.PARTIALLY_FAILED,
    Reason.NOT_RUNNING: Effect.PARTIALLY_FAILED,
    Reason.POD_FINISHED: Effect.WARNING,
    Reason.NO_POD: Effect.RECORDED,
    Reason.NOT_MOUNTED: Effect.PARTIALLY_FAILED,
    Reason.EXCLUDED: Effect.RECORDED,
    Reason.SUSPICIOUS_SHRINK: Effect.WARNING,
}
_BY_DEFAULT: dict[Reason, Effect] = {
    Reason.NOT_SELECTED: Effect.RECORDED,
    Reason.HOST_PATH: Effect.RECORDED,
    Reason.FROM_API: Effect.RECORDED,
    Reason.BLOCK_MODE: Effect.WARNING,
    Reason.NOT_RUNNING: Effect.WARNING,
    Reason.POD_FINISHED: Effect.WARNING,
    Reason.NO_POD: Effect.WARNING,
    Reason.NOT_MOUNTED: Effect.WARNING,
    Reason.EXCLUDED: Effect.RECORDED,
    Reason.SUSPICIOUS_SHRINK: Effect.WARNING,
}


def effect(
    reason: Reason, *, opted_in_by_name: bool, pvc_exists: bool = False, tolerate_unread: bool = False
) -> Effect:
    """What a reason does to the phase (the table of design.md section 4).

    Args:
        reason: Why the volume is not captured, or only degraded.
        opted_in_by_name: True where an annotation names the volume, False where it is taken by default.
        pvc_exists: Only for PodGone: whether the pod's PVC is still there.
        tolerate_unread: Only for UnreadFiles: the backup's `--tolerate-unread-files`.
    """
    if reason is Reason.POD_GONE:
        return Effect.PARTIALLY_FAILED if pvc_exists else Effect.WARNING
    if reason is Reason.UNREAD_FILES:
        return Effect.WARNING if tolerate_unread else Effect.PARTIALLY_FAILED
    table = _BY_NAME if opted_in_by_name else _BY_DEFAULT
    return table.get(reason, Effect.PARTIALLY_FAILED)
