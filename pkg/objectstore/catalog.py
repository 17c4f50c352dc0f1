"""What lies in the bucket: the backups, and the identity of the cluster that writes there.

A listing costs one request per 1,000 backups; metadata is read only for the names a caller asks about. Two clusters
never write below the same prefix: whoever stamps first owns it (operators.md A4), by a conditional create.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from pkg.apis.ark import Backup
from pkg.apis.meta import JsonObject
from pkg.apis.names import RESERVED_BACKUP_NAMES
from pkg.objectstore.errors import ObjectInvalidError, ObjectNotFoundError, PreconditionFailedError
from pkg.objectstore.layout import CLUSTER_KEY, backup_keys
from pkg.objectstore.store import ObjectStore


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupMetadata:
    """A backup's `ark-backup.json`: every byte of meaning, and what Ark reads of it."""

    raw: JsonObject
    backup: Backup


class ClusterStamp(msgspec.Struct, frozen=True, kw_only=True, rename={"cluster_id": "clusterID"}):
    """The content of `ark-cluster.json`."""

    cluster_id: str


def list_backups(store: ObjectStore) -> list[str]:
    """Names of all directories that may be backups, sorted; some may turn out to have no metadata."""
    return [name for name in store.list_directories() if name not in RESERVED_BACKUP_NAMES]


def read_metadata(store: ObjectStore, name: str) -> BackupMetadata:
    """A backup's metadata.

    Raises:
        ObjectNotFoundError: There is no such backup.
        ObjectInvalidError: Its metadata is damaged.
    """
    key = backup_keys(name).metadata
    data = store.get(key)
    try:
        return BackupMetadata(raw=msgspec.json.decode(data, type=dict), backup=msgspec.json.decode(data, type=Backup))
    except msgspec.DecodeError as error:
        raise ObjectInvalidError(f"{key!r} is not a backup's metadata: {error}") from error


def read_cluster(store: ObjectStore) -> str:
    """Identity of the cluster that writes here; empty when nobody does."""
    try:
        data = store.get(CLUSTER_KEY)
    except ObjectNotFoundError:
        return ""
    try:
        return msgspec.json.decode(data, type=ClusterStamp).cluster_id
    except msgspec.DecodeError as error:
        raise ObjectInvalidError(f"{CLUSTER_KEY!r} does not name a cluster: {error}") from error


def stamp_cluster(store: ObjectStore, cluster_id: str) -> str:
    """Claims the prefix unless it is claimed; returns whose it is now, which may be another cluster."""
    owner = read_cluster(store)
    if owner:
        return owner
    try:
        store.put(CLUSTER_KEY, msgspec.json.encode(ClusterStamp(cluster_id=cluster_id)), if_none_match=True)
    except PreconditionFailedError:
        return read_cluster(store)
    return cluster_id


def adopt_cluster(store: ObjectStore, cluster_id: str, *, owner: str | None = None) -> None:
    """Takes the prefix over from whichever cluster has it; somebody must have decided that.

    Args:
        store: Where.
        cluster_id: Whose it is from now on.
        owner: Whose it must be now, empty for nobody's; None for anybody's.

    Raises:
        PreconditionFailedError: It is another cluster's than the decision was about.
    """
    info = store.head(CLUSTER_KEY)
    found = "" if info is None or owner is None else read_cluster(store)
    if owner is not None and found != owner:
        raise PreconditionFailedError(f"{CLUSTER_KEY!r} names cluster {found or '(none)'}, not {owner or '(none)'}")
    stamp = msgspec.json.encode(ClusterStamp(cluster_id=cluster_id))
    if info is None:
        store.put(CLUSTER_KEY, stamp, if_none_match=True)
    else:
        store.put(CLUSTER_KEY, stamp, if_match=info.etag)


def first_foreign_owner(store: ObjectStore, cluster_id: str, *, unknown: str) -> str:
    """Who made the first backup here that this cluster did not make; empty where there is none.

    Reads metadata until it finds one, which in a prefix of somebody else's is the first.

    Args:
        store: Where.
        cluster_id: This cluster.
        unknown: The answer for a backup that names no cluster, as those of Ark 0.9, or that does not decode.
    """
    for name in list_backups(store):
        try:
            found = read_metadata(store, name).backup.status.cluster_id or unknown
        except ObjectNotFoundError:
            continue
        except ObjectInvalidError:
            found = unknown
        if found != cluster_id:
            return found
    return ""
