"""What `ark restore create` is told beyond the objects that are meant: where from, and what happens on the way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

import click

from pkg.apis.meta import JsonObject
from pkg.cli.flags import CommaList, Pairs, switch
from pkg.cli.names import complete_backups, complete_schedules
from pkg.cli.requests import present, scope_spec

F = TypeVar("F", bound=Callable[..., object])
_MAPPINGS = {
    "namespace_mappings": "namespaceMapping",
    "storage_class_mappings": "storageClassMapping",
    "image_mappings": "imageMapping",
}


def source_options(function: F) -> F:
    """The flags that say what is restored from; `source_of` reads them."""
    options = (
        click.option("--from-backup", default="", shell_complete=complete_backups, help="The backup to restore."),
        click.option(
            "--from-schedule",
            default="",
            shell_complete=complete_schedules,
            help="Instead of a backup: the newest one of this schedule that ended Completed or PartiallyFailed.",
        ),
    )
    return _apply(function, options)


def source_of(options: Mapping[str, object]) -> tuple[str, str]:
    """The backup's name and the schedule's, one of them empty.

    Raises:
        click.UsageError: neither or both are named.
    """
    backup, schedule = str(options["from_backup"]), str(options["from_schedule"])
    if not backup and not schedule:
        raise click.UsageError("--from-backup is required, or --from-schedule")
    if backup and schedule:
        raise click.UsageError("--from-backup and --from-schedule exclude each other")
    return backup, schedule


def restore_options(function: F) -> F:
    """The flags that become fields of a RestoreSpec; `restore_spec` reads them."""
    options = (
        click.option("--namespace-mappings", type=Pairs(":"), default=None, help="src1:dst1,src2:dst2,..."),
        click.option("--storage-class-mappings", type=Pairs(":"), default=None, help="old1:new1,old2:new2,..."),
        click.option(
            "--image-mappings", type=Pairs(), default=None, help="Prefixes of images: old1=new1,old2=new2,..."
        ),
        switch("--restore-volumes", help_text="Restore the contents of volumes; yes without it."),
        click.option(
            "--existing-resource-policy",
            type=click.Choice(["none", "update"]),
            default=None,
            help="What becomes of objects that exist: compared (none) or made like the backup's (update).",
        ),
        click.option(
            "--restore-last", type=CommaList(), default="", help="Resources that wait for the end of all volumes."
        ),
        switch("--disable-hooks", help_text="Run no commands in restored pods."),
        switch(
            "--strict-metadata",
            help_text="A volume fails when the owner, times or attributes of a file cannot be set; else it warns.",
        ),
    )
    return _apply(function, options)


def restore_spec(options: Mapping[str, object]) -> JsonObject:
    """The spec of a Restore without its source; what was not asked for is left out."""
    spec = scope_spec(options)
    for flag, field in _MAPPINGS.items():
        mapping = options[flag]
        if isinstance(mapping, dict) and mapping:
            spec[field] = mapping
    last = options["restore_last"]
    if isinstance(last, tuple) and last:
        spec["restoreLast"] = list(last)
    if options["existing_resource_policy"]:
        spec["existingResourcePolicy"] = str(options["existing_resource_policy"])
    return spec | present(
        restorePVs=options["restore_volumes"],
        disableHooks=options["disable_hooks"],
        strictMetadata=options["strict_metadata"],
    )


def _apply(function: F, options: tuple[Callable[[F], F], ...]) -> F:
    for option in reversed(options):
        function = option(function)
    return function
