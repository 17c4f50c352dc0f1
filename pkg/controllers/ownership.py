"""Whose backup it is, and when it may be deleted for its age.

GC touches only own or adopted backups (operators.md 4). A backup is ours when its status names this cluster, when
this cluster's server claimed the object itself, or when somebody adopted it; the doubtful ones are never ours. What
came out of the bucket gets seven days before its age counts, so that an Ark that was installed anew to restore
something does not begin by deleting it.
"""

from __future__ import annotations

import datetime

from pkg.apis.ark import Backup
from pkg.apis.names import ADOPTED_ANNOTATION, IMPORTED_ANNOTATION, SOURCE_CLUSTER_ANNOTATION

GRACE = datetime.timedelta(days=7)
ARK_0_9 = "ark-0.9"  # the identity of whoever wrote backups without one


def is_imported(backup: Backup) -> bool:
    """Whether the object was made from what lies in the bucket."""
    return bool(backup.metadata.annotation(IMPORTED_ANNOTATION))


def is_ours(backup: Backup, cluster_id: str) -> bool:
    """Whether this cluster made the backup or adopted it.

    Says nothing about the files of that name in the bucket: a Backup that was refused because its name was taken is
    ours, the files are not. Whoever deletes files compares the claim or the metadata there as well.
    """
    if adopted_at(backup) is not None:
        return True
    if backup.status.cluster_id:
        return backup.status.cluster_id == cluster_id
    return not is_imported(backup) and backup.status.claim is not None


def adopted_at(backup: Backup) -> datetime.datetime | None:
    """Since when the backup counts as ours by adoption; None where nobody adopted it."""
    return _time(backup.metadata.annotation(ADOPTED_ANNOTATION))


def expires_at(backup: Backup, cluster_id: str) -> datetime.datetime | None:
    """From when on GC may delete the backup for its age; None for never."""
    expiration = backup.status.expiration
    if expiration is None or not is_ours(backup, cluster_id):
        return None
    since = adopted_at(backup)
    if since is None and is_imported(backup):
        since = backup.metadata.creation_timestamp
        if since is None:
            return None
    return expiration if since is None else max(expiration, since + GRACE)


def source_cluster(backup: Backup) -> str:
    """Identity of the cluster that made the backup; `ark-0.9` where it has none."""
    return backup.metadata.annotation(SOURCE_CLUSTER_ANNOTATION) or backup.status.cluster_id or ARK_0_9


def _time(text: str) -> datetime.datetime | None:
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=datetime.UTC)
