"""`ark backup download`: the objects of a backup as a tarball on this machine.

The file appears whole or not at all, readable by its owner only, because it holds the cluster's Secrets.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import click

from pkg.cli.failures import CliError
from pkg.cli.flags import ArkCommand, ClusterFlags, Seconds, switch
from pkg.cli.names import named_argument


@click.command("download", cls=ArkCommand, help="Download the objects of a backup.")
@named_argument("name", metavar="NAME")
@click.option("-o", "--output", default="", help="The file to write.  [default: NAME-data.tar.gz here]")
@switch("--force", default=False, help_text="Replace the file if it exists.")
@click.option("--timeout", type=Seconds(), default="1m", show_default=True, help="How long to wait for the server.")
@click.pass_obj
def command(flags: ClusterFlags, /, name: str, output: str, timeout: float, *, force: bool) -> None:
    """Downloads the tarball."""
    from pkg.cli.download import downloaded
    from pkg.cli.reading import read_object
    from pkg.kube.refs import BACKUPS

    target = Path(output or f"{name}-data.tar.gz").absolute()
    check_free(target, force=force)
    connection = flags.connect()
    read_object(connection, BACKUPS, name)
    with (
        downloaded(connection, "BackupContents", name, timeout_seconds=timeout) as file,
        written_whole(target, force=force) as written,
    ):
        shutil.copyfileobj(file, written)
    click.echo(f"Backup {name} has been successfully downloaded to {target}")


def check_free(target: Path, *, force: bool) -> None:
    """Finds out before anything is asked for.

    Raises:
        CliError: the file exists, or its directory does not.
    """
    if target.is_dir() or not target.parent.is_dir():
        raise CliError(f"{target} cannot be written: {'it is' if target.is_dir() else 'its parent is not'} a directory")
    if target.exists() and not force:
        raise CliError(f"{target} exists already: give --force to replace it, or another name with -o")


@contextlib.contextmanager
def written_whole(target: Path, *, force: bool) -> Iterator[BinaryIO]:
    """A file that takes its name when all of it is there; on any error nothing is left.

    Raises:
        CliError: it cannot be written, or somebody made one of that name meanwhile.
    """
    beside = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if force:
            os.replace(beside, target)
        else:
            os.link(beside, target)
    except FileExistsError as error:
        raise CliError(f"{target} exists already: give --force to replace it, or another name with -o") from error
    except OSError as error:
        raise CliError(f"{target} cannot be written: {error.strerror or error}") from error
    finally:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
