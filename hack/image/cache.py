"""Where images and what goes into them are kept between runs, and who may write there.

Everything lies below the cache directory, outside the tree and outside the machine's own image store: an archive per
image and content key (`archives/<name>-<key>.tar`), buildah's storage, and downloaded wheels. A file whose name holds
its key is complete and right by existing; it is written beside its place and renamed.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from hack.toolchain_build import cache_directory

KEPT_ARCHIVES = 3  # per image; one is some hundred megabytes


def image_directory() -> Path:
    """Return the directory of everything about images."""
    return cache_directory() / "images"


def key_of(parts: Iterable[bytes | str]) -> str:
    """Return a digest that changes when any of the parts does."""
    digest = hashlib.sha256()
    for part in parts:
        content = part.encode() if isinstance(part, str) else part
        digest.update(b"%d\0" % len(content) + content)
    return digest.hexdigest()[:16]


def archive_of(name: str, key: str) -> Path:
    """Return where the archive of an image lies, whether or not it exists yet."""
    return image_directory() / "archives" / f"{name}-{key}.tar"


@contextlib.contextmanager
def written(target: Path) -> Iterator[Path]:
    """Give a path to write to that becomes `target` when the block succeeds."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    partial.unlink(missing_ok=True)
    try:
        yield partial
        partial.rename(target)
    finally:
        partial.unlink(missing_ok=True)


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Wait until no other run builds images."""
    image_directory().mkdir(parents=True, exist_ok=True)
    with (image_directory() / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def forget_killed_runs() -> None:
    """Remove half-written files and contexts; whoever holds the lock is alone here."""
    for partial in (image_directory() / "archives").glob(".*"):
        partial.unlink()
    for context in image_directory().glob("context-*"):
        shutil.rmtree(context)


def forget_old_archives(name: str) -> None:
    """Remove all but the newest archives of an image."""
    archives = (image_directory() / "archives").glob(f"{name}-" + "?" * 16 + ".tar")
    for old in sorted(archives, key=lambda path: path.stat().st_mtime, reverse=True)[KEPT_ARCHIVES:]:
        old.unlink(missing_ok=True)
