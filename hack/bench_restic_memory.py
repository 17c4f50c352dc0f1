"""The memory of an agent and its children, looked at while they work."""

from __future__ import annotations

import threading
from pathlib import Path

from hack.bench_restic_stage import ResticStage
from hack.bench_stage import NODE
from pkg.apis.names import SLOTS_LABEL

LOOK_SECONDS = 0.05
VOLUME_MIB = 256


def peak_mib(stage: ResticStage, volumes: int) -> float:
    """The highest sum of what agent and children have in memory while they capture so many volumes at once."""
    stage.installation.access.kubectl("label", "node", NODE, f"{SLOTS_LABEL}={volumes}", "--overwrite")
    stage.application("beside", f"head -c {VOLUME_MIB}M /dev/urandom > blob", scratch_volumes=volumes)
    agent = stage.installation.agents[NODE].pid
    peak, ended = 0.0, threading.Event()

    def look() -> None:
        nonlocal peak
        while not ended.wait(LOOK_SECONDS):
            peak = max(peak, sum(map(resident_mib, family(agent))))

    looker = threading.Thread(target=look, name="bench-memory")
    looker.start()
    try:
        stage.back_up("beside")
    finally:
        ended.set()
        looker.join()
    return peak


def family(pid: int) -> list[int]:
    """A process and all its descendants."""
    parents = {int(path.name): parent_of(path) for path in Path("/proc").glob("[0-9]*")}
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found


def parent_of(directory: Path) -> int:
    """The parent of a process, 0 for one that is gone."""
    return int(_field(directory, "PPid"))


def resident_mib(pid: int) -> float:
    """VmRSS; 0 for a process that is gone."""
    return int(_field(Path(f"/proc/{pid}"), "VmRSS")) / 1024


def _field(directory: Path, name: str) -> str:
    try:
        lines = (directory / "status").read_text().splitlines()
    except OSError:
        return "0"
    return next((line.split()[1] for line in lines if line.startswith(f"{name}:")), "0")
