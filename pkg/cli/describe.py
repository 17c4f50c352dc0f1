"""What the descriptions of a backup and a restore have in common: head, scope, and the volumes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pkg.apis.ark import BackupSpec, RestoreSpec, VolumeCounts, VolumeEntry
from pkg.apis.meta import ObjectMeta
from pkg.apis.reasons import VolumePhase
from pkg.apis.volumes import VolumeProgress
from pkg.cli.page import Page, listed, sorted_pairs
from pkg.cli.tables import selector_text, size_text

_GROUPS = (
    ("Completed", VolumePhase.COMPLETED),
    ("Failed", VolumePhase.FAILED),
    ("In Progress", VolumePhase.IN_PROGRESS),
    ("New", VolumePhase.NEW),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeLine:
    """A PodVolumeBackup or PodVolumeRestore as a description shows it.

    Attributes:
        paths: The first files that it is about where it is degraded.
    """

    pod: str
    volume: str
    phase: str
    progress: VolumeProgress | None
    reason: str
    message: str
    paths: tuple[str, ...] = ()


def head(page: Page, metadata: ObjectMeta) -> None:
    """Name, namespace, labels and annotations."""
    page.pair("Name", metadata.name)
    page.pair("Namespace", metadata.namespace)
    page.pairs("Labels", sorted_pairs(metadata.labels))
    page.pairs("Annotations", sorted_pairs(metadata.annotations))


def scope(page: Page, spec: BackupSpec | RestoreSpec, *, indent: int = 0) -> None:
    """Namespaces, resources and labels."""
    included(page, "Namespaces", spec.included_namespaces, spec.excluded_namespaces, indent=indent)
    page.gap()
    included(page, "Resources", spec.included_resources, spec.excluded_resources, indent=indent)
    cluster_scoped = optional(spec.include_cluster_resources, "included", "excluded")
    page.pair("Cluster-scoped", cluster_scoped, indent=indent + 1)
    page.gap()
    page.pair("Label selector", selector_text(spec.label_selector), indent=indent)


def included(
    page: Page, what: str, names: Sequence[str] | None, excluded: Sequence[str] | None, *, indent: int = 0
) -> None:
    """Which ones are meant, and which are not."""
    page.line(f"{what}:", indent=indent)
    page.pair("Included", listed(names, "*"), indent=indent + 1)
    page.pair("Excluded", listed(excluded, "<none>"), indent=indent + 1)


def optional(value: bool | None, yes: str, no: str) -> str:
    """A boolean with a third state."""
    return "auto" if value is None else yes if value else no


def outcome(page: Page, phase: str, reason: str, message: str, validation_errors: Sequence[str] | None) -> None:
    """The phase, and why it is what it is."""
    page.pair("Phase", phase)
    if reason:
        page.pair("Reason", reason)
    if message:
        page.pair("Message", message)
    if validation_errors:
        page.pairs("Validation errors", validation_errors)


def ledger(
    page: Page,
    counts: VolumeCounts | None,
    *,
    done: str,
    details: bool,
    entries: Sequence[VolumeEntry] | None = None,
    note: str = "",
) -> None:
    """The volumes in numbers, and each that was not done with its reason.

    Args:
        page: Where to.
        counts: From a status; None while nothing is known.
        done: `captured` or `restored`.
        details: Show also the volumes without trouble.
        entries: All volumes, where they are known from elsewhere than the counts.
        note: What is to be said about the volumes.
    """
    if counts is None:
        return
    page.gap()
    page.line("Pod volumes:")
    page.pair("Expected", counts.expected, indent=1)
    page.pair(done.capitalize(), f"{counts.captured} ({size_text(counts.bytes_done)})", indent=1)
    page.pair("Failed", counts.failed, indent=1)
    page.pair("Warnings", counts.warnings, indent=1)
    if note:
        page.line(note, indent=1)
    known = counts.entries or () if entries is None else entries
    shown = [entry for entry in known if details or entry.reason]
    if shown:
        page.gap()
        page.rows([("  Volume", "State", "Reason", "Message"), *(_entry_row(entry) for entry in shown)])
    for entry in known if details else ():
        if entry.excludes:
            page.line(f"Excluded paths of {_place(entry)}: {', '.join(entry.excludes)}", indent=1)


def transfers(page: Page, title: str, lines: Iterable[VolumeLine], *, details: bool) -> None:
    """The work of the node agents: counts by phase, with details each volume."""
    found = sorted(lines, key=lambda one: (one.pod, one.volume))
    if not found:
        return
    page.gap()
    page.line(f"{title}:" if details else f"{title} (specify --details for more information):")
    for label, phase in _GROUPS:
        group = [one for one in found if (one.phase or VolumePhase.NEW) == phase]
        if group and not details:
            page.pair(label, len(group), indent=1)
        elif group:
            page.line(f"{label}:", indent=1)
            page.rows([(f"    {one.pod}", one.volume, _transfer_text(one)) for one in group])
            for one in group:
                if one.paths:
                    page.line(f"{one.reason} in {one.pod}, {one.volume}, first paths:", indent=2)
                    for path in one.paths:
                        page.line(printable(path), indent=3)


def printable(path: str) -> str:
    """A file's name on one line and without what a terminal would obey."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in path)


def _transfer_text(line: VolumeLine) -> str:
    parts = [part for part in (line.reason, line.message) if part]
    progress = line.progress
    if progress and progress.total_bytes and line.phase == VolumePhase.IN_PROGRESS:
        share = 100 * progress.bytes_done // progress.total_bytes
        parts.append(f"{share} % of {size_text(progress.total_bytes)}")
    elif progress and progress.bytes_done:
        parts.append(size_text(progress.bytes_done))
    return printable(": ".join(parts))


def _entry_row(entry: VolumeEntry) -> tuple[str, str, str, str]:
    message = entry.message
    if entry.parent_backup:
        message = f"{message} (before: backup {entry.parent_backup})".strip()
    return f"  {_place(entry)}", entry.phase, entry.reason, printable(message)


def _place(entry: VolumeEntry) -> str:
    return f"{entry.namespace}/{entry.pod}: {entry.volume}" if entry.pod else f"{entry.namespace}/{entry.claim_name}"
