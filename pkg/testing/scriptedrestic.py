"""A restic that says what a test wants and ends as it wants; nothing is moved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from pkg.kube.stop import StopToken
from pkg.restic.command import Command
from pkg.restic.environment import ResticEnvironment
from pkg.restic.finished import Ended, Finished
from pkg.restic.messages import ItemError, Message, Status


class ScriptedRestic:
    """A `ResticRunner`; keeps what it was asked in `commands`."""

    def __init__(
        self,
        exit_code: int,
        *said: Message,
        ended: Ended = Ended.ITSELF,
        stdout: bytes = b"",
        noise: tuple[str, ...] = (),
    ) -> None:
        self._said = said
        self._finished = Finished(
            verb="restore",
            repository="/r",
            exit_code=exit_code,
            ended=ended,
            stdout=stdout,
            noise_lines=len(noise),
            noise=noise,
            messages=tuple(one for one in said if not isinstance(one, ItemError | Status)),
            item_errors=tuple(one for one in said if isinstance(one, ItemError))[:20],
        )
        self.commands: list[Command] = []

    def run(
        self,
        command: Command,
        environment: ResticEnvironment | None,
        stop: StopToken,
        on_message: Callable[[Message], None] = lambda message: None,
    ) -> Finished:
        """Says everything, then ends; stopped, it says no more."""
        self.commands.append(command)
        for message in self._said:
            if stop.cancelled:
                return replace(self._finished, exit_code=130, ended=Ended.STOPPED, stop_reason=stop.reason)
            on_message(message)
        return self._finished
