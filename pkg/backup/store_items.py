"""Where a backup's items go: at once into the tarball, but pods into the spool until their captures ended.

A pod is stored with this backup's snapshot annotations, which are known when its volumes are captured, hours later;
nothing else changes, and what is packed while the next page is on its way costs no time of its own.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import structlog.typing

from pkg.backup.item import has_snapshot_annotations, read_head, with_snapshots
from pkg.backup.job import BackupJob
from pkg.backup.spool import Item, Spool
from pkg.backup.stopping import raise_if_interrupted
from pkg.backup.tarball import TarballWriter
from pkg.kube.errors import KubeError
from pkg.kube.refs import PODS
from pkg.kube.stop import StopToken
from pkg.volumes.ledger import EntryState, LedgerEntry

PROGRESS_ITEMS = 500


class ItemStore:
    """Takes the items of one backup, one after the other."""

    def __init__(self, tarball: TarballWriter, spool: Spool) -> None:
        self._tarball = tarball
        self._spool = spool

    @property
    def count(self) -> int:
        """How many items there are."""
        return self._tarball.count + self._spool.count

    @property
    def stored(self) -> int:
        """How many of them are in the tarball."""
        return self._tarball.count

    def append(self, item: Item) -> None:
        """Stores an item, or keeps it until its volumes are captured."""
        if item.ref.plural == PODS.plural and item.ref == PODS:
            self._spool.append(item)
        else:
            self._tarball.add(item)

    def store_pods(
        self,
        job: BackupJob,
        entries: Iterable[LedgerEntry],
        *,
        stop: StopToken,
        log: structlog.typing.FilteringBoundLogger,
    ) -> None:
        """Stores what was kept; a pod of which something was captured is read again first."""
        snapshots = snapshots_by_pod(entries)
        total = self.count
        for number, item in enumerate(self._spool, 1):
            self._tarball.add(_final(job, item, snapshots, log))
            if number % PROGRESS_ITEMS == 0:
                raise_if_interrupted(stop)
                job.on_progress(total, self.stored, None)
        job.on_progress(total, total, None)


def snapshots_by_pod(entries: Iterable[LedgerEntry]) -> dict[tuple[str, str], dict[str, str]]:
    """Volume to snapshot id of each pod of which something was captured, by namespace and name."""
    found: dict[tuple[str, str], dict[str, str]] = {}
    for entry in entries:
        if entry.state is EntryState.CAPTURED and entry.pod:
            found.setdefault((entry.namespace, entry.pod), {})[entry.volume] = entry.snapshot_id
    return found


def _final(
    job: BackupJob,
    item: Item,
    snapshots: dict[tuple[str, str], dict[str, str]],
    log: structlog.typing.FilteringBoundLogger,
) -> Item:
    own = snapshots.get((item.namespace, item.name), {})
    if not own and not has_snapshot_annotations(item.body):
        return item
    body = _fresh(job, item, log) if own else item.body
    return dataclasses.replace(item, body=with_snapshots(body, own))


def _fresh(job: BackupJob, item: Item, log: structlog.typing.FilteringBoundLogger) -> bytes:
    """The pod as it is now, unless it is gone, going, or another of the same name: then as it was listed."""
    try:
        body = job.client.get_bytes(PODS, item.namespace, item.name)
    except KubeError as error:
        log.info("Pod stored as it was listed", namespace=item.namespace, name=item.name, error=str(error))
        return item.body
    now, listed = read_head(body).metadata, read_head(item.body).metadata
    return body if now.uid == listed.uid and now.deletion_timestamp is None else item.body
