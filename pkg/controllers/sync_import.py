"""What an `ark-backup.json` of the bucket becomes in the API: a Backup that says where it came from.

The object is a record and never runs (design.md 6). It keeps spec, labels and status as they were written; what
belonged to the live object of the other cluster stays behind: UID, owners, finalizers (0.9's `gc.ark.heptio.com`
among them, so that nothing ever hangs), the claim of a server, hooks that stood open.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass

from pkg.apis.formats import format_problem
from pkg.apis.meta import Json, JsonObject
from pkg.apis.names import (
    ADOPTED_ANNOTATION,
    API_VERSION,
    DEFAULT_LOCATION,
    IMPORTED_ANNOTATION,
    SOURCE_CLUSTER_ANNOTATION,
)
from pkg.apis.reasons import BackupPhase
from pkg.controllers.status import timestamp
from pkg.objectstore.catalog import BackupMetadata
from pkg.volumes.naming import label_value

LEFT_BEHIND_ANNOTATIONS = frozenset(
    {
        IMPORTED_ANNOTATION,
        ADOPTED_ANNOTATION,
        SOURCE_CLUSTER_ANNOTATION,
        "kubectl.kubernetes.io/last-applied-configuration",
    }
)
LEFT_BEHIND_STATUS = frozenset({"claim", "openHooks", "conditions", "attempts"})
ENDED = frozenset({BackupPhase.COMPLETED, BackupPhase.PARTIALLY_FAILED, BackupPhase.FAILED})
UNKNOWN_UID = "true"


class MetadataUnusableError(Exception):
    """The metadata decodes and still describes no backup that could be imported; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """A Backup to create; its status is written after it, because creation drops it."""

    body: JsonObject
    status: JsonObject


def import_of(
    directory: str, metadata: BackupMetadata, *, namespace: str, adopted_at: datetime.datetime | None = None
) -> Import:
    """The Backup that stands for a directory of the bucket.

    Args:
        directory: Where the metadata lay; a backup is found by its name, so they must agree.
        metadata: The content of `ark-backup.json`.
        namespace: Ark's.
        adopted_at: Since when it counts as ours, where its cluster's backups were adopted.

    Raises:
        MetadataUnusableError: it is not a finished backup of that name.
    """
    backup = metadata.backup
    if problem := format_problem(backup):
        raise MetadataUnusableError(problem)
    if backup.metadata.name != directory:
        raise MetadataUnusableError(f"it describes a backup named {backup.metadata.name!r}")
    if backup.status.phase not in ENDED:
        raise MetadataUnusableError(f"it describes a backup in phase {backup.status.phase or 'New'!r}")
    annotations: JsonObject = {
        **{
            key: text for key, text in (backup.metadata.annotations or {}).items() if key not in LEFT_BEHIND_ANNOTATIONS
        },
        IMPORTED_ANNOTATION: backup.metadata.uid or UNKNOWN_UID,
        SOURCE_CLUSTER_ANNOTATION: backup.status.cluster_id,
    }
    if adopted_at is not None:
        annotations[ADOPTED_ANNOTATION] = timestamp(adopted_at)
    labels: JsonObject = {key: label_value(text) for key, text in (backup.metadata.labels or {}).items()}
    body: JsonObject = {
        "apiVersion": API_VERSION,
        "kind": "Backup",
        "metadata": {"name": directory, "namespace": namespace, "labels": labels, "annotations": annotations},
        "spec": {**_part(metadata, "spec"), "location": DEFAULT_LOCATION},
    }
    status = {key: value for key, value in _part(metadata, "status").items() if key not in LEFT_BEHIND_STATUS}
    return Import(body=body, status=status)


def _part(metadata: BackupMetadata, name: str) -> JsonObject:
    part: Json = metadata.raw.get(name)
    return dict(part) if isinstance(part, dict) else {}
