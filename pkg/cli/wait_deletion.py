"""Waits until DeleteBackupRequests are Processed, and turns what they say into the exit code."""

from __future__ import annotations

from collections.abc import Sequence

import click

from pkg.apis.ark import DeleteBackupRequest
from pkg.apis.reasons import RequestPhase
from pkg.cli.client import Connection
from pkg.cli.failures import COMPLETED, FAILED, TIMED_OUT, CliError
from pkg.kube.errors import NotFoundError, ServerError, ThrottledError, TransportError
from pkg.kube.refs import DELETE_BACKUP_REQUESTS
from pkg.kube.stop import StopToken

POLL_SECONDS = 1.0
UNANSWERED_SECONDS = 60.0


def wait_for_deletions(connection: Connection, names: Sequence[str], *, timeout_seconds: float) -> int:
    """Waits for all of them; 0 seconds wait without a limit.

    Raises:
        CliError: the time is over, or the API is away for a minute.
    """
    clock = connection.clock
    began = answered = clock.monotonic()
    open_names, code = list(names), COMPLETED
    told: dict[str, str] = {}
    while open_names:
        try:
            request = _read(connection, open_names[0])
        except (TransportError, ThrottledError, ServerError) as error:
            if clock.monotonic() - answered >= UNANSWERED_SECONDS:
                raise CliError(f"the Kubernetes API does not answer any more: {error}") from error
        else:
            answered = clock.monotonic()
            if request is None or request.status.phase == RequestPhase.PROCESSED:
                code = max(code, _tell_end(request))
                open_names.pop(0)
                continue
            _tell_wait(request, told)
        if timeout_seconds and clock.monotonic() - began >= timeout_seconds:
            raise CliError(f"timed out after {timeout_seconds:.0f} s; the deletion goes on", TIMED_OUT)
        clock.wait(StopToken(), POLL_SECONDS)
    return code


def _read(connection: Connection, name: str) -> DeleteBackupRequest | None:
    try:
        return connection.client.get(DELETE_BACKUP_REQUESTS, connection.namespace, name, DeleteBackupRequest)
    except NotFoundError:
        return None  # a younger request for the same backup took its place


def _tell_end(request: DeleteBackupRequest | None) -> int:
    if request is None:
        click.echo("The request is gone: a later one for the same backup took its place.", err=True)
        return FAILED
    errors = request.status.errors or ()
    for error in errors:
        click.echo(error, err=True)
    if not errors:
        click.echo(f'Backup "{request.spec.backup_name}" deleted.')
    return FAILED if errors else COMPLETED


def _tell_wait(request: DeleteBackupRequest, told: dict[str, str]) -> None:
    """Says once why a request waits."""
    name, message = request.metadata.name, request.status.message
    if message and told.get(name) != message:
        click.echo(f'Backup "{request.spec.backup_name}" waits: {message}', err=True)
    told[name] = message
