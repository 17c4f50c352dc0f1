"""`get` of every kind: which columns it has, and how its objects are printed.

A table decodes each object once, into a struct of what the columns show; JSON and YAML show the objects as the API
gave them; names alone are asked for without the objects.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import click

from pkg.apis.meta import Object, ObjectMeta
from pkg.cli.failures import CliError
from pkg.cli.flags import ClusterFlags
from pkg.cli.output import NONE, aligned, encoded, joined
from pkg.cli.reading import RawObject, decoded, named_objects, read_raw
from pkg.kube.resources import ResourceRef

_PADDING, _MIN_WIDTH = 3, 10


class Row(Protocol):
    """What a table shows of an object."""

    @property
    def metadata(self) -> ObjectMeta:
        """Its metadata."""
        ...


R = TypeVar("R", bound=Row)


@dataclass(frozen=True, slots=True)
class Column(Generic[R]):
    """A column: its heading, the text of one object, and whether only `-o wide` shows it."""

    heading: str
    text: Callable[[R], str]
    wide: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing(Generic[R]):
    """How a kind is listed.

    Attributes:
        struct: What the columns need of an object, and no more.
        columns: By the present time, for ages.
        sort_key: What the name is sorted by.
    """

    ref: ResourceRef
    struct: type[R]
    columns: Callable[[datetime.datetime], Sequence[Column[R]]]
    sort_key: Callable[[str], tuple[str, int]] = lambda name: (name, 0)


def print_listing(
    flags: ClusterFlags, listing: Listing[R], names: Sequence[str], options: Mapping[str, object]
) -> None:
    """Prints the named objects, or all that the selector lets through.

    Raises:
        CliError: some of the names do not exist; the others are printed before.
    """
    connection = flags.connect()
    selector, output = str(options["selector"]), str(options["output"])
    raw, problems = read_raw(connection, listing.ref, names, selector, metadata_only=output == "name")
    if not raw and not problems and output in ("table", "wide"):
        click.echo(f"no {listing.ref.plural} in namespace {connection.namespace}", err=True)
    if raw or not problems:
        print_raw(listing, raw, connection.clock.now(), output, options)
    if problems:
        raise CliError("; ".join(problems))


def print_raw(
    listing: Listing[R],
    raw: Sequence[RawObject],
    now: datetime.datetime,
    output: str,
    options: Mapping[str, object],
) -> None:
    """Prints objects in one of the forms of `-o`, in the order of the table."""
    if output in ("table", "wide"):
        rows = [decoded(one, listing.struct, listing.ref) for one in raw]
        rows.sort(key=lambda row: listing.sort_key(row.metadata.name))
        click.echo(table(columns_of(listing, now, output, options), rows), nl=False)
        return
    named = [(decoded(one, Object, listing.ref).metadata.name, one) for one in raw]
    named.sort(key=lambda pair: listing.sort_key(pair[0]))
    if output == "name":
        kind = f"{listing.ref.kind.lower()}.{listing.ref.group}"
        click.echo("".join(f"{kind}/{name}\n" for name, _ in named), nl=False)
    else:
        click.echo(encoded(named_objects(listing.ref, (one for _, one in named)), output), nl=False)


def columns_of(
    listing: Listing[R], now: datetime.datetime, output: str, options: Mapping[str, object]
) -> list[Column[R]]:
    """The columns that were asked for: wide ones on demand, labels last."""
    columns = [column for column in listing.columns(now) if output == "wide" or not column.wide]
    names = options["label_columns"]
    for name in names if isinstance(names, tuple) else ():
        columns.append(_label_column(str(name)))
    if options["show_labels"] is True:
        columns.append(Column("LABELS", lambda row: joined(row.metadata.labels or {})))
    return columns


def table(columns: Sequence[Column[R]], rows: Iterable[R]) -> str:
    """Lines under headings, in columns at least ten characters wide, as 0.9 printed them."""
    lines = [[column.heading for column in columns]]
    lines += [[column.text(row) for column in columns] for row in rows]
    return "".join(f"{line}\n" for line in aligned(lines, min_width=_MIN_WIDTH, padding=_PADDING))


def _label_column(name: str) -> Column[R]:
    return Column(name.rpartition("/")[2].upper(), lambda row: (row.metadata.labels or {}).get(name, NONE))
