"""`ark backup describe`: one backup as a page of text."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from pkg.apis.ark import Backup, BackupStatus, DeleteBackupRequest, VolumeBackupInfo
from pkg.apis.meta import JsonObject
from pkg.apis.names import (
    ADOPTED_ANNOTATION,
    BACKUP_NAME_LABEL,
    BACKUP_UID_LABEL,
    IMPORTED_ANNOTATION,
    PINNED_ANNOTATION,
    SOURCE_CLUSTER_ANNOTATION,
)
from pkg.apis.volumes import PodVolumeBackup
from pkg.cli.client import Connection
from pkg.cli.describe import VolumeLine, head, ledger, outcome, transfers
from pkg.cli.describe_spec import backup_spec
from pkg.cli.page import Page
from pkg.cli.tables import backup_status, time_text
from pkg.cli.volume_list import all_entries, is_cut
from pkg.kube.errors import ApiStatusError
from pkg.kube.refs import DELETE_BACKUP_REQUESTS, POD_VOLUME_BACKUPS
from pkg.volumes.naming import label_value


def describe_backup(connection: Connection, obj: JsonObject, *, details: bool) -> str:
    """The page of one backup."""
    backup = msgspec.convert(obj, Backup)
    page = Page()
    head(page, backup.metadata)
    page.gap()
    status = backup.status
    outcome(page, backup_status(backup), status.reason, status.message, status.validation_errors)
    page.gap()
    backup_spec(page, backup.spec)
    page.gap()
    _times(page, backup)
    _marks(page, backup)
    _frozen(page, status)
    page.gap()
    _disks(page, status.volume_backups or {})
    _volumes(page, connection, backup, details=details)
    transfers(page, "Restic Backups", _transfers(connection, backup), details=details)
    _deletions(page, connection, backup)
    return page.text()


def _times(page: Page, backup: Backup) -> None:
    status = backup.status
    page.pair("Backup Format Version", status.version)
    page.gap()
    page.pair("Started", time_text(status.start_timestamp))
    page.pair("Completed", time_text(status.completion_timestamp))
    page.gap()
    page.pair("Expiration", time_text(status.expiration))
    if status.progress:
        page.pair("Objects", f"{status.progress.items_done} of {status.progress.total_items}")
    page.pair("Errors", status.errors)
    page.pair("Warnings", status.warnings)


def _marks(page: Page, backup: Backup) -> None:
    """What sets this backup apart: pinned, from another cluster, in need of something."""
    metadata, status = backup.metadata, backup.status
    if PINNED_ANNOTATION in (metadata.annotations or {}):
        page.pair("Pinned", metadata.annotation(PINNED_ANNOTATION) or "yes")
    if IMPORTED_ANNOTATION in (metadata.annotations or {}):
        page.pair("Imported", f"made by {metadata.annotation(SOURCE_CLUSTER_ANNOTATION) or 'an Ark 0.9'}")
    if metadata.annotation(ADOPTED_ANNOTATION):
        page.pair("Adopted", metadata.annotation(ADOPTED_ANNOTATION))
    for condition in status.conditions or ():
        if condition.status == "True":
            page.pair(condition.type, condition.message or condition.reason or "yes")


def _frozen(page: Page, status: BackupStatus) -> None:
    if status.frozen_seconds:
        page.pair("Longest freeze of a pod", f"{status.frozen_seconds} s")
    for hook in status.open_hooks or ():
        page.pair("Frozen now", f"{hook.namespace}/{hook.pod} since {time_text(hook.since)}")


def _disks(page: Page, disks: Mapping[str, VolumeBackupInfo]) -> None:
    if not disks:
        page.pair("Persistent Volumes", "<none included>")
        return
    page.line("Persistent Volumes:")
    for name, info in sorted(disks.items()):
        page.line(f"{name}:", indent=1)
        page.pair("Snapshot ID", info.snapshot_id, indent=2)
        page.pair("Type", info.type, indent=2)
        page.pair("Availability Zone", info.availability_zone, indent=2)
        page.pair("IOPS", "<N/A>" if info.iops is None else info.iops, indent=2)


def _volumes(page: Page, connection: Connection, backup: Backup, *, details: bool) -> None:
    counts = backup.status.volumes
    if details and is_cut(backup):
        entries, note = all_entries(connection, backup)
        ledger(page, counts, done="captured", details=True, entries=entries, note=note)
        return
    note = "--details shows all of them" if is_cut(backup) else ""
    ledger(page, counts, done="captured", details=details, note=note)


def _transfers(connection: Connection, backup: Backup) -> list[VolumeLine]:
    selector = f"{BACKUP_NAME_LABEL}={label_value(backup.metadata.name)},{BACKUP_UID_LABEL}={backup.metadata.uid}"
    found = connection.client.list(POD_VOLUME_BACKUPS, connection.namespace, PodVolumeBackup, label_selector=selector)
    return [
        VolumeLine(
            pod=f"{one.spec.pod.namespace}/{one.spec.pod.name}",
            volume=one.spec.volume,
            phase=one.status.phase,
            progress=one.status.progress,
            reason=one.status.reason,
            message=one.status.message,
            paths=one.status.unread_paths or (),
        )
        for one in found
    ]


def _deletions(page: Page, connection: Connection, backup: Backup) -> None:
    selector = f"{BACKUP_NAME_LABEL}={label_value(backup.metadata.name)},{BACKUP_UID_LABEL}={backup.metadata.uid}"
    try:
        found = connection.client.list(
            DELETE_BACKUP_REQUESTS, connection.namespace, DeleteBackupRequest, label_selector=selector
        )
    except ApiStatusError:
        return  # the rest of the page is worth showing without them
    if not found:
        return
    page.gap()
    failed = sum(bool(one.status.errors) for one in found)
    page.line(f"Deletion Attempts ({failed} failed):" if failed else "Deletion Attempts:")
    for one in found:
        page.line(f"{time_text(one.metadata.creation_timestamp)}: {one.status.phase or 'New'}", indent=1)
        for text in (one.status.message, *(one.status.errors or ())):
            if text:
                page.line(text, indent=2)
