"""Files out of the cache of a repository that a running restic uses, where waiting for its end would fill the volume.

restic does the same to its neighbours: each one removes files that the repository has no more, and takes it that
others do. It reads from the store what it does not find. So files may go, one by one, but no directory, for restic
does not make one again; and none that it is just writing.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

_BEING_WRITTEN = "tmp-"
_CONTENTS = "data"  # trees and their like, which are the most by far; the index is read once, at the start


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedFile:
    """A pack of trees that was read or written."""

    path: Path
    size_bytes: int
    written_at: float


def trim(parts: Iterable[Path], excess_bytes: int, *, before: float) -> int:
    """Removes the oldest files of some repositories' parts, as much as is too much; returns how many bytes went.

    Args:
        parts: The directories of repositories.
        excess_bytes: What is too much.
        before: Only what was written before that moment goes.
    """
    settled = (file for part in parts for file in _files(part / _CONTENTS) if file.written_at < before)
    gone = 0
    for file in sorted(settled, key=lambda file: (file.written_at, file.path)):
        if gone >= excess_bytes:
            break
        try:
            file.path.unlink()
        except OSError:
            continue
        gone += file.size_bytes
    return gone


def _files(directory: Path) -> Iterator[CachedFile]:
    for below, _, names in os.walk(directory):
        for name in names:
            if name.startswith(_BEING_WRITTEN):
                continue
            path = Path(below, name)
            try:
                found = path.lstat()
            except OSError:
                continue
            yield CachedFile(path=path, size_bytes=found.st_blocks * 512, written_at=found.st_mtime)
