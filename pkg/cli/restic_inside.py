"""`ark restic inside`: the other half of the commands that need the repositories' password; runs in the server's pod.

People run `ark restic repo locks`, `ark restic repo unlock` and `ark restic exec`, which come here by exec.
"""

from __future__ import annotations

import os

import click
import msgspec

from pkg.cli.failures import CliError
from pkg.cli.lazy import Lazy, LazyGroup
from pkg.cli.process import process_settings
from pkg.controllers.repository_inside import InsideError, RepositoryInside
from pkg.kube.client import Client
from pkg.kube.clock import REAL_CLOCK
from pkg.kube.errors import KubeError
from pkg.kube.stop import StopToken
from pkg.kube.transport import load_transport
from pkg.manager.logs import configure_logs
from pkg.manager.shutdown import install_signals
from pkg.objectstore.cloud import open_restic_store
from pkg.objectstore.errors import StoreError
from pkg.restic.cgroup import own_memory_group
from pkg.restic.errors import ResticError
from pkg.restic.read_only import NotReadOnlyError
from pkg.restic.replace import become_read_only
from pkg.restic.runner import Runner

_KUBECONFIG = click.option("--kubeconfig", default="", help="Default: the pod's own account.")


@click.command("locks", hidden=True)
@click.argument("name")
@_KUBECONFIG
def locks(name: str, kubeconfig: str) -> None:
    """Print a repository's locks as JSON."""
    inside, stop = _inside(kubeconfig), StopToken()
    install_signals(stop)
    try:
        click.echo(msgspec.json.encode(inside.locks(name, stop)).decode())
    except (InsideError, KubeError, ResticError, StoreError) as error:
        raise CliError(str(error)) from error


@click.command("unlock", hidden=True)
@click.argument("name")
@click.option("--lock", "lock_id", required=True)
@click.option("--force-live", is_flag=True)
@_KUBECONFIG
def unlock(name: str, lock_id: str, kubeconfig: str, *, force_live: bool) -> None:
    """Remove one lock."""
    inside, stop = _inside(kubeconfig), StopToken()
    install_signals(stop)
    try:
        click.echo(inside.unlock(name, lock_id, stop, force_live=force_live))
    except (InsideError, KubeError, ResticError, StoreError) as error:
        raise CliError(str(error)) from error


@click.command("run", hidden=True, context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@_KUBECONFIG
@click.argument("name")
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
def run(name: str, words: tuple[str, ...], kubeconfig: str) -> None:
    """Become restic for a read-only call."""
    words = words[1:] if words[:1] == ("--",) else words
    inside, group = _inside(kubeconfig), own_memory_group()
    memory = group.read() if group is not None else None
    try:
        environment = inside.reading(name, words, memory_limit=memory.limit_bytes if memory else None)
        become_read_only(words, environment, os.environ)
    except (InsideError, KubeError, StoreError, NotReadOnlyError) as error:
        raise CliError(str(error)) from error


def _inside(kubeconfig: str) -> RepositoryInside:
    configure_logs("warning", "logfmt")  # standard output is the answer, and nothing else may be in it
    settings = process_settings("", os.environ)
    return RepositoryInside(
        client=Client(load_transport(kubeconfig)),
        namespace=settings.namespace,
        environ=settings.environ,
        scratch_dir=settings.scratch_dir,
        runner=Runner(base=settings.environ),
        open_store=lambda known: open_restic_store(known.location, known.credentials),
        clock=REAL_CLOCK,
    )


command = LazyGroup(
    "inside",
    {name: Lazy(f"pkg.cli.restic_inside:{name}") for name in ("locks", "unlock", "run")},
    help_text="Run by other commands in the server's pod.",
)
