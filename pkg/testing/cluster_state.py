"""The record of clusters on this machine, so that what a crash left is found and cleaned.

A file per workdir below the cache directory says what the kernel will not remove by itself. It is locked as long as its
cluster's process lives, and the lock goes with that process however it ends: a record that can be locked is stale.
"""

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from pkg.testing.access import ClusterAccess
from pkg.testing.node_cgroups import remove_cgroups
from pkg.testing.processes import HarnessError

LOGS = "logs"
MARKER = ".ark-cluster"
KEEPER_LOG = "cluster.log"


def cache_directory() -> Path:
    """Return where clusters are recorded and the standing one lives."""
    if chosen := os.environ.get("ARK_CACHE_DIR"):
        return Path(chosen).resolve()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ark-backup"


def _records() -> Path:
    return cache_directory() / "clusters"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterState:
    """What others may know of a cluster."""

    workdir: str
    pid: int
    """The process that the whole cluster lives and dies with."""
    cgroups: tuple[str, ...] = ()
    network: str = ""
    """Path of the network namespace that everything listens in; empty while it is starting."""
    kubeconfig: str = ""
    server_url: str = ""
    ca_file: str = ""

    def access(self) -> ClusterAccess:
        """Return what another process does with this cluster, once it is ready."""
        if not self.network:
            raise HarnessError(f"the cluster in {self.workdir} is not ready yet")
        return ClusterAccess(
            kubeconfig=Path(self.kubeconfig),
            server_url=self.server_url,
            ca_file=Path(self.ca_file),
            cache=Path(self.kubeconfig).parent / "kubectl-cache",
            prefix=("nsenter", f"--net={self.network}"),
        )


def identity(workdir: Path) -> str:
    """Return a short name for a workdir that no other on this machine has."""
    return hashlib.sha256(str(workdir.resolve()).encode()).hexdigest()[:8]


class Claim:
    """The right to run the cluster of one workdir, held until `release` or the end of this process."""

    def __init__(self, file: int, path: Path) -> None:
        self._file = file
        self._path = path

    @classmethod
    def of(cls, workdir: Path) -> Self:
        """Claim a workdir after cleaning what earlier crashes left, there and elsewhere.

        Raises:
            HarnessError: when the cluster of this workdir runs, or the directory holds what is not a cluster's.
        """
        sweep()
        _mark(workdir)
        _records().mkdir(parents=True, exist_ok=True)
        path = _records() / f"{identity(workdir)}.json"
        file = _lock(path, create=True)
        if file is None:
            raise HarnessError(f"the cluster in {workdir} runs already ({path}); make cluster-down ends it")
        return cls(file, path)

    def write(self, state: ClusterState) -> None:
        """Record the state."""
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, json.dumps(asdict(state)).encode(), 0)

    def release(self) -> None:
        """Forget the cluster: nothing of it is left; may be called again."""
        if self._file >= 0:
            self._path.unlink(missing_ok=True)
            os.close(self._file)
            self._file = -1


def _mark(workdir: Path) -> None:
    """Make a directory a cluster's own: everything in it will be removed."""
    workdir.mkdir(parents=True, exist_ok=True)
    names = {path.name for path in workdir.iterdir()}
    if MARKER not in names and names - {KEEPER_LOG}:
        raise HarnessError(f"{workdir} is not empty and holds no cluster: choose another workdir")
    (workdir / MARKER).touch()


def _lock(path: Path, *, create: bool) -> int | None:
    """Return a locked descriptor, or None when somebody holds it or it is gone."""
    try:
        file = os.open(path, os.O_RDWR | (os.O_CREAT if create else 0), 0o600)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        return None
    if os.fstat(file).st_nlink:  # not removed between open and lock
        return file
    os.close(file)
    return _lock(path, create=create) if create else None


def running(workdir: Path) -> ClusterState | None:
    """Return the state of the cluster in a workdir, None when none runs there."""
    path = _records() / f"{identity(workdir)}.json"
    file = _lock(path, create=False)
    if file is not None:
        os.close(file)
        return None
    return _read(path)


def _read(path: Path) -> ClusterState | None:
    try:
        return ClusterState(**json.loads(path.read_text()))
    except (FileNotFoundError, ValueError):
        return None  # gone, or claimed a moment ago


def sweep() -> list[Path]:
    """Clean every cluster whose process died without doing so; returns their workdirs."""
    return list(_sweep())


def _sweep() -> Iterator[Path]:
    for path in sorted(_records().glob("*.json")):
        file = _lock(path, create=False)
        if file is None:
            continue
        if state := _read(path):
            for cgroup in state.cgroups:
                remove_cgroups(cgroup)
            purge(Path(state.workdir))
            yield Path(state.workdir)
        path.unlink(missing_ok=True)
        os.close(file)


def purge(workdir: Path) -> None:
    """Remove all that a cluster wrote but its logs."""
    if not (workdir / MARKER).exists():
        return
    for directory in (path for path in workdir.glob("*") if path.is_dir() and not path.is_symlink()):
        for entry in directory.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                if entry.name != LOGS:
                    shutil.rmtree(entry)
            elif entry.suffix != ".log":
                entry.unlink(missing_ok=True)
