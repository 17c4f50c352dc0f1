"""`ark restic repo maintain`: asks the server to forget, prune, check or verify a repository now.

The wish is an annotation; the server makes the Job when no backup or restore is inside, whatever the hour.
"""

from __future__ import annotations

import click

from pkg.apis.meta import JsonObject
from pkg.apis.names import MAINTAIN_ANNOTATION
from pkg.apis.volumes import MaintenanceRun, ResticRepository
from pkg.cli.client import Connection
from pkg.cli.failures import FAILED, TIMED_OUT, CliError
from pkg.cli.flags import ArkCommand, ClusterFlags, Seconds, cluster_options, switch
from pkg.cli.names import named_argument
from pkg.kube.errors import NotFoundError
from pkg.kube.refs import RESTIC_REPOSITORIES
from pkg.kube.stop import StopToken

POLL_SECONDS = 1.0
DEFAULT_VERBS = ("forget", "prune", "check")
VERBS = (*DEFAULT_VERBS, "verify")


@click.command(
    "maintain", cls=ArkCommand, help="Forget, prune, check or verify a repository now, as a Job of the server's."
)
@named_argument("name", metavar="NAME")
@switch("--forget", help_text="Forget the snapshots of deleted backups.")
@switch("--prune", help_text="Remove data that no snapshot needs.")
@switch("--check", help_text="Verify the repository's structure.")
@switch("--verify", help_text="Read the next part of its data, beside backups and restores.")
@switch("-w", "--wait", help_text="Wait until it was done.")
@click.option("--timeout", type=Seconds(), default="0s", help="How long to wait; 0 is without a limit.")
@click.pass_obj
def command(flags: ClusterFlags, /, name: str, *, wait: bool | None, timeout: float, **chosen: bool | None) -> int:
    """Writes the annotation; without a verb the three of maintenance are meant."""
    connection = flags.connect()
    verbs = [verb for verb in VERBS if chosen[verb]] or list(DEFAULT_VERBS)
    request = f"{','.join(verbs)}@{connection.clock.now().isoformat()}"
    patch: JsonObject = {"metadata": {"annotations": {MAINTAIN_ANNOTATION: request}}}
    try:
        connection.client.patch(RESTIC_REPOSITORIES, connection.namespace, name, patch, ResticRepository)
    except NotFoundError as error:
        raise CliError(f'there is no restic repository "{name}": ark restic repo get lists them') from error
    click.echo(f'Maintenance of repository "{name}" requested: {", ".join(verbs)}.')
    if not wait:
        click.echo(f"kubectl -n {connection.namespace} describe resticrepository {name} shows how it ends.")
        return 0
    run = _ended(connection, name, request, timeout)
    click.echo(f"{run.phase}: {run.message}" if run.message else run.phase)
    return 0 if run.phase == "Completed" else FAILED


def _ended(connection: Connection, name: str, request: str, timeout_seconds: float) -> MaintenanceRun:
    clock, never = connection.clock, StopToken()
    began = clock.monotonic()
    while True:
        try:
            found = connection.client.get(RESTIC_REPOSITORIES, connection.namespace, name, ResticRepository)
        except NotFoundError as error:
            raise CliError(f'repository "{name}" was deleted while it was waited for') from error
        if found.status.maintenance_request == request:
            return last_run(found, verbs_only=request.partition("@")[0])
        if found.metadata.annotation(MAINTAIN_ANNOTATION) != request:
            raise CliError("somebody else asked for maintenance meanwhile; that request is carried out instead")
        if timeout_seconds and clock.monotonic() - began >= timeout_seconds:
            raise CliError(f"timed out after {timeout_seconds:.0f} s: the request stands, and goes on", TIMED_OUT)
        clock.wait(never, POLL_SECONDS)


def last_run(repository: ResticRepository, *, verbs_only: str) -> MaintenanceRun:
    """The newest run; those that only verified are kept apart."""
    status = repository.status
    seen = status.verification.runs if status.verification and verbs_only == "verify" else status.maintenance
    return (seen or (MaintenanceRun(phase="Completed"),))[0]


cluster_options(command)
