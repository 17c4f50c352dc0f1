"""What the committed backups of a bucket say about volumes; the bucket is the record, not the API objects."""

from __future__ import annotations

from pkg.objectstore.catalog import list_backups
from pkg.objectstore.errors import ObjectNotFoundError
from pkg.objectstore.layout import backup_keys
from pkg.objectstore.store import ObjectStore
from pkg.volumes.ledger import EntryState, from_json_gz


def namespace_was_captured(store: ObjectStore, namespace: str) -> str:
    """Name of a committed backup that holds a volume of the namespace; empty when there is none.

    Raises:
        StoreError: the bucket cannot be read.
        VolumeListError: a volume list is damaged, so that the question cannot be answered.
    """
    for name in list_backups(store):
        keys = backup_keys(name)
        if store.head(keys.metadata) is None:
            continue
        try:
            ledger = from_json_gz(store.get(keys.volumes))
        except ObjectNotFoundError:
            continue  # of Ark 0.9, whose repositories lay elsewhere
        if any(entry.namespace == namespace and entry.state is EntryState.CAPTURED for entry in ledger.entries):
            return name
    return ""
