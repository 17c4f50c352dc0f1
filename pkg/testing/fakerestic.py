"""A restic without a process: repositories in memory, real directories, the real exit codes and messages.

It passes the same contract tests as the real restic, and fails on demand in the ways restic does.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from pkg.kube.stop import StopToken
from pkg.restic.command import EMPTY_MARKER, Command
from pkg.restic.environment import ResticEnvironment
from pkg.restic.finished import Ended, Finished
from pkg.restic.messages import ExitError, Initialized, Message, Snapshot, Status, Summary, Version

VERSION = "0.19.1"
PRUNED = b"to repack:             0 blobs / 0 B\ntotal prune:           5 blobs / 2.862 MiB\ndone\n"


@dataclass(slots=True)
class FakeSnapshot:
    """A snapshot: relative path to content; None for a directory."""

    snapshot: Snapshot
    files: dict[str, bytes | None]


@dataclass(slots=True)
class FakeRepository:
    """A repository: its id, password and snapshots in order."""

    id: str
    password: str
    snapshots: list[FakeSnapshot] = field(default_factory=list)


class FakeRestic:
    """A `ResticRunner` for tests.

    Attributes:
        repositories: Address to repository.
        commands: Every command that was run, in order.
        script: Called before each command; a Finished that it returns is the outcome, None lets the fake go on.
        hold: When set to an event, backups and restores wait for it (or for the stop token) before they end.
    """

    def __init__(self) -> None:
        self.repositories: dict[str, FakeRepository] = {}
        self.commands: list[Command] = []
        self.script: Callable[[Command, ResticEnvironment | None], Finished | None] = lambda command, environment: None
        self.hold: threading.Event | None = None
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def run(
        self,
        command: Command,
        environment: ResticEnvironment | None,
        stop: StopToken,
        on_message: Callable[[Message], None] = lambda message: None,
    ) -> Finished:
        """Runs a call to its end."""
        with self._lock:
            self.commands.append(command)
        scripted = self.script(command, environment)
        if scripted is not None:
            for error in scripted.item_errors:
                on_message(error)
            return scripted
        if command.verb == "version":
            return Finished(verb="version", repository="", exit_code=0, messages=(Version(version=VERSION),))
        if environment is None:
            raise AssertionError(f"{command.verb} needs a repository")
        if command.verb in ("backup", "restore") and not self._may_go_on(stop):
            return self._failed(command, environment, 130, stop=stop)
        return self._known(command, environment, on_message)

    def _may_go_on(self, stop: StopToken) -> bool:
        while self.hold is not None and not self.hold.wait(0.01):
            if stop.cancelled:
                return False
        return not stop.cancelled

    def _known(
        self, command: Command, environment: ResticEnvironment, on_message: Callable[[Message], None]
    ) -> Finished:
        if command.verb == "init":
            return self._init(command, environment)
        repository = self.repositories.get(environment.repository)
        if repository is None:
            return self._failed(
                command, environment, 10, "Fatal: repository does not exist: unable to open config file"
            )
        if repository.password != environment.password.reveal():
            return self._failed(command, environment, 12, "Fatal: wrong password or no key found")
        match command.verb:
            case "cat config":
                return self._done(command, environment, document={"version": 2, "id": repository.id})
            case "snapshots":
                return self._snapshots(command, environment, repository)
            case "forget":
                gone = set(command.arguments[1:])
                repository.snapshots[:] = [fake for fake in repository.snapshots if fake.snapshot.id not in gone]
                return self._done(command, environment)
            case "prune":
                return replace(self._done(command, environment), stdout=PRUNED)
            case "check":
                return self._done(command, environment, message=Summary())
            case "list locks" | "cat lock":
                return self._done(command, environment)
            case "backup":
                return self._backup(command, environment, repository, on_message)
            case _:
                return self._restore(command, environment, repository, on_message)

    def _init(self, command: Command, environment: ResticEnvironment) -> Finished:
        with self._lock:
            if environment.repository in self.repositories:
                text = "Fatal: create key in repository failed: repository master key and config already initialized"
                return self._failed(command, environment, 1, text)
            made = FakeRepository(id=self._new_id(), password=environment.password.reveal())
            self.repositories[environment.repository] = made
        return self._done(command, environment, message=Initialized(id=made.id))

    def _snapshots(self, command: Command, environment: ResticEnvironment, repository: FakeRepository) -> Finished:
        wanted = set(_values(command, "--tag")[0].split(",")) if _values(command, "--tag") else set()
        begins = tuple(argument for argument in command.arguments if re.fullmatch("[0-9a-f]{8,}", argument))
        found = [fake.snapshot for fake in repository.snapshots if wanted <= set(fake.snapshot.tags or ())]
        found = [one for one in found if not begins or one.id.startswith(begins)]
        return self._done(command, environment, document=found)

    def _backup(
        self,
        command: Command,
        environment: ResticEnvironment,
        repository: FakeRepository,
        on_message: Callable[[Message], None],
    ) -> Finished:
        for parent in _values(command, "--parent"):
            if not _find(repository, parent):
                return self._failed(command, environment, 1, f'no matching ID found for prefix "{parent}"')
        files = _read(command)
        if not files:
            return self._failed(command, environment, 1, "Fatal: unable to save snapshot: snapshot is empty")
        count = sum(content is not None for content in files.values())
        size = sum(len(content or b"") for content in files.values())
        parents = [_find(repository, parent) for parent in _values(command, "--parent")]
        if "--skip-if-unchanged" in command.arguments and any(one and one.files == files for one in parents):
            unchanged = Summary(total_files_processed=count, total_bytes_processed=size)
            return self._done(command, environment, message=unchanged)
        number = next(self._numbers)
        made = Snapshot(id=self._new_id(), time=f"2026-01-01T00:{number:08}Z", tags=tuple(_values(command, "--tag")))
        repository.snapshots.append(FakeSnapshot(snapshot=made, files=files))
        on_message(Status(total_files=count, files_done=count, total_bytes=size, bytes_done=size))
        summary = Summary(
            snapshot_id=made.id, total_files_processed=count, total_bytes_processed=size, data_added_packed=size
        )
        return self._done(command, environment, message=summary)

    def _restore(
        self,
        command: Command,
        environment: ResticEnvironment,
        repository: FakeRepository,
        on_message: Callable[[Message], None],
    ) -> Finished:
        found = _find(repository, command.arguments[-1])
        if found is None:
            text = f'Fatal: failed to find snapshot: no matching ID found for prefix "{command.arguments[-1]}"'
            return self._failed(command, environment, 1, text)
        target = Path(command.directory or ".")
        for name, content in sorted(found.files.items()):
            if name != EMPTY_MARKER:
                _write(target / name, content)
        written = {name: content for name, content in found.files.items() if name != EMPTY_MARKER}
        size, count = sum(len(content or b"") for content in written.values()), len(written)
        on_message(Status(total_files=count, files_restored=count, total_bytes=size, bytes_restored=size))
        summary = Summary(total_files=count, files_restored=count, total_bytes=size, bytes_restored=size)
        return self._done(command, environment, message=summary)

    def _done(
        self,
        command: Command,
        environment: ResticEnvironment,
        *,
        message: Message | None = None,
        document: object = None,
    ) -> Finished:
        return Finished(
            verb=command.verb,
            repository=environment.repository,
            exit_code=0,
            messages=(message,) if message else (),
            stdout=msgspec.json.encode(document) if document is not None else b"",
        )

    def _failed(
        self,
        command: Command,
        environment: ResticEnvironment,
        exit_code: int,
        text: str = "",
        *,
        stop: StopToken | None = None,
    ) -> Finished:
        return Finished(
            verb=command.verb,
            repository=environment.repository,
            exit_code=exit_code,
            messages=(ExitError(code=exit_code, message=text),) if text else (),
            ended=Ended.STOPPED if stop else Ended.ITSELF,
            stop_reason=stop.reason if stop else "",
        )

    def _new_id(self) -> str:
        return hashlib.sha256(f"{id(self)}-{next(self._numbers)}".encode()).hexdigest()


def _values(command: Command, flag: str) -> list[str]:
    pairs = itertools.pairwise(command.arguments)
    return [value for name, value in pairs if name == flag]


def _find(repository: FakeRepository, identity: str) -> FakeSnapshot | None:
    return next((fake for fake in repository.snapshots if fake.snapshot.id.startswith(identity)), None)


def _read(command: Command) -> dict[str, bytes | None]:
    if command.stdin:
        return {EMPTY_MARKER: command.stdin}
    root = Path(command.directory or ".")
    excluded = {value.removeprefix(f"{root}/") for value in _values(command, "--exclude")}
    found: dict[str, bytes | None] = {}
    for directory, directories, files in os.walk(root):
        below = Path(directory).relative_to(root)
        directories[:] = [name for name in directories if str(below / name) not in excluded]
        found |= {str(below / name): None for name in directories}
        found |= {str(below / name): (root / below / name).read_bytes() for name in files if name not in excluded}
    return found


def _write(path: Path, content: bytes | None) -> None:
    if content is None:
        path.mkdir(parents=True, exist_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
