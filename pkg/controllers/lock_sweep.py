"""Removes the locks of a repository whose holders are dead, one by one, each judged by what was read in it.

Dying at any line is harmless: what was removed is gone, what was not is found again. A lock that is refreshed between
reading and deleting has another id by then, and stays. Since no lock is ever written twice, each is read once only: in
a repository of Ark 0.9 hundreds of foreign ones may lie, and nobody removes them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from pkg.kube.stop import StopToken
from pkg.objectstore.store import ObjectStore
from pkg.restic.environment import ResticEnvironment
from pkg.restic.locks import MANY, Lock, LockContent, lock_ids, read_lock, remove_lock
from pkg.restic.runner import ResticRunner

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """What a sweep did.

    Attributes:
        left: Locks that stay, with their content.
        complete: Whether all locks were looked at.
    """

    removed: tuple[Lock, ...] = ()
    left: tuple[Lock, ...] = ()
    complete: bool = True

    def holds(self, host: str) -> bool:
        """Whether a lock of this host may be left."""
        return not self.complete or any(lock.content and lock.content.hostname == host for lock in self.left)


@dataclass(frozen=True, slots=True, kw_only=True)
class LockSweep:
    """One repository's locks.

    Attributes:
        directory: The repository's place in the store.
        environment: Says how restic reads a lock; asked only where there is one.
        why_dead: Why the process behind a lock is dead; empty while it may be alive. Asked after the lock was read.
        known: What earlier sweeps of this place read, by id; locks that are gone are dropped from it.
    """

    store: ObjectStore
    directory: str
    runner: ResticRunner
    environment: Callable[[], ResticEnvironment]
    why_dead: Callable[[LockContent], str]
    known: dict[str, LockContent] = field(default_factory=dict)

    def run(self, stop: StopToken) -> Swept:
        """Removes the dead ones.

        Raises:
            StoreError: the store refuses or does not answer.
            ResticError: a lock cannot be read.
        """
        ids = lock_ids(self.store, self.directory)
        for gone in self.known.keys() - set(ids):
            del self.known[gone]
        if not ids:
            return Swept()
        environment, removed, left = self.environment(), list[Lock](), list[Lock]()
        unread = [one for one in ids if one not in self.known]
        for lock_id in [*self.known, *unread[:MANY]]:
            lock = self._read(lock_id, environment, stop)
            if lock.content is None:
                continue
            why = self.why_dead(lock.content)
            if not why:
                left.append(lock)
                continue
            remove_lock(self.store, self.directory, lock_id)
            removed.append(lock)
            log.info("Dead lock removed", repository=environment.repository, lock=lock_id, why=why, **_told(lock))
        return Swept(removed=tuple(removed), left=tuple(left), complete=len(unread) <= MANY)

    def _read(self, lock_id: str, environment: ResticEnvironment, stop: StopToken) -> Lock:
        if lock_id in self.known:
            return Lock(id=lock_id, content=self.known[lock_id])
        lock = read_lock(self.runner, environment, lock_id, stop)
        if lock.content is not None:
            self.known[lock_id] = lock.content
        return lock


def _told(lock: Lock) -> dict[str, object]:
    content = lock.content
    return {"host": content.hostname, "pid": content.pid, "refreshed": content.time.isoformat()} if content else {}
