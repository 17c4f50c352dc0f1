"""What creating and listing have in common: flags, and the sending of a Backup or Restore."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from typing import TypeVar

import click
import msgspec

from pkg.apis.ark import Backup, Restore
from pkg.apis.label_selector import parse_selector
from pkg.apis.meta import Json, JsonObject
from pkg.cli.failures import CliError
from pkg.cli.flags import ClusterFlags, CommaList, Output, Pairs, Seconds, switch
from pkg.cli.names import complete_names
from pkg.kube.errors import AlreadyExistsError, BadRequestError, InvalidError, NotFoundError
from pkg.kube.refs import BACKUPS, RESTORES, SCHEDULES

F = TypeVar("F", bound=Callable[..., object])
_KINDS = {"backup": BACKUPS, "restore": RESTORES, "schedule": SCHEDULES}


def scope_options(function: F) -> F:
    """The flags that say which objects are meant."""
    options = (
        click.option("--include-namespaces", type=CommaList(), default="*", show_default=True, help="Namespaces."),
        click.option("--exclude-namespaces", type=CommaList(), default="", help="Namespaces to leave out."),
        click.option("--include-resources", type=CommaList(), default="", help="Resources; all without it."),
        click.option("--exclude-resources", type=CommaList(), default="", help="Resources to leave out."),
        click.option("-l", "--selector", default="", callback=checked_selector, help="Only objects with these labels."),
        click.option("--labels", type=Pairs(), default=None, callback=_pairs, help="Labels of the new object."),
        switch("--include-cluster-resources", help_text="Cluster-scoped objects; what is needed without it."),
    )
    return _apply(function, options)


def print_options(function: F) -> F:
    """The flags that show the new object and do not create it."""
    options = (
        click.option("-o", "--output", type=Output(), default=None, help="Print the object and do not create it."),
        click.option("--label-columns", type=CommaList(), default="", help="With -o table: labels to show as columns."),
        switch("--show-labels", default=False, help_text="With -o table: show all labels in the last column."),
    )
    return _apply(function, options)


def wait_options(function: F) -> F:
    """The flags that say what happens after the creation, those of `print_options` among them."""
    options = (
        print_options,
        switch("-w", "--wait", default=False, help_text="Wait for the end; the exit code tells the phase."),
        click.option("--timeout", type=Seconds(), default="0", help="With --wait: give up waiting (exit code 124)."),
    )
    return _apply(function, options)


def list_options(function: F) -> F:
    """The flags that say which objects to show."""
    options = (
        click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=complete_names),
        click.option("-l", "--selector", default="", callback=checked_selector, help="Only objects with these labels."),
    )
    return _apply(function, options)


def output_option(function: F) -> F:
    """The flags that say how to show them."""
    options = (
        click.option("-o", "--output", type=Output(), default="table", show_default=True, help="table, json or yaml."),
        click.option("--label-columns", type=CommaList(), default="", help="Labels to show as columns."),
        switch("--show-labels", default=False, help_text="Show all labels in the last column."),
    )
    return _apply(function, options)


def scope_spec(options: Mapping[str, object]) -> JsonObject:
    """The part of a spec that both kinds have; what was not asked for is left out."""
    spec: JsonObject = {}
    for field in ("included_namespaces", "excluded_namespaces", "included_resources", "excluded_resources"):
        flag = field.replace("included", "include").replace("excluded", "exclude")
        names = options[flag]
        if isinstance(names, tuple) and names:
            verb, _, noun = field.partition("_")
            spec[f"{verb}{noun.capitalize()}"] = list(names)
    selector = str(options["selector"])
    if selector:
        spec["labelSelector"] = msgspec.to_builtins(parse_selector(selector))
    return spec | present(includeClusterResources=options["include_cluster_resources"])


def present(**fields: object) -> JsonObject:
    """The booleans that were given."""
    return {name: value for name, value in fields.items() if isinstance(value, bool)}


def label_map(options: Mapping[str, object]) -> JsonObject:
    """The labels of the new object."""
    labels = options["labels"]
    return {str(key): str(value) for key, value in labels.items()} if isinstance(labels, dict) else {}


def created(flags: ClusterFlags, kind: str, obj: JsonObject, options: Mapping[str, object], *, after: str) -> int:
    """Sends a backup, restore or schedule, or prints it when an output format is given; returns the exit code.

    Args:
        flags: The cluster.
        kind: `backup`, `restore` or `schedule`.
        obj: Its metadata and spec.
        options: The command's, with those of `wait_options` or `print_options`.
        after: What is said when it is created.
    """
    from pkg.cli.reading import no_namespace, not_installed

    ref = _KINDS[kind]
    connection = flags.connect()
    metadata = obj["metadata"]
    name = str(metadata["name"]) if isinstance(metadata, dict) else ""
    named: JsonObject = {"apiVersion": ref.api_version, "kind": ref.kind, **obj}
    if options["output"]:
        full: Json = {**metadata, "namespace": connection.namespace} if isinstance(metadata, dict) else {}
        _print(kind, {**named, "metadata": full}, connection.clock.now(), options)
        return 0
    try:
        connection.client.create_raw(ref, connection.namespace, named)
    except AlreadyExistsError as error:
        raise CliError(f'a {kind} "{name}" exists already: choose another name') from error
    except NotFoundError as error:
        raise (no_namespace(connection.namespace) if "namespaces" in str(error) else not_installed(ref)) from error
    except (InvalidError, BadRequestError) as error:
        raise CliError(f'{kind} "{name}" is refused: {error}') from error
    verb = "created" if kind == "schedule" else "submitted"
    click.echo(f'{ref.kind}{"" if kind == "schedule" else " request"} "{name}" {verb} successfully.\n{after}')
    if options.get("wait") is not True:
        return 0
    from pkg.cli.wait import wait_for_end

    timeout = options["timeout"]
    seconds = timeout if isinstance(timeout, float) else 0.0
    struct: type[Backup] | type[Restore] = Backup if kind == "backup" else Restore
    return wait_for_end(connection, ref, struct, name, timeout_seconds=seconds)


def _print(kind: str, obj: JsonObject, now: datetime.datetime, options: Mapping[str, object]) -> None:
    from pkg.cli.listing import print_raw
    from pkg.cli.tables import BACKUP_LISTING, RESTORE_LISTING, SCHEDULE_LISTING

    raw, output = [msgspec.json.encode(obj)], str(options["output"])
    match kind:
        case "backup":
            print_raw(BACKUP_LISTING, raw, now, output, options)
        case "restore":
            print_raw(RESTORE_LISTING, raw, now, output, options)
        case _:
            print_raw(SCHEDULE_LISTING, raw, now, output, options)


def _apply(function: F, options: tuple[Callable[[F], F], ...]) -> F:
    for option in reversed(options):
        function = option(function)
    return function


def checked_selector(ctx: click.Context, param: click.Parameter, value: str) -> str:
    """The text of a selector, refused as a usage error where it is none: for `callback` of an option."""
    try:
        parse_selector(value)
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, param) from error
    return value


def _pairs(ctx: click.Context, param: click.Parameter, value: object) -> object:
    return value or {}
