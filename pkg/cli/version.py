"""`ark version`: of this program, and of the server where a cluster answers."""

from __future__ import annotations

import importlib.metadata
import json

import click

from pkg import __version__
from pkg.cli.flags import ArkCommand, ClusterFlags, switch

ANSWER_SECONDS = 3.0
_DISTRIBUTION = "ark-backup"
_UNKNOWN = "unknown"


@click.command("version", cls=ArkCommand, help="Print the version.")
@switch("--client-only", default=False, help_text="Ask no cluster for the server's.")
@click.pass_obj
def command(flags: ClusterFlags, /, *, client_only: bool) -> None:
    """Prints the three lines of 0.9, then what runs in the cluster."""
    click.echo(f"Version: v{__version__}\nGit commit: {commit()}\nGit tree state: {_UNKNOWN}")
    if not client_only:
        click.echo(f"Server: {server_text(flags)}")


def commit() -> str:
    """The commit that was installed, where the installer wrote it down (PEP 610)."""
    try:
        text = importlib.metadata.distribution(_DISTRIBUTION).read_text("direct_url.json")
        found = json.loads(text or "{}")
    except (importlib.metadata.PackageNotFoundError, ValueError):
        return _UNKNOWN
    source = found.get("vcs_info") if isinstance(found, dict) else None
    return str(source.get("commit_id") or _UNKNOWN) if isinstance(source, dict) else _UNKNOWN


def server_text(flags: ClusterFlags) -> str:
    """The server's image and whether it runs, or why that is not known; never an error."""
    from pkg.cli.failures import CliError
    from pkg.cli.installed import server_image
    from pkg.cli.sentences import sentence
    from pkg.kube.errors import KubeError

    try:
        return server_image(flags.connect(), timeout_seconds=ANSWER_SECONDS)
    except KubeError as error:
        return f"{_UNKNOWN}: {sentence(error)}"
    except CliError as error:
        return f"{_UNKNOWN}: {error}"
