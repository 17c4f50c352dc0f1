"""Fewer volumes at once after the agent's container ran out of memory (operators.md 14).

The kernel's kill takes the agent along, so it learns of it from its own pod's status, some time after its next start.
Each kill halves the slots; how many there were is kept in the scratch volume, which lives as long as the pod: a pod
that was made anew, for a higher limit or an update, starts with all of them again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
import structlog

from pkg.apis.core import Pod
from pkg.controllers.interruptions import OUT_OF_MEMORY

FILE_NAME = "memory-kills.json"
_MOST_KILLS = 8  # by then there is one slot, however many there were

log = structlog.get_logger()


class MemoryKills(msgspec.Struct, frozen=True, kw_only=True):
    """How often the containers of a pod ran out of memory, and the end of the last one that did."""

    pod_uid: str = ""
    kills: int = 0
    last: str = ""


def counted(known: MemoryKills, pod: Pod) -> MemoryKills:
    """What is known, with the pod's last end where that is new and was for want of memory."""
    mine = known if known.pod_uid == pod.metadata.uid else MemoryKills(pod_uid=pod.metadata.uid)
    for status in pod.status.container_statuses or ():
        end = status.last_state.terminated
        moment = end.finished_at.isoformat() if end is not None and end.finished_at is not None else "unknown"
        if end is not None and end.reason == OUT_OF_MEMORY and moment != mine.last:
            mine = MemoryKills(pod_uid=mine.pod_uid, kills=min(_MOST_KILLS, mine.kills + 1), last=moment)
    return mine


def lowered(limit: int, kills: int) -> int:
    """So many slots are left of a limit; one at least, unless there were none."""
    return min(limit, max(1, limit >> kills))


class MemoryCeiling:
    """Looks back at this agent's own ends.

    Args:
        own_pod: As the cache holds it; None while it does not.
        directory: Lives as long as the pod.
        on_kill: Tells people.
    """

    def __init__(self, own_pod: Callable[[], Pod | None], directory: Path, on_kill: Callable[[Pod, int], None]) -> None:
        self._own_pod = own_pod
        self._file = directory / FILE_NAME
        self._on_kill = on_kill
        self._lock = threading.Lock()
        self._known = self._read()

    def __call__(self, limit: int) -> int:
        """So many of these slots may be used now."""
        pod = self._own_pod()
        with self._lock:
            before = self._known
            after = counted(before, pod) if pod is not None else before
            self._known = after
        if pod is not None and after != before and after.kills:  # one thread sees that
            self._write(after)
            log.warning("This agent's container ran out of memory, its slots are halved", kills=after.kills)
            self._on_kill(pod, after.kills)
        return lowered(limit, after.kills)

    def _read(self) -> MemoryKills:
        try:
            return msgspec.json.decode(self._file.read_bytes(), type=MemoryKills)
        except (OSError, msgspec.MsgspecError):
            return MemoryKills()

    def _write(self, kills: MemoryKills) -> None:
        part = self._file.with_suffix(".part")
        try:
            part.write_bytes(msgspec.json.encode(kills))
            part.replace(self._file)
        except OSError as error:
            log.warning("Out-of-memory kills not noted", file=str(self._file), error=str(error))
