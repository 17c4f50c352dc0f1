"""Objects on standard output: as a table, as JSON or as YAML.

JSON and YAML show the objects as the API gave them, one alone as itself and several as a List.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import click
import msgspec
import yaml

from pkg.apis.meta import Json, JsonObject
from pkg.cli.client import Connection
from pkg.cli.failures import CliError
from pkg.kube.client import named
from pkg.kube.errors import ForbiddenError, NotFoundError
from pkg.kube.resources import ResourceRef

NONE = "<none>"
_PADDING, _MIN_WIDTH = 3, 10


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its heading, and the text of one object."""

    heading: str
    text: Callable[[JsonObject], str]


def read_objects(connection: Connection, ref: ResourceRef, names: Sequence[str], selector: str) -> list[JsonObject]:
    """The named objects, or all that match the selector.

    Raises:
        CliError: one is not there, or Ark is not installed.
    """
    if names:
        return [read_object(connection, ref, name) for name in names]
    found: list[JsonObject] = []
    try:
        for page in connection.client.list_pages(ref, connection.namespace, label_selector=selector):
            found += [named(ref, msgspec.json.decode(raw, type=dict)) for raw in page.items]
    except NotFoundError as error:
        raise not_installed(ref) from error
    except ForbiddenError as error:
        raise CliError(f"not allowed: {error}") from error
    return found


def read_object(connection: Connection, ref: ResourceRef, name: str) -> JsonObject:
    """One object.

    Raises:
        CliError: it is not there.
    """
    try:
        return connection.client.get_raw(ref, connection.namespace, name)
    except NotFoundError as error:
        if f'"{name}"' not in str(error):
            raise not_installed(ref) from error
        kind = ref.kind.lower()
        raise CliError(
            f'there is no {ref.kind} "{name}" in namespace {connection.namespace}: `ark {kind} get` lists them'
            if kind in ("backup", "restore")
            else f'there is no {ref.kind} "{name}" in namespace {connection.namespace}'
        ) from error


def not_installed(ref: ResourceRef) -> CliError:
    """The API server does not know our kinds."""
    return CliError(
        f"the cluster does not know {ref.group_resource}: Ark is not installed in it, or its "
        "CustomResourceDefinitions are missing (apply config/crd)"
    )


def print_objects(objects: Sequence[JsonObject], output: str, columns: Sequence[Column], *, ref: ResourceRef) -> None:
    """Prints objects in the form that was asked for."""
    if output == "table":
        click.echo(table(columns, objects), nl=False)
    else:
        click.echo(encoded(objects, output, ref), nl=False)


def encoded(objects: Sequence[JsonObject], output: str, ref: ResourceRef) -> str:
    """One object, or a List."""
    items: list[Json] = list(objects)
    shown: Json = items[0] if len(items) == 1 else {"apiVersion": "v1", "kind": "List", "items": items}
    if output == "yaml":
        return yaml.safe_dump(shown, sort_keys=True, allow_unicode=True)
    return msgspec.json.format(msgspec.json.encode(shown), indent=2).decode() + "\n"


def table(columns: Sequence[Column], objects: Iterable[JsonObject]) -> str:
    """Lines under headings, in columns at least ten characters wide, as 0.9 printed them."""
    rows = [[column.heading for column in columns]]
    rows += [[column.text(obj) or "" for column in columns] for obj in objects]
    return "".join(f"{line}\n" for line in aligned(rows, min_width=_MIN_WIDTH, padding=_PADDING))


def aligned(rows: Sequence[Sequence[str]], *, min_width: int = 0, padding: int = 2) -> list[str]:
    """Rows as lines whose cells begin at the same places."""
    widths: dict[int, int] = {}
    for row in rows:
        for number, cell in enumerate(row):
            widths[number] = max(widths.get(number, min_width - padding), len(cell))
    return ["".join(cell.ljust(widths[number] + padding) for number, cell in enumerate(row)).rstrip() for row in rows]


def label_columns(names: Sequence[str], *, show_all: bool) -> list[Column]:
    """Columns for labels: named ones by the last part of their name, and all of them in one."""
    columns = [Column(name.rpartition("/")[2].upper(), _label(name)) for name in names]
    if show_all:
        columns.append(Column("LABELS", lambda obj: joined(labels_of(obj))))
    return columns


def labels_of(obj: JsonObject) -> dict[str, str]:
    """An object's labels."""
    metadata = obj.get("metadata")
    labels = metadata.get("labels") if isinstance(metadata, dict) else None
    return {key: str(value) for key, value in labels.items()} if isinstance(labels, dict) else {}


def joined(pairs: Mapping[str, str]) -> str:
    """`a=b,c=d`, sorted."""
    return ",".join(f"{key}={value}" for key, value in sorted(pairs.items())) or NONE


def _label(name: str) -> Callable[[JsonObject], str]:
    return lambda obj: labels_of(obj).get(name, NONE)
