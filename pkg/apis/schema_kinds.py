"""What a definition says about a kind besides its fields: short names and the columns of `kubectl get`.

Columns answer "what is it doing"; the ones that explain a failure are shown by `-o wide` only.
"""

from __future__ import annotations

from dataclasses import dataclass

from pkg.apis.ark import Backup, Config, DeleteBackupRequest, DownloadRequest, Restore, Schedule
from pkg.apis.meta import Object
from pkg.apis.volumes import PodVolumeBackup, PodVolumeRestore, ResticRepository


@dataclass(frozen=True, slots=True)
class Column:
    """One printer column."""

    name: str
    path: str
    type: str = "string"
    wide: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class KindSpec:
    """One of Ark's kinds."""

    type: type[Object]
    plural: str
    short_names: tuple[str, ...]
    columns: tuple[Column, ...]
    has_status: bool = True

    @property
    def kind(self) -> str:
        """The kind's name is the struct's."""
        return self.type.__name__


_PHASE = Column("Phase", ".status.phase")
_REASON = Column("Reason", ".status.reason")
_MESSAGE = Column("Message", ".status.message", wide=True)
_AGE = Column("Age", ".metadata.creationTimestamp", "date")
_ITEMS = Column("Items", ".status.progress.itemsDone", "integer")
_EXPECTED = Column("Volumes", ".status.volumes.expected", "integer")
_ERRORS = Column("Errors", ".status.errors", "integer")
_WARNINGS = Column("Warnings", ".status.warnings", "integer")
_BYTES = Column("Bytes", ".status.progress.bytesDone", "integer")
_TOTAL = Column("Total", ".status.progress.totalBytes", "integer")
_POD_NAMESPACE = Column("Namespace of pod", ".spec.pod.namespace", wide=True)
_POD = Column("Pod", ".spec.pod.name")
_VOLUME = Column("Volume", ".spec.volume")
_NODE = Column("Node", ".spec.node")

KINDS: tuple[KindSpec, ...] = (
    KindSpec(
        type=Backup,
        plural="backups",
        short_names=("arkb",),
        columns=(
            _PHASE,
            _ITEMS,
            Column("Captured", ".status.volumes.captured", "integer"),
            _EXPECTED,
            _ERRORS,
            Column("Expires", ".status.expiration"),
            _AGE,
            Column("Reason", ".status.reason", wide=True),
            _MESSAGE,
        ),
    ),
    KindSpec(
        type=Restore,
        plural="restores",
        short_names=("arkr",),
        columns=(
            Column("Backup", ".spec.backupName"),
            _PHASE,
            _ITEMS,
            Column("Restored", ".status.volumes.captured", "integer"),
            _EXPECTED,
            _WARNINGS,
            _ERRORS,
            _AGE,
            Column("Reason", ".status.reason", wide=True),
            _MESSAGE,
        ),
    ),
    KindSpec(
        type=Schedule,
        plural="schedules",
        short_names=("arks",),
        columns=(
            _PHASE,
            Column("Schedule", ".spec.schedule"),
            Column("Last backup", ".status.lastBackup", "date"),
            Column("Paused", ".spec.paused", "boolean"),
            _AGE,
        ),
    ),
    KindSpec(
        type=Config,
        plural="configs",
        short_names=("arkc",),
        has_status=False,
        columns=(
            Column("Provider", ".backupStorageProvider.name"),
            Column("Bucket", ".backupStorageProvider.bucket"),
            Column("Restore only", ".restoreOnlyMode", "boolean"),
            _AGE,
        ),
    ),
    KindSpec(
        type=DownloadRequest,
        plural="downloadrequests",
        short_names=("arkdl",),
        columns=(
            Column("Target", ".spec.target.kind"),
            Column("Name of target", ".spec.target.name"),
            _PHASE,
            _REASON,
            _AGE,
        ),
    ),
    KindSpec(
        type=DeleteBackupRequest,
        plural="deletebackuprequests",
        short_names=("arkdel",),
        columns=(Column("Backup", ".spec.backupName"), _PHASE, _AGE),
    ),
    KindSpec(
        type=PodVolumeBackup,
        plural="podvolumebackups",
        short_names=("pvb",),
        columns=(_PHASE, _POD, _VOLUME, _NODE, _BYTES, _TOTAL, _REASON, _AGE, _POD_NAMESPACE, _MESSAGE),
    ),
    KindSpec(
        type=PodVolumeRestore,
        plural="podvolumerestores",
        short_names=("pvr",),
        columns=(_PHASE, _POD, _VOLUME, _NODE, _BYTES, _TOTAL, _REASON, _AGE, _POD_NAMESPACE, _MESSAGE),
    ),
    KindSpec(
        type=ResticRepository,
        plural="resticrepositories",
        short_names=("arkrepo",),
        columns=(
            _PHASE,
            Column("Volumes of", ".spec.volumeNamespace"),
            Column("Last maintenance", ".status.lastMaintenanceTime", "date"),
            Column("Damaged", '.status.conditions[?(@.type=="Damaged")].status'),
            Column("Last read", ".status.verification.readAt", "date", wide=True),
            _REASON,
            _AGE,
            Column("Repository", ".status.repositoryID", wide=True),
            _MESSAGE,
        ),
    ),
)
