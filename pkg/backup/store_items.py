"""The second half of a backup: from the spool into the tarball, pods with this backup's snapshot annotations."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import BinaryIO

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


def write_tarball(
    job: BackupJob,
    spool: Spool,
    entries: Iterable[LedgerEntry],
    file: BinaryIO,
    *,
    stop: StopToken,
    log: structlog.typing.FilteringBoundLogger,
) -> str:
    """Writes all items and returns the digest. A pod of which something was captured is read again first."""
    snapshots = snapshots_by_pod(entries)
    with TarballWriter(file, job.clock) as tarball:
        for item in spool:
            tarball.add(_final(job, item, snapshots, log))
            if tarball.count % PROGRESS_ITEMS == 0:
                raise_if_interrupted(stop)
                job.on_progress(spool.count, tarball.count, None)
    job.on_progress(spool.count, tarball.count, None)
    return tarball.sha256


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
    if item.ref != PODS:
        return item
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
