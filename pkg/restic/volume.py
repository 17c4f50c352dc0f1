"""Is a volume empty, as far as a backup of it goes?

restic makes no snapshot of nothing, and a volume with only `lost+found` in it is nothing. Asked of the directory, not
of restic's words; a volume that empties itself in between fails and is empty at the next attempt.
"""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Iterable

from pkg.restic.command import ALWAYS_EXCLUDED

CACHE_TAG = "CACHEDIR.TAG"


def is_empty(directory: str, excludes: Iterable[str] = ()) -> bool:
    """Whether nothing at the top of the directory would be captured.

    Raises:
        OSError: When it cannot be read; that is not the same as empty.
    """
    excludes = tuple(excludes)
    if any(pattern.startswith("!") for pattern in excludes):
        excludes = ()  # what such a pattern takes back in is for restic to say
    patterns = [pattern.removeprefix("/").removesuffix("/") for pattern in (*ALWAYS_EXCLUDED, *excludes)]
    with os.scandir(directory) as entries:
        return all(_is_excluded(entry.name, patterns) for entry in entries)


def is_cache(directory: str) -> bool:
    """Whether the volume as a whole is marked as a cache, so that leaving caches out would leave all of it out."""
    return os.path.lexists(os.path.join(directory, CACHE_TAG))


def _is_excluded(name: str, patterns: Iterable[str]) -> bool:
    return any("/" not in pattern and fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
