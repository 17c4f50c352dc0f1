"""A control group of its own for each kubelet.

Two kubelets under one root take each other's pods for orphans and kill them, those of other clusters on the machine
included. The directories are the one thing of a node that the kernel does not remove by itself.
"""

import time
from pathlib import Path

from pkg.testing.processes import HarnessError

ROOT = Path("/sys/fs/cgroup")
REMOVE_SECONDS = 10
UNIFIED_CONTROLLERS = "+cpu +cpuset +memory +pids"


def make_cgroups(name: str) -> None:
    """Make a control group in every hierarchy of the machine."""
    if (ROOT / "cgroup.controllers").exists():
        _make_unified(name)
        return
    for hierarchy in _hierarchies():
        group = hierarchy / name
        group.mkdir(exist_ok=True)
        for file in ("cpuset.cpus", "cpuset.mems"):
            if (group / file).exists():  # empty at first, and then nothing can run in it
                (group / file).write_text((hierarchy / file).read_text())


def _make_unified(name: str) -> None:
    (ROOT / "cgroup.subtree_control").write_text(UNIFIED_CONTROLLERS)
    (ROOT / name).mkdir(exist_ok=True)
    (ROOT / name / "cgroup.subtree_control").write_text(UNIFIED_CONTROLLERS)


def _hierarchies() -> list[Path]:
    if (ROOT / "cgroup.controllers").exists():
        return [ROOT]
    return [path for path in sorted(ROOT.iterdir()) if not path.is_symlink() and (path / "cgroup.procs").exists()]


def cgroup_directories(name: str) -> list[Path]:
    """Return the directories of a control group that exist, one per hierarchy."""
    return [path for hierarchy in _hierarchies() if (path := hierarchy / name).is_dir()]


def remove_cgroups(name: str) -> None:
    """Remove a control group whose processes have ended, with all below it."""
    deadline = time.monotonic() + REMOVE_SECONDS
    for group in cgroup_directories(name):
        for path in sorted((path for path in group.rglob("*") if path.is_dir()), reverse=True):
            _remove(path, deadline)
        _remove(group, deadline)


def _remove(path: Path, deadline: float) -> None:
    while True:
        try:
            path.rmdir()
        except FileNotFoundError:
            return
        except OSError as error:  # EBUSY for a moment after the last process has ended
            if time.monotonic() > deadline:
                raise HarnessError(f"the control group {path} cannot be removed: {error}") from error
            time.sleep(0.05)
        else:
            return
