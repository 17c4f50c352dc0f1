"""`ark debug`: everything that helps somebody else to understand a problem, in one file, without secrets."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pkg.cli.flags import ArkCommand, ClusterFlags, Seconds, switch
from pkg.cli.names import complete_backups

if TYPE_CHECKING:  # imports msgspec; help must not
    from pkg.cli.client import Connection
    from pkg.cli.debug_parts import Part

_HELP = """Collect what helps with a problem into one file, without secrets.

Versions, Ark's objects, events, workloads, and logs and metrics of the server and the agents. Secrets are not asked
for; values of variables, hook commands, foreign annotations, tokens and signed addresses are taken out. Look through
the file before you give it away all the same: names of namespaces, pods and volumes are in it.
"""


@click.command("debug", cls=ArkCommand, help=_HELP)
@click.option("-o", "--output", default="", help="The file to write.  [default: ark-debug-TIME.tar.gz here]")
@click.option("--log-lines", type=click.IntRange(min=1), default=2000, show_default=True, help="Lines of each log.")
@click.option("--backup", default="", shell_complete=complete_backups, help="With the log of this backup.")
@click.option("--restore", default="", help="With the log of this restore.")
@click.option("--timeout", type=Seconds(), default="1m", show_default=True, help="How long to wait for such a log.")
@switch("--force", default=False, help_text="Replace the file if it exists.")
@click.pass_obj
def command(
    flags: ClusterFlags, /, output: str, log_lines: int, backup: str, restore: str, timeout: float, *, force: bool
) -> int:
    """Collects; exit code 1 when parts are missing, with the file written all the same."""
    from pkg.cli.backup_download import check_free, written_whole
    from pkg.cli.debug_parts import parts

    connection = flags.connect()
    stem = f"ark-debug-{connection.clock.now():%Y%m%d%H%M%S}"
    target = Path(output or f"{stem}.tar.gz").absolute()
    check_free(target, force=force)
    wanted = [("BackupLog", backup), ("RestoreLog", restore)]
    with written_whole(target, force=force) as file, tarfile.open(fileobj=file, mode="w:gz") as tar:
        bundle = Bundle(tar, stem)
        bundle.add_all(parts(connection, log_lines=log_lines))
        bundle.add_all(_log_part(connection, kind, name, timeout) for kind, name in wanted if name)
        bundle.add_problems()
    click.echo(f"Wrote {target} ({bundle.files} files)")
    for problem in bundle.problems:
        click.echo(f"missing: {problem}", err=True)
    return 1 if bundle.problems else 0


def _log_part(connection: Connection, kind: str, name: str, timeout_seconds: float) -> Part:
    from pkg.cli.debug_parts import Part
    from pkg.cli.debug_redaction import scrubbed
    from pkg.cli.download import stream_text

    def text() -> str:
        pieces: list[bytes] = []
        stream_text(connection, kind, name, pieces.append, timeout_seconds=timeout_seconds)
        return scrubbed(b"".join(pieces).decode(errors="replace"))

    return Part(f"logs/{kind}-{name}.log", text)


class Bundle:
    """A tar file that takes parts, and remembers those that could not be had."""

    def __init__(self, tar: tarfile.TarFile, stem: str) -> None:
        self._tar = tar
        self._stem = stem
        self.files = 0
        self.problems: list[str] = []

    def add_all(self, found: Iterable[Part]) -> None:
        """Adds each part that can be had."""
        import http.client

        from pkg.cli.failures import CliError
        from pkg.kube.errors import KubeError

        for part in found:
            try:
                self._add(part.path, part.text())
            except (KubeError, CliError, OSError, ValueError, http.client.HTTPException) as error:
                self.problems.append(f"{part.path}: {error}")

    def add_problems(self) -> None:
        """Ends the bundle with the list of what is missing."""
        from pkg.cli.debug_redaction import scrubbed

        self._add("problems.txt", scrubbed("".join(f"{problem}\n" for problem in self.problems)))

    def _add(self, path: str, text: str) -> None:
        data = text.encode()
        entry = tarfile.TarInfo(f"{self._stem}/{path}")
        entry.size = len(data)
        entry.mode = 0o600
        self._tar.addfile(entry, io.BytesIO(data))
        self.files += 1
