"""What a backup is made of, as flags: `ark backup create` and `ark schedule create` have them in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

import click
from click.core import ParameterSource

from pkg.apis.duration import format_duration
from pkg.apis.meta import JsonObject
from pkg.cli.flags import ClusterFlags, Seconds, switch
from pkg.cli.requests import present, scope_options, scope_spec

F = TypeVar("F", bound=Callable[..., object])
_SPEC_FLAGS = (
    "ttl",
    "include_namespaces",
    "exclude_namespaces",
    "include_resources",
    "exclude_resources",
    "selector",
    "include_cluster_resources",
    "snapshot_volumes",
    "default_volumes_to_restic",
    "tolerate_unread_files",
    "max_freeze",
)


def backup_options(function: F) -> F:
    """The flags that become a BackupSpec; `backup_spec` reads them."""
    options = (
        click.option(
            "--ttl",
            type=Seconds(),
            default="720h0m0s",
            show_default=True,
            callback=_not_negative,
            help="How long it is kept; 0 for ever.",
        ),
        scope_options,
        switch("--snapshot-volumes", help_text="Cloud disk snapshots (Ark 0.9): there are none, and true is refused."),
        switch("--default-volumes-to-restic", help_text="Take every pod volume, not only the annotated ones."),
        switch("--tolerate-unread-files", default=False, help_text="Files that cannot be read only warn."),
        click.option(
            "--max-freeze",
            type=Seconds(),
            default=None,
            callback=_not_negative,
            help="Longest time between a pod's pre hook and its post hook.  [default: 10m]",
        ),
    )
    for option in reversed(options):
        function = option(function)
    return function


def backup_spec(options: Mapping[str, object]) -> JsonObject:
    """The spec of a Backup, or the template of a Schedule; what was not asked for is left out."""
    spec = scope_spec(options)
    spec["ttl"] = _text(options["ttl"])
    if options["max_freeze"] is not None:
        spec["maxFreeze"] = _text(options["max_freeze"])
    return spec | present(
        snapshotVolumes=options["snapshot_volumes"],
        defaultVolumesToRestic=options["default_volumes_to_restic"],
        tolerateUnreadFiles=options["tolerate_unread_files"] or None,
    )


def schedule_template(context: click.Context, flags: ClusterFlags, schedule: str) -> tuple[JsonObject, JsonObject]:
    """The spec and the label of a backup of a schedule that is made now and not at its time.

    Raises:
        CliError: there is no such schedule.
        click.UsageError: flags that become a spec are given as well.
    """
    from pkg.apis.names import SCHEDULE_LABEL
    from pkg.cli.reading import read_object
    from pkg.kube.refs import SCHEDULES
    from pkg.volumes.naming import label_value

    given = [name for name in _SPEC_FLAGS if context.get_parameter_source(name) is ParameterSource.COMMANDLINE]
    if given:
        flag = f"--{given[0].replace('_', '-')}"
        raise click.UsageError(f"--from-schedule takes everything from the schedule's template: leave {flag} out")
    spec = read_object(flags.connect(), SCHEDULES, schedule).get("spec")
    template = spec.get("template") if isinstance(spec, dict) else None
    return template if isinstance(template, dict) else {}, {SCHEDULE_LABEL: label_value(schedule)}


def kept_text(spec: JsonObject) -> str:
    """How long a backup with this spec is kept, as a sentence."""
    ttl = spec.get("ttl")
    return "It is kept for ever." if ttl in (None, "", "0", "0s") else f"It expires in {ttl}."


def _text(seconds: object) -> str:
    return format_duration(seconds) if isinstance(seconds, float) else str(seconds)


def _not_negative(ctx: click.Context, param: click.Parameter, value: float | None) -> float | None:
    if value is not None and value < 0:
        raise click.BadParameter("it must not be negative", ctx, param)
    return value
