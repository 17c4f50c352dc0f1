"""`ark recovery-kit`: save what the bucket does not hold, prove that it fits, and bring it into a new cluster."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from pkg.cli.client import Connection
from pkg.cli.failures import CliError
from pkg.cli.flags import ArkCommand, ClusterFlags, switch
from pkg.cli.lazy import Lazy, LazyGroup
from pkg.cli.recovery_kit_cluster import compare, kit_of, look
from pkg.cli.recovery_kit_file import RecoveryKit, read_kit, written
from pkg.cli.recovery_kit_import import import_config, import_passwords, mark_verified

STREAM = "-"
_EXPORT_HELP = """Write the recovery kit into FILE, which must not exist; - is standard output.

The file is SECRET: it holds the password of the restic repositories. Encrypt it where you keep it, for example
`ark recovery-kit export - | age -p -o kit.age`. It holds no credentials of the object store.
"""
_VERIFY_HELP = """Prove that FILE opens the repositories of this cluster; - is standard input.

The passwords in it are compared with those that the server opens the repositories with, and its location with the
Config. Until a kit was verified, and again after the password was rotated, Backups say RecoveryKitUnverified.
"""
_IMPORT_HELP = """Bring the password in FILE into this cluster; - is standard input.

Refused where this cluster has another password: nothing is ever overwritten.
"""
_FILE = click.argument("file", metavar="FILE|-", type=click.Path(dir_okay=False, allow_dash=True))


@click.command("export", cls=ArkCommand, help=_EXPORT_HELP)
@_FILE
@click.pass_obj
def export(flags: ClusterFlags, /, file: str) -> None:
    """Writes a kit."""
    if file != STREAM and Path(file).exists():
        raise CliError(f"{file} exists already and is not overwritten: name another file")
    connection = flags.connect()
    now = connection.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
    kit = kit_of(look(connection), namespace=connection.namespace, created_at=now)
    if file == STREAM:
        click.echo(written(kit), nl=False)
    else:
        _write_private(Path(file), written(kit))
    click.echo(
        f"Recovery kit of cluster {kit.cluster_id}: {_counted(kit)}. It is secret: whoever has it and can read the "
        "bucket can read every volume. Keep it outside this cluster and outside the bucket, then prove that it fits: "
        f"ark recovery-kit verify {file}",
        err=True,
    )


@click.command("verify", cls=ArkCommand, help=_VERIFY_HELP)
@_FILE
@click.pass_obj
def verify(flags: ClusterFlags, /, file: str) -> int:
    """Compares a kit with the cluster; exit code 1 when it does not fit."""
    kit, connection = _read(file), flags.connect()
    found = look(connection)
    comparison = compare(kit, found, namespace=connection.namespace)
    for note in comparison.notes:
        click.echo(f"Note: {note}", err=True)
    if comparison.faults or found.secret is None:
        faults = "".join(f"\n  {fault}" for fault in comparison.faults)
        raise CliError(f"the recovery kit does NOT fit this cluster:{faults}\nexport a new one and keep that")
    mark_verified(connection, found.secret, found.passwords)
    opened = f", which open {', '.join(comparison.opened)}" if comparison.opened else ""
    click.echo(f"The recovery kit of {kit.created_at} fits: it holds {_counted(kit)} and the passwords in use{opened}.")
    return 0


@click.command("import", cls=ArkCommand, help=_IMPORT_HELP)
@_FILE
@switch("--config", default=False, help_text="Make Config default too, where there is none, with the kit's location.")
@click.pass_obj
def import_kit(flags: ClusterFlags, /, file: str, config: bool) -> None:
    """Brings a kit into a cluster."""
    kit, connection = _read(file), flags.connect()
    click.echo(import_passwords(connection, kit))
    if config:
        click.echo(import_config(connection, kit))
    _say_what_is_next(connection, kit, file)


def _say_what_is_next(connection: Connection, kit: RecoveryKit, file: str) -> None:
    bucket = kit.location.bucket
    click.echo(
        f"Once the server is Ready, `ark backup get` lists the backups in bucket {bucket} that cluster "
        f"{kit.cluster_id} made, and `ark restore create` restores them. When the repositories are Ready: "
        f"ark recovery-kit verify {file} -n {connection.namespace}"
    )


def _read(file: str) -> RecoveryKit:
    if file == STREAM:
        return read_kit(file, sys.stdin.read())
    if Path(file).exists() and Path(file).stat().st_mode & 0o077:
        click.echo(f"Warning: others may read {file}, which is secret: chmod 600 {file}", err=True)
    return read_kit(file)


def _write_private(path: Path, text: str) -> None:
    """Writes a new file that only its owner may read; what is half written is removed."""
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except OSError as error:
        raise CliError(f"{path} cannot be written: {error.strerror}") from error
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(descriptor)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise CliError(f"{path} cannot be written: {error.strerror}") from error


def _counted(kit: RecoveryKit) -> str:
    passwords, repositories = len(kit.passwords), len(kit.repositories)
    return (
        f"{passwords} password{'' if passwords == 1 else 's'}, "
        f"{repositories} repositor{'y' if repositories == 1 else 'ies'}"
    )


command = LazyGroup(
    "recovery-kit",
    {
        "export": Lazy("pkg.cli.recovery_kit:export", "Write the recovery kit into a file"),
        "verify": Lazy("pkg.cli.recovery_kit:verify", "Prove that a recovery kit opens the repositories"),
        "import": Lazy("pkg.cli.recovery_kit:import_kit", "Bring a recovery kit into a new cluster"),
    },
    help_text="Save and prove what opens the repositories when this cluster is gone.",
)
