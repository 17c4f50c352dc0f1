"""An agent's own dead locks: those of children that it reaped, and of whatever ran in its container before it.

The agent is the one that knows: a child of its own has ended when it was reaped, and all that had its host's name
before it began has ended with the container. It holds this only where the host's name is its pod's own.
"""

from __future__ import annotations

import datetime
import threading
from collections.abc import Callable

from pkg.apis.volumes import ResticRepository
from pkg.controllers.holder_records import Identity
from pkg.controllers.kept_runner import EndedChild
from pkg.restic.locks import LockContent

SETTLE = datetime.timedelta(seconds=20)  # what a child sent last may arrive after its end
_MOST_CHILDREN = 1000
_SLACK = datetime.timedelta(seconds=1)


class OwnLocks:
    """What is known of an agent's dead processes.

    Args:
        identity: The agent.
        running: Numbers of the children that run now.
    """

    def __init__(self, identity: Identity, running: Callable[[], set[int]]) -> None:
        self.identity = identity
        self._running = running
        self._lock = threading.Lock()
        self._children: list[EndedChild] = []
        self._swept: set[str] = set()
        self._inherited: set[str] = set()

    def taking(self, repository: ResticRepository) -> None:
        """Notes what an earlier process of this pod left, before its record is overwritten by ours."""
        with self._lock:
            if self._inherits(repository):
                self._inherited.add(repository.metadata.uid)

    def ended(self, child: EndedChild) -> None:
        """Remembers a child that may have left its lock."""
        with self._lock:
            self._children = [*self._children[-_MOST_CHILDREN:], child]

    def is_due(self, repository: ResticRepository) -> bool:
        """Whether there may be a dead lock of ours: a child's, or one from before our start."""
        with self._lock:
            of_child = any(child.repository == repository.spec.restic_identifier for child in self._children)
            if of_child or repository.metadata.uid in self._swept:
                return of_child
            return repository.metadata.uid in self._inherited or self._inherits(repository)

    def swept(self, repository: ResticRepository, began: datetime.datetime) -> bool:
        """Notes that all locks were looked at; returns whether it must be done once more."""
        address = repository.spec.restic_identifier
        with self._lock:
            self._swept.add(repository.metadata.uid)
            self._children = [
                child for child in self._children if child.repository != address or began < child.ended + SETTLE
            ]
            return any(child.repository == address for child in self._children)

    def why_dead(self, lock: LockContent, address: str) -> str:
        """Why the process behind a lock has ended; empty where that is not certain.

        To be asked after the lock was read: a child that runs then may have begun since, one that does not has ended.
        """
        identity = self.identity
        if lock.hostname != identity.host or not identity.holder().is_unique or lock.pid in self._running():
            return ""
        if lock.time < identity.started_at:
            return "it is from before the agent's start, and so is its process"
        with self._lock:
            children = [child for child in self._children if child.repository == address and child.pid == lock.pid]
        if any(child.began - _SLACK <= lock.time <= child.ended + _SLACK for child in children):
            return f"process {lock.pid} was a child of the agent and has ended"
        return ""

    def _inherits(self, repository: ResticRepository) -> bool:
        earlier = (repository.status.holders or {}).get(self.identity.pod_uid)
        return earlier is not None and (earlier.started_at is None or earlier.started_at < self.identity.started_at)
