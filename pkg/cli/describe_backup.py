"""`ark backup describe`: one backup as a page of text."""

from __future__ import annotations

import msgspec

from pkg.apis.ark import Backup, DeleteBackupRequest
from pkg.apis.hooks import BackupHooks, BackupResourceHookSpec
from pkg.apis.meta import JsonObject
from pkg.apis.names import BACKUP_NAME_LABEL, BACKUP_UID_LABEL
from pkg.apis.volumes import PodVolumeBackup
from pkg.cli.client import Connection
from pkg.cli.describe import VolumeLine, head, ledger, optional, outcome, scope, transfers
from pkg.cli.page import Page, listed
from pkg.cli.tables import backup_status, selector_text, time_text
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
    scope(page, backup.spec)
    page.gap()
    page.pair("Snapshot PVs", optional(backup.spec.snapshot_volumes, "true", "false"))
    page.pair("Default volumes to restic", optional(backup.spec.default_volumes_to_restic, "true", "false"))
    page.gap()
    page.pair("TTL", backup.spec.ttl or "<server default>")
    page.gap()
    _hooks(page, backup.spec.hooks)
    page.gap()
    _times(page, backup)
    _disks(page, backup)
    ledger(page, status.volumes, done="captured", details=details)
    transfers(page, "Restic Backups", _transfers(connection, backup), details=details)
    _deletions(page, connection, backup)
    return page.text()


def _times(page: Page, backup: Backup) -> None:
    status = backup.status
    page.pair("Backup Format Version", status.version)
    page.gap()
    page.pair("Started", time_text(status.start_timestamp))
    page.pair("Completed", time_text(status.completion_timestamp))
    page.pair("Expiration", time_text(status.expiration))
    if status.progress:
        page.pair("Objects", f"{status.progress.items_done} of {status.progress.total_items}")
    page.pair("Errors", status.errors)
    page.pair("Warnings", status.warnings)


def _disks(page: Page, backup: Backup) -> None:
    if not backup.status.volume_backups:
        return
    page.gap()
    page.line("Persistent Volumes:")
    for name, info in sorted(backup.status.volume_backups.items()):
        page.line(f"{name}:", indent=1)
        page.pair("Snapshot ID", info.snapshot_id, indent=2)
        page.pair("Type", info.type, indent=2)
        page.pair("Availability Zone", info.availability_zone, indent=2)
        page.pair("IOPS", "<N/A>" if info.iops is None else info.iops, indent=2)


def _hooks(page: Page, hooks: BackupHooks | None) -> None:
    if not hooks or not hooks.resources:
        page.pair("Hooks", "<none>")
        return
    page.line("Hooks:")
    for hook in hooks.resources:
        _hook(page, hook)


def _hook(page: Page, hook: BackupResourceHookSpec) -> None:
    page.line(f"{hook.name}:", indent=1)
    page.pair("Namespaces", listed(hook.included_namespaces, "*"), indent=2)
    page.pair("Resources", listed(hook.included_resources, "*"), indent=2)
    page.pair("Label selector", selector_text(hook.label_selector), indent=2)
    for label, entries in (("Pre", hook.pre or hook.hooks or ()), ("Post", hook.post or ())):
        for entry in entries:
            if entry.exec:
                page.line(f"{label} Exec Hook:", indent=2)
                page.pair("Container", entry.exec.container or "<first>", indent=3)
                page.pair("Command", " ".join(entry.exec.command or ()), indent=3)
                page.pair("On Error", entry.exec.on_error or "Fail", indent=3)
                page.pair("Timeout", entry.exec.timeout or "30s", indent=3)


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
        for error in one.status.errors or ():
            page.line(error, indent=2)
