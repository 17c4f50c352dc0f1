"""`ark restic orphans`: what the server found in the store that no backup names, and when it goes."""

from __future__ import annotations

import click
import msgspec

from pkg.cli.failures import CliError
from pkg.cli.flags import ArkCommand, ClusterFlags
from pkg.cli.output import NONE, aligned, encoded
from pkg.cli.tables import time_text
from pkg.controllers.orphan_report import GRACE, Orphan, OrphanReport, OrphanReports
from pkg.kube.errors import ForbiddenError

_HEADINGS = ("KIND", "NAMESPACE", "ID/KEY", "FIRST SEEN", "REMOVED AFTER")


@click.command("orphans", cls=ArkCommand, help="Show snapshots and files that no backup names.")
@click.option(
    "-o",
    "--output",
    type=click.Choice(["table", "json", "yaml"]),
    default="table",
    show_default=True,
    help="How to show them.",
)
@click.pass_obj
def command(flags: ClusterFlags, /, output: str) -> None:
    """Shows the report of the last sweep."""
    connection = flags.connect()
    try:
        report = OrphanReports(client=connection.client, namespace=connection.namespace).read()
    except ForbiddenError as error:
        raise CliError(f"the report cannot be read: {error}") from error
    if output == "table":
        _print_table(report)
    else:
        click.echo(encoded([msgspec.to_builtins(report)], output), nl=False)


def _print_table(report: OrphanReport) -> None:
    if report.at is None:
        click.echo("the server has not looked for orphans yet", err=True)
        return
    rows = [_HEADINGS, *(_row(one, report) for one in report.orphans)]
    if report.orphans:
        click.echo("".join(f"{line}\n" for line in aligned(rows, min_width=10, padding=3)), nl=False)
    else:
        click.echo(f"no orphans at {time_text(report.at)}", err=True)
    if report.unlisted:
        click.echo(f"and {report.unlisted} more", err=True)
    if report.problem:
        click.echo(f"nothing is removed, and there may be more: {report.problem}", err=True)
    if report.held:
        click.echo(f"nothing is removed: {report.held}", err=True)


def _row(orphan: Orphan, report: OrphanReport) -> tuple[str, ...]:
    due = "<held>" if report.problem or report.held else time_text(orphan.first_seen + GRACE)
    return orphan.kind.value, orphan.namespace or NONE, orphan.id, time_text(orphan.first_seen), due
