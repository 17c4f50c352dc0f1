"""Waits until a Backup or Restore has ended and turns its phase into the exit code."""

from __future__ import annotations

import click

from pkg.apis.ark import Backup, Restore
from pkg.apis.reasons import TERMINAL_PHASES, BackupPhase
from pkg.cli import failures, program
from pkg.cli.client import Connection
from pkg.cli.failures import CliError
from pkg.cli.progress import Shown, shown
from pkg.kube.errors import NotFoundError, ServerError, ThrottledError, TransportError
from pkg.kube.resources import ResourceRef
from pkg.kube.stop import StopToken

Kind = type[Backup] | type[Restore]
POLL_SECONDS = 1.0
UNANSWERED_SECONDS = 60.0
IDLE_HINT_SECONDS = 30.0
EXIT_CODES = {
    BackupPhase.COMPLETED: failures.COMPLETED,
    BackupPhase.FAILED: failures.FAILED,
    BackupPhase.PARTIALLY_FAILED: failures.PARTIALLY_FAILED,
    BackupPhase.FAILED_VALIDATION: failures.FAILED_VALIDATION,
}


def wait_for_end(connection: Connection, ref: ResourceRef, struct: Kind, name: str, *, timeout_seconds: float) -> int:
    """Waits, prints how it ended, and returns the exit code; 0 seconds wait without a limit.

    Raises:
        CliError: the time is over, the object is gone, or the API is away for a minute.
    """
    progress = shown()
    try:
        ended = _ended(connection, ref, struct, name, timeout_seconds, progress)
    finally:
        progress.end()
    kind = ref.kind.lower()
    click.echo(f"{ref.kind} completed with status: {ended.status.phase}. " + _more(kind, name))
    for line in (ended.status.message, *(ended.status.validation_errors or ())):
        if line:
            click.echo(line, err=True)
    return EXIT_CODES[BackupPhase(ended.status.phase)]


def _ended(
    connection: Connection, ref: ResourceRef, struct: Kind, name: str, timeout_seconds: float, progress: Shown
) -> Backup | Restore:
    clock, never = connection.clock, StopToken()
    began = answered = clock.monotonic()
    hinted = False
    while True:
        try:
            found = connection.client.get(ref, connection.namespace, name, struct)
        except NotFoundError as error:
            raise CliError(f'{ref.kind} "{name}" was deleted while it was waited for') from error
        except (TransportError, ThrottledError, ServerError) as error:
            if clock.monotonic() - answered >= UNANSWERED_SECONDS:
                raise CliError(f"the Kubernetes API does not answer any more: {error}") from error
        else:
            answered = clock.monotonic()
            progress.show(found.status, answered)
            if found.status.phase in TERMINAL_PHASES:
                return found
            hinted = hinted or _hint(found.status.phase, connection.namespace, answered - began)
        if timeout_seconds and clock.monotonic() - began >= timeout_seconds:
            kind = ref.kind.lower()
            raise CliError(
                f'timed out after {timeout_seconds:.0f} s: {ref.kind} "{name}" goes on; '
                f"`{program.name()} {kind} describe {name}` shows how far it is",
                failures.TIMED_OUT,
            )
        clock.wait(never, POLL_SECONDS)


def _hint(phase: str, namespace: str, waited_seconds: float) -> bool:
    """Says once that nobody took it up."""
    if phase not in ("", BackupPhase.NEW) or waited_seconds < IDLE_HINT_SECONDS:
        return False
    click.echo(
        f"no Ark server has taken it up for {waited_seconds:.0f} s: is it running "
        f"(kubectl -n {namespace} get deploy ark)?",
        err=True,
    )
    return True


def _more(kind: str, name: str) -> str:
    return (
        f"You may check for more information using the commands `{program.name()} {kind} describe {name}` "
        f"and `{program.name()} {kind} logs {name}`."
    )
