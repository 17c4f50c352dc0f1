"""Bandwidth limits: each restic gets its part of the node's when it starts.

The node's limit is divided by the slots there are, so that all children together never take more, however many run; a
child that runs alone takes its part and no more. restic cannot change its limits while it runs, so a new limit counts
for the next child. Uploads of backups and downloads of restores are what is limited to the node's figure; a backup's
downloads (index, parent) and a restore's uploads (locks) get the same part, so that they cannot be a way around it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

from pkg.kube.stop import StopToken
from pkg.restic.command import Command
from pkg.restic.environment import ResticEnvironment
from pkg.restic.finished import Finished
from pkg.restic.messages import Message
from pkg.restic.runner import ResticRunner

# As much may be under way without a word: five packs of 16 MiB, sent at the same time.
_SILENT_KIB = 5 * 16 * 1024
_LIMITED = ("backup", "restore")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bandwidth:
    """What one child may transfer, in KiB/s; 0 for no limit."""

    upload_kib: int = 0
    download_kib: int = 0


def share(node: Bandwidth, children: int) -> Bandwidth:
    """One child's part of what a node may transfer; a limit never becomes none."""
    return Bandwidth(
        upload_kib=_part(node.upload_kib, children),
        download_kib=_part(node.download_kib, children),
    )


def limited(command: Command, bandwidth: Bandwidth) -> Command:
    """The call with these limits; at a low one it may be silent for longer before it counts as stuck."""
    flags = (
        *(("--limit-upload", str(bandwidth.upload_kib)) if bandwidth.upload_kib else ()),
        *(("--limit-download", str(bandwidth.download_kib)) if bandwidth.download_kib else ()),
    )
    if not flags:
        return command
    verb, *rest = command.arguments
    slowest = min(kib for kib in (bandwidth.upload_kib, bandwidth.download_kib) if kib)
    return dataclasses.replace(command, arguments=(verb, *flags, *rest), slow_seconds=_SILENT_KIB / slowest)


class LimitedRunner:
    """A runner whose backups and restores get the limits that hold when they start; other calls are small.

    Args:
        runner: What runs the calls.
        bandwidth: Answers what a child of that verb may transfer now.
    """

    def __init__(self, runner: ResticRunner, bandwidth: Callable[[str], Bandwidth]) -> None:
        self._runner = runner
        self._bandwidth = bandwidth

    def run(
        self,
        command: Command,
        environment: ResticEnvironment | None,
        stop: StopToken,
        on_message: Callable[[Message], None] = lambda message: None,
    ) -> Finished:
        """Runs a call to its end; see `ResticRunner`."""
        if command.verb in _LIMITED:
            command = limited(command, self._bandwidth(command.verb))
        return self._runner.run(command, environment, stop, on_message)


def _part(kib: int, children: int) -> int:
    return max(1, kib // max(1, children)) if kib else 0
