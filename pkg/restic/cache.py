"""restic's cache, kept below a size by us: restic itself only forgets what was not used for a month.

The cache lies in the scratch volume, whose sizeLimit evicts the whole agent when it is reached. What goes is the part
of a repository that was used longest ago, never one that a running restic uses: restic does not make a directory
again that vanished under it, and its backup fails. So who starts restic says which repository it is for, and a part
that goes is first renamed, at once and out of restic's sight; who wants it in that moment waits for the rename only.
Killed between the rename and the end of the deletion, the next start deletes what is left. Where running restics alone
hold half as much again as the limit, single files go (cache_trim.py).

A restic whose cache directory cannot be written fails at once, and one whose cache runs full fails in the middle
(both measured, 0.19.1). So an unusable directory means `--no-cache`: slower, but a backup.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import structlog

from pkg.kube.stop import StopToken
from pkg.restic.cache_trim import trim

GIB = 1 << 30
DEFAULT_LIMIT_BYTES = 4 * GIB
LEAST_FREE_BYTES = 64 << 20
LOOK_SECONDS = 10.0
SETTLED_SECONDS = 60.0
_TRIM_FROM = 1.5
_RENAME_SECONDS = 10.0
_IS_REPOSITORY = re.compile(r"[0-9a-f]{64}")
_LEFTOVER = ".removed-"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedRepository:
    """What the cache holds of a repository; `used_at` is when a restic opened or left it last."""

    repository_id: str
    size_bytes: int
    used_at: float


def too_much(found: Iterable[CachedRepository], limit_bytes: int) -> list[str]:
    """Whose parts go, so that the rest is within the limit: those that were used longest ago, in that order."""
    oldest_first = sorted(found, key=lambda one: (one.used_at, one.repository_id))
    excess = sum(one.size_bytes for one in oldest_first) - limit_bytes
    going: list[str] = []
    for one in oldest_first:
        if excess <= 0:
            break
        going.append(one.repository_id)
        excess -= one.size_bytes
    return going


class Cache:
    """The directory of restic's cache, and who uses which part of it.

    Args:
        directory: Made when it is first needed.
        limit_bytes: What it may hold while nobody uses it; 0 for no cache at all.
        settled_seconds: How old a file is that may go while its repository is used.
        kept_seconds: For so long after its last use a part counts as used, for restics that are not started here.
    """

    def __init__(
        self,
        directory: Path,
        *,
        limit_bytes: int,
        settled_seconds: float = SETTLED_SECONDS,
        kept_seconds: float = 0.0,
    ) -> None:
        self.directory = directory
        self.limit_bytes = limit_bytes
        self.size_bytes = 0
        self._settled_seconds = settled_seconds
        self._kept_seconds = kept_seconds
        self._changed = threading.Condition()
        self._users: Counter[str] = Counter()
        self._going: set[str] = set()
        self._due = True
        self._said = ""

    @contextlib.contextmanager
    def used(self, repository_id: str) -> Iterator[bool]:
        """Keeps a repository's part as it is while restic runs; False where restic had better use none.

        A restic that works on a repository of unknown id cannot be told from others, so it uses none either.
        """
        if not repository_id or not self.is_usable() or not self._enter(repository_id):
            yield False
            return
        try:
            yield True
        finally:
            self._leave(repository_id)

    def is_usable(self) -> bool:
        """Whether restic could write to it now."""
        trouble = self._trouble()
        if trouble != self._said:
            self._said = trouble
            if trouble:
                log.warning("Restic runs without a cache", directory=str(self.directory), why=trouble)
        return not trouble

    def clean(self) -> None:
        """Removes what is too much and not in use, and what an earlier removal left; measures the rest."""
        self._remove_leftovers()
        found = self._measure()
        with self._changed:
            idle = [one for one in found if not self._is_used(one)]
            in_use_bytes = sum(one.size_bytes for one in found) - sum(one.size_bytes for one in idle)
            going = too_much(idle, self.limit_bytes - in_use_bytes)
            self._going.update(going)
        sizes = {one.repository_id: one.size_bytes for one in found}
        for repository_id in going:
            if self._remove(repository_id):
                log.info("Cache of a repository removed", repository_id=repository_id, bytes=sizes.pop(repository_id))
        self.size_bytes = sum(sizes.values()) - self._trim(sizes)

    def run(self, stop: StopToken) -> None:
        """Cleans at once, after each use, and now and then while restic runs, until stopped."""
        unregister = stop.on_cancel(self._wake)
        while not stop.cancelled:
            self.clean()
            self._await_use(stop)
        unregister()

    def _is_used(self, one: CachedRepository) -> bool:
        recently = bool(self._kept_seconds) and time.time() - one.used_at < self._kept_seconds
        return recently or bool(self._users[one.repository_id])

    def _enter(self, repository_id: str) -> bool:
        with self._changed:
            free = self._changed.wait_for(lambda: repository_id not in self._going, _RENAME_SECONDS)
            if free:
                self._users[repository_id] += 1
            return free

    def _leave(self, repository_id: str) -> None:
        with contextlib.suppress(OSError):
            os.utime(self.directory / repository_id)
        with self._changed:
            self._users[repository_id] -= 1
            self._users += Counter()  # drops the zeros
            self._due = True
            self._changed.notify_all()

    def _await_use(self, stop: StopToken) -> None:
        with self._changed:
            busy = bool(self._users)
            self._changed.wait_for(lambda: self._due or stop.cancelled, LOOK_SECONDS if busy else None)
            self._due = False

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _remove(self, repository_id: str) -> bool:
        aside = self.directory / f"{_LEFTOVER}{repository_id}"
        try:
            (self.directory / repository_id).rename(aside)
        except OSError as error:
            log.warning("Cache of a repository not removed", repository_id=repository_id, error=str(error))
            return False
        finally:
            with self._changed:
                self._going.discard(repository_id)
                self._changed.notify_all()
        shutil.rmtree(aside, ignore_errors=True)
        return True

    def _trim(self, sizes: Mapping[str, int]) -> int:
        total = sum(sizes.values())
        if total <= self.limit_bytes * _TRIM_FROM:
            return 0
        parts = [self.directory / repository_id for repository_id in sizes]
        gone = trim(parts, total - self.limit_bytes, before=time.time() - self._settled_seconds)
        if gone:
            log.info("Files removed from caches in use", bytes=gone, in_use_bytes=total)
        return gone

    def _remove_leftovers(self) -> None:
        for entry in _entries(self.directory):
            if entry.name.startswith(_LEFTOVER):
                shutil.rmtree(entry.path, ignore_errors=True)

    def _measure(self) -> list[CachedRepository]:
        return [
            CachedRepository(
                repository_id=entry.name,
                size_bytes=tree_bytes(Path(entry.path)),
                used_at=entry.stat(follow_symlinks=False).st_mtime,
            )
            for entry in _entries(self.directory)
            if _IS_REPOSITORY.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False)
        ]

    def _trouble(self) -> str:
        if not self.limit_bytes:
            return "its size is set to 0"
        if self.size_bytes > self.limit_bytes:
            return f"{self.size_bytes} bytes of it are in use, more than its limit of {self.limit_bytes}"
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.directory):
                free = os.statvfs(self.directory)
        except OSError as error:
            return f"it cannot be written: {error.strerror}"
        free_bytes = free.f_bavail * free.f_frsize
        return "" if free_bytes >= LEAST_FREE_BYTES else f"only {free_bytes} bytes are free"


def tree_bytes(directory: Path) -> int:
    """The disk space of all below a directory; what vanishes meanwhile does not count."""
    total = 0
    for entry in _entries(directory):
        try:
            if entry.is_dir(follow_symlinks=False):
                total += tree_bytes(Path(entry.path))
            else:
                total += entry.stat(follow_symlinks=False).st_blocks * 512
        except OSError:
            continue
    return total


def _entries(directory: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(directory) as found:
            return list(found)
    except OSError:
        return []
