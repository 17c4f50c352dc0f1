"""`ark restore describe`: one restore as a page of text, with its warnings and errors from the bucket."""

from __future__ import annotations

import msgspec

from pkg.apis.ark import Restore
from pkg.apis.meta import JsonObject
from pkg.apis.names import RESTORE_UID_LABEL
from pkg.apis.reasons import TERMINAL_PHASES
from pkg.apis.volumes import PodVolumeRestore
from pkg.cli.client import Connection
from pkg.cli.describe import VolumeLine, head, ledger, optional, outcome, scope, transfers
from pkg.cli.download import downloaded
from pkg.cli.failures import CliError
from pkg.cli.page import Page, sorted_pairs
from pkg.cli.tables import time_text
from pkg.kube.errors import KubeError
from pkg.kube.refs import POD_VOLUME_RESTORES
from pkg.restore.results import RestoreResult, RestoreResults, decode_results

RESULTS_SECONDS = 30.0


def describe_restore(connection: Connection, obj: JsonObject, *, details: bool) -> str:
    """The page of one restore."""
    restore = msgspec.convert(obj, Restore)
    page = Page()
    head(page, restore.metadata)
    page.gap()
    page.pair("Backup", restore.spec.backup_name)
    page.gap()
    scope(page, restore.spec)
    page.gap()
    page.pairs("Namespace mappings", sorted_pairs(restore.spec.namespace_mapping))
    page.pair("Restore PVs", optional(restore.spec.restore_pvs, "true", "false"))
    page.gap()
    status = restore.status
    outcome(page, status.phase or "New", status.reason, status.message, status.validation_errors)
    page.pair("Started", time_text(status.start_timestamp))
    page.pair("Completed", time_text(status.completion_timestamp))
    if status.progress:
        page.pair("Objects", f"{status.progress.items_done} of {status.progress.total_items}")
    page.gap()
    _results(page, connection, restore)
    ledger(page, status.volumes, done="restored", details=details)
    transfers(page, "Restic Restores", _transfers(connection, restore), details=details)
    return page.text()


def _results(page: Page, connection: Connection, restore: Restore) -> None:
    status = restore.status
    if not status.warnings and not status.errors:
        page.pair("Warnings", "<none>")
        page.pair("Errors", "<none>")
        return
    if status.phase not in TERMINAL_PHASES:
        page.pair("Warnings", status.warnings)
        page.pair("Errors", status.errors)
        return
    try:
        results = _read_results(connection, restore.metadata.name)
    except (CliError, KubeError, ValueError) as error:
        page.pair("Warnings", f"{status.warnings} <error getting them: {error}>")
        page.pair("Errors", status.errors)
        return
    _texts(page, "Warnings", results.warnings)
    page.gap()
    _texts(page, "Errors", results.errors)


def _read_results(connection: Connection, name: str) -> RestoreResults:
    with downloaded(connection, "RestoreResults", name, timeout_seconds=RESULTS_SECONDS) as file:
        return decode_results(file.read())


def _texts(page: Page, title: str, result: RestoreResult) -> None:
    if not (result.ark or result.cluster or result.namespaces):
        page.pair(title, "<none>")
        return
    page.line(f"{title}:")
    page.pairs("Ark", result.ark or (), indent=1)
    page.pairs("Cluster", result.cluster or (), indent=1)
    if not result.namespaces:
        page.pair("Namespaces", "<none>", indent=1)
        return
    page.line("Namespaces:", indent=1)
    for namespace, texts in sorted(result.namespaces.items()):
        page.pairs(namespace, texts, indent=2)


def _transfers(connection: Connection, restore: Restore) -> list[VolumeLine]:
    selector = f"{RESTORE_UID_LABEL}={restore.metadata.uid}"
    found = connection.client.list(POD_VOLUME_RESTORES, connection.namespace, PodVolumeRestore, label_selector=selector)
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
