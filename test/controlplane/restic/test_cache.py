"""The real restic and a cache that goes, fills up, or cannot be written."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pkg.apis.volumes import VolumeProgress
from pkg.kube.clock import REAL_CLOCK
from pkg.kube.stop import StopToken
from pkg.restic.bounded import BoundedRunner
from pkg.restic.cache import Cache
from pkg.restic.command import Command
from pkg.restic.environment import ResticEnvironment
from pkg.restic.finished import Finished
from pkg.restic.memory import MemoryWatch
from pkg.restic.messages import Message
from pkg.restic.repository import open_repository
from pkg.restic.runner import Runner
from pkg.restic.transfer import BackupRequest, BackupSummary, backup_volume

MIB = 1 << 20
WAIT_SECONDS = 60.0


@pytest.fixture
def environment(restic: Runner, real: ResticEnvironment) -> ResticEnvironment:
    repository_id = open_repository(restic, real, StopToken())
    return dataclasses.replace(real, repository_id=repository_id)


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache", limit_bytes=1)


@pytest.fixture
def many(volume: Path) -> Path:
    """A volume whose directories and files are worth some megabytes of cache, and some seconds."""
    for number in range(100):
        directory = volume / f"directory-{number}"
        directory.mkdir()
        for name in range(10):
            (directory / f"{name:0200}").write_text(str(number))
    with (volume / "big").open("wb") as file:
        file.truncate(256 * MIB)
    return volume


class Counted:
    """A restic whose ends are kept."""

    def __init__(self, restic: Runner) -> None:
        self.restic = restic
        self.ends: list[Finished] = []

    def run(
        self,
        command: Command,
        environment: ResticEnvironment | None,
        stop: StopToken,
        on_message: Callable[[Message], None] = lambda message: None,
    ) -> Finished:
        self.ends.append(self.restic.run(command, environment, stop, on_message))
        return self.ends[-1]


def bounded(restic: Runner, cache: Cache, inner: Counted | None = None) -> BoundedRunner:
    memory = MemoryWatch(restic, read=lambda: None, clock=REAL_CLOCK)
    return BoundedRunner(inner or restic, cache=cache, memory=memory, parts=lambda: 1)


def test_cleaning_beside_a_backup_leaves_it_alone_and_empties_the_cache_afterwards(
    restic: Runner, environment: ResticEnvironment, cache: Cache, many: Path
) -> None:
    """The limit is one byte, so everything that nobody uses goes at once."""
    runs, cleaned, done = threading.Event(), threading.Event(), list[BackupSummary]()
    part = cache.directory / environment.repository_id

    def waits_for_the_cleaning(progress: VolumeProgress) -> None:
        runs.set()
        cleaned.wait(WAIT_SECONDS)

    def back_up() -> None:
        request = BackupRequest(directory=str(many), tags={})
        done.append(backup_volume(bounded(restic, cache), request, environment, StopToken(), waits_for_the_cleaning))

    thread = threading.Thread(target=back_up)
    thread.start()
    assert runs.wait(WAIT_SECONDS)
    cache.clean()
    assert part.is_dir()
    cleaned.set()
    thread.join(WAIT_SECONDS)
    cache.clean()
    assert not part.exists()
    again = backup_volume(bounded(restic, cache), BackupRequest(directory=str(many), tags={}), environment, StopToken())
    assert [again.files] == [summary.files for summary in done]


def test_files_that_go_under_a_running_restic_are_read_from_the_store(
    restic: Runner, environment: ResticEnvironment, cache: Cache, many: Path
) -> None:
    """Everything that it has in its cache goes again and again, while it reads old trees and writes new ones."""
    trimmed = Cache(cache.directory, limit_bytes=1, settled_seconds=0)
    request = BackupRequest(directory=str(many), tags={})
    first = backup_volume(
        restic, request, dataclasses.replace(environment, cache_dir=str(cache.directory)), StopToken()
    )
    for directory in many.glob("directory-*"):
        (directory / "another").write_text(directory.name)
    over = threading.Event()

    def trim() -> None:
        while not over.wait(0.001):
            trimmed.clean()

    thread = threading.Thread(target=trim)
    with trimmed.used(environment.repository_id):
        thread.start()
        second = backup_volume(
            restic, request, dataclasses.replace(environment, cache_dir=str(cache.directory)), StopToken()
        )
        over.set()
        thread.join(WAIT_SECONDS)
        trimmed.clean()  # what was written after its last round
    assert second.files == first.files + 100
    part = cache.directory / environment.repository_id
    assert not [path for path in (part / "data").rglob("*") if path.is_file()]


def test_a_cache_that_cannot_be_written_costs_no_backup(
    restic: Runner, environment: ResticEnvironment, volume: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    unusable = Cache(tmp_path / "file" / "cache", limit_bytes=MIB)
    request = BackupRequest(directory=str(volume), tags={})
    assert backup_volume(bounded(restic, unusable), request, environment, StopToken()).files == 2


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of 70 MiB."""
    if os.geteuid() != 0:
        pytest.skip("not run: a file system cannot be mounted")
    mounted = tmp_path / "small"
    mounted.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=70m", "ark-test", str(mounted)], check=True)
    yield mounted
    subprocess.run(["umount", str(mounted)], check=True)


def test_a_cache_that_runs_full_in_the_middle_costs_no_backup(
    restic: Runner, environment: ResticEnvironment, many: Path, small: Path
) -> None:
    """It begins with room in the cache, finds none when it writes its index, and fails for that."""
    os.truncate(many / "big", 1024 * MIB)  # so that it reads for longer than the filling takes
    counted = Counted(restic)
    cache = Cache(small / "cache", limit_bytes=1024 * MIB)
    filled = threading.Event()

    def fill(progress: VolumeProgress) -> None:
        if not filled.is_set():
            filled.set()
            (small / "other").write_bytes(b"x" * (small_free(small) - 8192))

    request = BackupRequest(directory=str(many), tags={})
    summary = backup_volume(bounded(restic, cache, counted), request, environment, StopToken(), fill)
    assert summary.files == 1003
    assert [end.exit_code for end in counted.ends] == [1, 0]
    assert "no space left on device" in counted.ends[0].exit_message


def small_free(directory: Path) -> int:
    """The bytes that are free."""
    found = os.statvfs(directory)
    return found.f_bavail * found.f_frsize
