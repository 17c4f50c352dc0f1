"""How far a backup or restore is, while somebody waits for it: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Protocol

import click

from pkg.apis.ark import BackupStatus, RestoreStatus
from pkg.cli.tables import size_text

if TYPE_CHECKING:  # imported only where a terminal is attached
    from rich.progress import Progress

LINE_SECONDS = 10.0


class Shown(Protocol):
    """Shows states."""

    def show(self, status: BackupStatus | RestoreStatus, now: float) -> None:
        """Shows a state; `now` is monotonic."""
        ...

    def end(self) -> None:
        """Nothing more comes."""
        ...


class Lines:
    """A line when something changed, at most one in ten seconds but for the phase."""

    def __init__(self) -> None:
        self._phase: str | None = None
        self._said = ""
        self._said_at = 0.0

    def show(self, status: BackupStatus | RestoreStatus, now: float) -> None:
        """Prints a line if it is time."""
        text, phase = state_text(status), status.phase
        if phase != self._phase or (text != self._said and now - self._said_at >= LINE_SECONDS):
            click.echo(text)
            self._phase, self._said, self._said_at = phase, text, now

    def end(self) -> None:
        """Nothing is left to do."""


class Bar:
    """A bar that fills with the bytes of the volumes, or with the objects where there are none."""

    def __init__(self) -> None:
        from rich.progress import Progress

        self._progress: Progress = Progress(transient=True)
        self._task = self._progress.add_task("New", total=None)
        self._progress.start()

    def show(self, status: BackupStatus | RestoreStatus, now: float) -> None:
        """Moves the bar."""
        done, total = fraction(status)
        self._progress.update(self._task, description=state_text(status), completed=done, total=total or None)

    def end(self) -> None:
        """Takes the bar away."""
        self._progress.stop()


def shown() -> Shown:
    """What fits standard output."""
    return Bar() if sys.stdout.isatty() else Lines()


def fraction(status: BackupStatus | RestoreStatus) -> tuple[int, int]:
    """How much of how much; (0, 0) while nothing is known."""
    if status.volumes and status.volumes.total_bytes:
        return min(status.volumes.bytes_done, status.volumes.total_bytes), status.volumes.total_bytes
    return (status.progress.items_done, status.progress.total_items) if status.progress else (0, 0)


def state_text(status: BackupStatus | RestoreStatus) -> str:
    """`InProgress: 12 of 40 objects, 1 of 3 volumes, 1.2 GiB of 3.0 GiB`."""
    parts = []
    if status.progress:
        parts.append(f"{status.progress.items_done} of {status.progress.total_items} objects")
    volumes = status.volumes
    if volumes and volumes.expected:
        parts.append(f"{volumes.captured} of {volumes.expected} volumes")
        if volumes.total_bytes:
            parts.append(f"{size_text(volumes.bytes_done)} of {size_text(volumes.total_bytes)}")
    phase = status.phase or "New"
    return f"{phase}: {', '.join(parts)}" if parts else phase
