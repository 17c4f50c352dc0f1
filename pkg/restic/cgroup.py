"""The memory of the container that this process runs in, read from its control group, version 1 or 2.

What counts is what the kernel could not give back. A backup of many files fills any limit with caches that are dropped
before anything is killed: their contents, and their names and inodes. So all of them are taken off what is in use. The
working set that a kubelet reports keeps half of the contents and all of the names: by it a container that only reads
files is full (test/controlplane/restic/test_memory.py shows both).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import structlog

log = structlog.get_logger()

_NO_LIMIT_FROM = 1 << 62  # version 1 writes the largest number of whole pages, version 2 the word "max"
_ESCAPE = re.compile(r"\\([0-7]{3})")
_MOUNT_ROOT_FIELD, _MOUNT_POINT_FIELD = 3, 4


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryState:
    """How a control group stands.

    Attributes:
        limit_bytes: None without a limit.
        usage_bytes: All that is charged to it, caches among it.
        cache_bytes: Contents, names and inodes of files, which the kernel drops before it kills.
        oom_kills: How many of its processes the kernel has killed for want of memory.
    """

    limit_bytes: int | None
    usage_bytes: int
    cache_bytes: int
    oom_kills: int

    @property
    def needed_bytes(self) -> int:
        """What cannot be dropped."""
        return max(0, self.usage_bytes - self.cache_bytes)

    @property
    def needed_share(self) -> float:
        """What cannot be dropped, as a part of the limit; 0 without one."""
        return self.needed_bytes / self.limit_bytes if self.limit_bytes else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryGroup:
    """A control group's directory.

    Attributes:
        version: 1 or 2.
    """

    directory: Path
    version: int

    def read(self) -> MemoryState | None:
        """How it stands; None where it cannot be read."""
        try:
            return self._version_2() if self.version == 2 else self._version_1()
        except (OSError, ValueError, KeyError) as error:
            log.debug("Memory cgroup not read", directory=str(self.directory), error=repr(error))
            return None

    def _version_2(self) -> MemoryState:
        stat, events = self._counters("memory.stat"), self._counters("memory.events")
        return MemoryState(
            limit_bytes=parse_limit(self._text("memory.max")),
            usage_bytes=int(self._text("memory.current")),
            cache_bytes=stat["inactive_file"] + stat["active_file"] + stat.get("slab_reclaimable", 0),
            oom_kills=events.get("oom_kill", 0),
        )

    def _version_1(self) -> MemoryState:
        stat, control = self._counters("memory.stat"), self._counters("memory.oom_control")
        return MemoryState(
            limit_bytes=parse_limit(self._text("memory.limit_in_bytes")),
            usage_bytes=int(self._text("memory.usage_in_bytes")),
            cache_bytes=stat["total_inactive_file"] + stat["total_active_file"] + self._kernel_bytes(),
            oom_kills=control.get("oom_kill", 0),
        )

    def _kernel_bytes(self) -> int:
        """What version 1 counts for the kernel, mostly names and inodes; the rest is small and told nowhere."""
        try:
            return int(self._text("memory.kmem.usage_in_bytes"))
        except OSError:
            return 0

    def _text(self, name: str) -> str:
        return (self.directory / name).read_text().strip()

    def _counters(self, name: str) -> dict[str, int]:
        pairs = (line.split() for line in self._text(name).splitlines())
        return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2}


def parse_limit(text: str) -> int | None:
    """The limit in bytes; None for none.

    Raises:
        ValueError: It is no number.
    """
    if text == "max":
        return None
    limit = int(text)
    return None if limit < 0 or limit >= _NO_LIMIT_FROM else limit


def own_memory_group(proc_self: Path = Path("/proc/self")) -> MemoryGroup | None:
    """The group of this process; None where there is none to be seen."""
    try:
        return find_memory_group((proc_self / "cgroup").read_text(), (proc_self / "mountinfo").read_text())
    except OSError:
        return None


def find_memory_group(cgroup_text: str, mountinfo_text: str) -> MemoryGroup | None:
    """The group that a process is in, as it sees it.

    Args:
        cgroup_text: /proc/self/cgroup. Where both versions are mounted, the controller is in the one that names it.
        mountinfo_text: /proc/self/mountinfo. In a container only its own part of the tree may be mounted.
    """
    entries = [line.split(":", 2) for line in cgroup_text.splitlines() if line.count(":") >= 2]
    named = next((path for _, controllers, path in entries if "memory" in controllers.split(",")), None)
    if named is not None:
        return _mounted(named, mountinfo_text, "cgroup", 1)
    unified = next((path for number, _, path in entries if number == "0"), None)
    return None if unified is None else _mounted(unified, mountinfo_text, "cgroup2", 2)


def _mounted(path: str, mountinfo_text: str, kind: str, version: int) -> MemoryGroup | None:
    for line in mountinfo_text.splitlines():
        before, _, after = line.partition(" - ")
        fields, system = before.split(" "), after.split(" ")
        if system[0] != kind or len(fields) <= _MOUNT_POINT_FIELD:
            continue
        if version == 1 and "memory" not in system[-1].split(","):
            continue
        root, point = PurePosixPath(_unescaped(fields[_MOUNT_ROOT_FIELD])), Path(_unescaped(fields[_MOUNT_POINT_FIELD]))
        below = PurePosixPath(path)
        inside = below.relative_to(root) if below.is_relative_to(root) else PurePosixPath()
        return MemoryGroup(directory=point / inside, version=version)
    return None


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda found: chr(int(found[1], 8)), text)
