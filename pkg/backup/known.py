"""Which namespaces have captures in the bucket; where there are some, a repository is never made anew.

An empty repository beside lost captures would hide the loss, and a new password would lock them away for good.
"""

from __future__ import annotations

import threading

import structlog.typing

from pkg.objectstore.catalog import list_backups
from pkg.objectstore.errors import ObjectNotFoundError, StoreError
from pkg.objectstore.layout import backup_keys
from pkg.objectstore.store import ObjectStore
from pkg.volumes.errors import VolumeListError
from pkg.volumes.ledger import EntryState, from_json_gz


class CapturedNamespaces:
    """Reads the volume lists of all committed backups, once, when it is first asked.

    Attributes:
        problem: Why it cannot be told of any namespace, as a sentence; empty where it can.
    """

    def __init__(self, store: ObjectStore, log: structlog.typing.FilteringBoundLogger) -> None:
        self._store = store
        self._log = log
        self._lock = threading.Lock()
        self._known: frozenset[str] | None = None
        self.problem = ""

    def may_initialize(self, namespace: str) -> bool:
        """Whether no committed backup has a capture of a namespace; False also where that cannot be told."""
        with self._lock:  # held while reading on purpose: several namespaces ask at once and one reading answers all
            if self._known is None:
                self._known = self._read()
        return not self.problem and namespace not in self._known

    def _read(self) -> frozenset[str]:
        try:
            return frozenset(name for backup in list_backups(self._store) for name in self._namespaces(backup))
        except (StoreError, VolumeListError) as error:
            self.problem = f"the volume lists of earlier backups cannot be read: {error}"
            self._log.error("Volume lists not readable, no repository is made", error=str(error))
            return frozenset()

    def _namespaces(self, backup: str) -> set[str]:
        keys = backup_keys(backup)
        if self._store.head(keys.metadata) is None:  # it does not exist, and its list may not even be readable
            return set()
        try:
            ledger = from_json_gz(self._store.get(keys.volumes))
        except ObjectNotFoundError:
            return set()
        return {entry.namespace for entry in ledger.entries if entry.state is EntryState.CAPTURED}
