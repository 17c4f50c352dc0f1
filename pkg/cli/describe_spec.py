"""What a backup is made of, as a description shows it: also the template of a schedule."""

from __future__ import annotations

from pkg.apis.ark import BackupSpec
from pkg.apis.hooks import BackupHooks, BackupResourceHookSpec
from pkg.cli.describe import included, optional, scope
from pkg.cli.page import Page
from pkg.cli.tables import selector_text


def backup_spec(page: Page, spec: BackupSpec, *, indent: int = 0) -> None:
    """Scope, volumes, time to live and hooks."""
    scope(page, spec, indent=indent)
    page.gap()
    page.pair("Snapshot PVs", optional(spec.snapshot_volumes, "true", "false"), indent=indent)
    default = optional(spec.default_volumes_to_restic, "true", "false")
    page.pair("Default volumes to restic", default, indent=indent)
    if spec.tolerate_unread_files:
        page.pair("Unread files", "only warn", indent=indent)
    page.gap()
    page.pair("TTL", _ttl_text(spec.ttl), indent=indent)
    page.gap()
    hooks(page, spec.hooks, indent=indent)
    if spec.max_freeze:
        page.pair("Longest freeze", spec.max_freeze, indent=indent)


def hooks(page: Page, found: BackupHooks | None, *, indent: int = 0) -> None:
    """The hooks that a spec names; those of annotations are with the pods."""
    if not found or not found.resources:
        page.pair("Hooks", "<none>", indent=indent)
        return
    page.line("Hooks:", indent=indent)
    for hook in found.resources:
        _hook(page, hook, indent + 1)


def _hook(page: Page, hook: BackupResourceHookSpec, indent: int) -> None:
    page.line(f"{hook.name}:", indent=indent)
    included(page, "Namespaces", hook.included_namespaces, hook.excluded_namespaces, indent=indent + 1)
    included(page, "Resources", hook.included_resources, hook.excluded_resources, indent=indent + 1)
    page.pair("Label selector", selector_text(hook.label_selector), indent=indent + 1)
    commands = (("Pre", hook.pre or hook.hooks or (), "30s"), ("Post", hook.post or (), "2m"))
    for label, entries, timeout in commands:
        for entry in entries:
            if entry.exec:
                page.line(f"{label} Exec Hook:", indent=indent + 1)
                page.pair("Container", entry.exec.container or "<first>", indent=indent + 2)
                page.pair("Command", " ".join(entry.exec.command or ()), indent=indent + 2)
                page.pair("On Error", entry.exec.on_error or "Fail", indent=indent + 2)
                page.pair(
                    "Timeout", timeout if entry.exec.timeout in ("", "0s") else entry.exec.timeout, indent=indent + 2
                )


def _ttl_text(ttl: str) -> str:
    return "0s (kept for ever)" if ttl in ("0", "0s") else ttl or "<server default>"
