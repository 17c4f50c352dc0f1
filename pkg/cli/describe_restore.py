"""`ark restore describe`: one restore as a page of text, with its warnings and errors from where they are kept."""

from __future__ import annotations

import msgspec

from pkg.apis.ark import Restore, RestoreSpec
from pkg.apis.meta import JsonObject
from pkg.apis.names import RESTORE_UID_LABEL
from pkg.apis.reasons import TERMINAL_PHASES
from pkg.apis.volumes import PodVolumeRestore
from pkg.cli.client import Connection
from pkg.cli.describe import VolumeLine, head, ledger, optional, outcome, scope, transfers
from pkg.cli.download import downloaded
from pkg.cli.failures import CliError
from pkg.cli.page import Page, sorted_pairs
from pkg.cli.restore_results import kept_file
from pkg.cli.tables import time_text
from pkg.kube.errors import KubeError
from pkg.kube.refs import POD_VOLUME_RESTORES
from pkg.restore.results import RestoreResult, RestoreResults, decode_results
from pkg.restore.results_map import RESULTS_KEY

RESULTS_SECONDS = 30.0


def describe_restore(connection: Connection, obj: JsonObject, *, details: bool) -> str:
    """The page of one restore."""
    restore = msgspec.convert(obj, Restore)
    page = Page()
    head(page, restore.metadata)
    page.gap()
    page.pair("Backup", restore.backup_name or "<none yet>")
    if restore.spec.schedule_name:
        page.pair("Schedule", restore.spec.schedule_name)
    page.gap()
    scope(page, restore.spec)
    page.gap()
    page.pairs("Namespace mappings", sorted_pairs(restore.spec.namespace_mapping))
    page.pair("Restore PVs", optional(restore.spec.restore_pvs, "true", "false"))
    _options(page, restore.spec)
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


def _options(page: Page, spec: RestoreSpec) -> None:
    """What Ark 0.9 did not know; shown where it was asked for."""
    if spec.storage_class_mapping:
        page.pairs("Storage class mappings", sorted_pairs(spec.storage_class_mapping))
    if spec.image_mapping:
        page.pairs("Image mappings", sorted_pairs(spec.image_mapping))
    if spec.existing_resource_policy:
        page.pair("Existing resources", spec.existing_resource_policy)
    if spec.restore_last:
        page.pair("Restored last", ", ".join(spec.restore_last))
    if spec.strict_metadata:
        page.pair("Metadata", "strict")
    if spec.disable_hooks:
        page.pair("Hooks", "disabled")
    elif spec.hooks and spec.hooks.resources:
        page.pairs("Hooks", [one.name or "<no name>" for one in spec.hooks.resources])


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
        results = _read_results(connection, restore)
    except (CliError, KubeError, ValueError) as error:
        page.pair("Warnings", f"{status.warnings} <error getting them: {error}>")
        page.pair("Errors", status.errors)
        return
    _texts(page, "Warnings", results.warnings)
    page.gap()
    _texts(page, "Errors", results.errors)


def _read_results(connection: Connection, restore: Restore) -> RestoreResults:
    if restore.status.results_config_map:
        return decode_results(kept_file(connection, restore, RESULTS_KEY))
    with downloaded(connection, "RestoreResults", restore.metadata.name, timeout_seconds=RESULTS_SECONDS) as file:
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
            paths=one.status.metadata_paths or (),
        )
        for one in found
    ]
