"""`ark restic repo describe`: one repository as a page of text."""

from __future__ import annotations

from collections.abc import Iterable

import click
import msgspec

from pkg.apis.meta import JsonObject
from pkg.apis.volumes import MaintenanceRun, ResticRepository
from pkg.cli.describe import head, outcome
from pkg.cli.flags import ArkCommand, ClusterFlags, cluster_options
from pkg.cli.page import Page
from pkg.cli.reading import read_objects
from pkg.cli.requests import list_options
from pkg.cli.tables import name_of, repository_status, size_text, time_text
from pkg.kube.refs import RESTIC_REPOSITORIES

NEVER = "<never>"


@click.command("describe", cls=ArkCommand, help="Describe restic repositories.")
@list_options
@click.pass_obj
def command(flags: ClusterFlags, /, names: tuple[str, ...], **options: object) -> None:
    """Describes ResticRepositories."""
    found = read_objects(flags.connect(), RESTIC_REPOSITORIES, names, str(options["selector"]))
    click.echo("\n\n".join(describe_repository(obj) for obj in sorted(found, key=name_of)), nl=False)


def describe_repository(obj: JsonObject) -> str:
    """The page of one repository."""
    repository = msgspec.convert(obj, ResticRepository)
    page = Page()
    head(page, repository.metadata)
    page.gap()
    outcome(page, repository_status(repository), repository.status.reason, repository.status.message, None)
    for condition in repository.status.conditions or ():
        if condition.status == "True":
            page.pair(condition.type, f"{condition.message} (since {time_text(condition.last_transition_time)})")
    page.gap()
    _identity(page, repository)
    page.gap()
    _maintenance(page, repository)
    page.gap()
    _verification(page, repository)
    return page.text()


def _identity(page: Page, repository: ResticRepository) -> None:
    spec, status = repository.spec, repository.status
    page.pair("Volumes of namespace", repository.volume_namespace)
    page.pair("Repository", spec.restic_identifier)
    page.pair("Repository id", status.repository_id or "<unknown>")
    for before in status.replaced or ():
        page.pair("Was before", f"{before.id}, until {time_text(before.replaced_at)}: {before.message}")
    page.pair("Made by cluster", status.cluster_id or "<unknown>")
    page.pair("Password generation", status.password_generation or "<unknown>")
    page.pair("Last looked at", time_text(status.checked_at, NEVER))


def _maintenance(page: Page, repository: ResticRepository) -> None:
    status = repository.status
    page.pair("Snapshots to forget", len(status.pending_forget or ()))
    page.pair("Last forget", time_text(status.last_forget_time, NEVER))
    page.pair("Last prune", time_text(status.last_prune_time, NEVER))
    page.pair("Last check", time_text(status.last_check_time, NEVER))
    _runs(page, "Last maintenance runs", status.maintenance or ())


def _verification(page: Page, repository: ResticRepository) -> None:
    seen = repository.status.verification
    if seen is None:
        page.pair("Verification", "nothing was read yet")
        return
    page.pair("Verification", seen.message or "nothing was read yet")
    if seen.part:
        page.pair("Last part read", f"{seen.part} of {seen.parts} ({size_text(seen.read_bytes)})")
        page.pair("Read at", time_text(seen.read_at, NEVER))
    page.pair("All data read", time_text(seen.full_at, NEVER))
    page.pair("Size of the data", size_text(seen.size_bytes))
    if seen.suspect:
        page.pair("To be checked", f"part {seen.suspect}, in which errors were found without a lock")
    _runs(page, "Last verification runs", seen.runs or ())


def _runs(page: Page, title: str, runs: Iterable[MaintenanceRun]) -> None:
    rows = [(time_text(run.start_timestamp), run.verb, run.phase, run.reason, run.message) for run in runs]
    if rows:
        page.gap()
        page.line(f"{title}:")
        page.rows([("  Started", "Verbs", "Phase", "Reason", "Message"), *((f"  {row[0]}", *row[1:]) for row in rows)])


cluster_options(command)
