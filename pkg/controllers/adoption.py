"""Marks the Backups that became ours because somebody adopted their cluster's.

The mark carries its time, and age counts only seven days after it (ownership.py). Marking is level-based: as long as
the Config names a cluster, whatever of its backups appears is marked, also one that it finished after the adoption.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable

import structlog

from pkg.apis.ark import Backup
from pkg.apis.meta import JsonObject
from pkg.apis.names import ADOPTED_ANNOTATION
from pkg.controllers.foreign import Adoption
from pkg.controllers.ownership import is_imported, is_ours, source_cluster
from pkg.controllers.status import timestamp
from pkg.controllers.sync_import import ENDED
from pkg.kube.client import Client
from pkg.kube.errors import ConflictError, NotFoundError
from pkg.kube.refs import BACKUPS

log = structlog.get_logger()


def adoptable(backup: Backup, cluster_id: str) -> bool:
    """Whether the backup is somebody else's record: imported, or an object of Ark 0.9 from before an upgrade."""
    if is_ours(backup, cluster_id) or backup.metadata.deletion_timestamp is not None:
        return False
    return is_imported(backup) or backup.status.phase in ENDED


def mark_adopted(
    client: Client, backups: Iterable[Backup], adoption: Adoption, *, cluster_id: str, now: datetime.datetime
) -> int:
    """Marks what the adoption names and is not marked yet; returns how many it marked.

    Raises:
        KubeError: the API does not take it; the next sync goes on.
    """
    marked = 0
    for backup in backups:
        if source_cluster(backup) in adoption.clusters and adoptable(backup, cluster_id):
            marked += _mark(client, backup, now)
    return marked


def _mark(client: Client, backup: Backup, now: datetime.datetime) -> bool:
    meta = backup.metadata
    patch: JsonObject = {
        "metadata": {
            "uid": meta.uid,
            "resourceVersion": meta.resource_version,
            "annotations": {ADOPTED_ANNOTATION: timestamp(now)},
        }
    }
    try:
        client.patch(BACKUPS, meta.namespace, meta.name, patch, Backup)
    except (ConflictError, NotFoundError):
        return False  # the next sync decides anew
    log.warning("Backup adopted", key=meta.key, cluster=source_cluster(backup))
    return True
