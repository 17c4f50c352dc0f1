"""Image stores that are filled once and then linked into each new node.

Importing images writes most of a gigabyte and takes longer than the rest of a cluster's start. So containerd fills a
store in the cache once per set of archives, and a node gets it as hard links: content and layers are never written
to after their import (a container writes to a layer of its own), only containerd's databases are, and those are copied.
A store for a changed set begins as its predecessor, so that a change of our own source imports one small layer.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from pkg.testing.cluster_state import cache_directory
from pkg.testing.containers import Containerd
from pkg.testing.netns import Machine
from pkg.testing.processes import HarnessError

KEPT_STORES = 3
IMPORTED = "imported.json"
SETUP = "mount --make-rshared /\nmount -t tmpfs -o mode=755 tmpfs /run\n"
STOP_SECONDS = 20


def fill_stores(targets: Sequence[Path], archives: Sequence[Path]) -> None:
    """Make each target a containerd directory that holds the images of the archives."""
    stores = cache_directory() / "images" / "stores"
    with _alone(stores):
        store = _prepared(stores, archives)
        os.utime(store)
        for target in targets:
            _link(store, target)
        for old in _newest_first(stores)[KEPT_STORES:]:
            shutil.rmtree(old)


@contextlib.contextmanager
def _alone(stores: Path) -> Iterator[None]:
    stores.mkdir(parents=True, exist_ok=True)
    with (stores / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _newest_first(stores: Path) -> list[Path]:
    complete = [path for path in stores.iterdir() if (path / IMPORTED).exists() and not path.name.startswith(".")]
    return sorted(complete, key=lambda path: path.stat().st_mtime, reverse=True)


def _prepared(stores: Path, archives: Sequence[Path]) -> Path:
    names = sorted(archive.name for archive in archives)
    existing = _newest_first(stores)
    for store in existing:
        if _imported(store).issuperset(names):
            return store
    partial = stores / ".partial"  # we are alone here, so another one is of a killed run
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    known: set[str] = set()
    if existing:
        _link(existing[0], partial)
        known = _imported(existing[0])
    _import(partial, [archive for archive in archives if archive.name not in known])
    (partial / IMPORTED).write_text(json.dumps(names))
    store = stores / hashlib.sha256(json.dumps(names).encode()).hexdigest()[:16]
    partial.rename(store)
    return store


def _imported(store: Path) -> set[str]:
    return set(json.loads((store / IMPORTED).read_text()))


def _import(directory: Path, archives: Sequence[Path]) -> None:
    machine = Machine("images", directory, SETUP)
    containerd = Containerd(machine, directory)
    try:
        machine.start()
        containerd.start()
        for archive in archives:
            containerd.load(archive)
        containerd.collect_garbage()
        containerd.end(STOP_SECONDS)
    finally:
        machine.stop()
        containerd.stop()


def _link(store: Path, target: Path) -> None:
    """Copy a store's containerd directory into the target by links, or by content on another file system."""
    target.mkdir(parents=True, exist_ok=True)
    source = store / "containerd"
    with contextlib.suppress(HarnessError):
        _copy(source, target, "--link")
        for database in source.glob("*/*.db"):
            copy = target / "containerd" / database.relative_to(source)
            copy.unlink()
            shutil.copy2(database, copy)
        return
    shutil.rmtree(target / "containerd", ignore_errors=True)
    _copy(source, target, "--reflink=auto")


def _copy(source: Path, target: Path, how: str) -> None:
    command = ["cp", "--archive", how, str(source), str(target)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise HarnessError(f"{' '.join(command)}: {done.stderr.strip()[-500:]}")
