"""The locks of a repository, read without taking one, and removed one by one.

A lock is a file that is never written twice: a process that refreshes its lock, every 5 minutes, writes a new file
under a new id and then deletes the old one. So deleting an id that was read can only ever hit the very state that was
read. restic's own `unlock` is not used: it judges by age or by the number of a process, which says nothing about
another container (a live backup was destroyed by it).
"""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass

import msgspec

from pkg.kube.stop import StopToken
from pkg.objectstore.store import ObjectStore
from pkg.restic import command
from pkg.restic.classify import error_from
from pkg.restic.environment import ResticEnvironment
from pkg.restic.errors import SnapshotMissingError
from pkg.restic.repository import unexpected_answer
from pkg.restic.runner import ResticRunner

MANY = 100
UNREFRESHED = datetime.timedelta(minutes=30)  # restic's own measure of a stale lock
_ID = re.compile(r"[0-9a-f]{64}")


class LockContent(msgspec.Struct, frozen=True, kw_only=True):
    """A lock as restic writes it; refreshed every 5 minutes by a new file with a new time."""

    time: datetime.datetime
    exclusive: bool = False
    hostname: str = ""
    username: str = ""
    pid: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """A lock and its id; `content` is None for one that is gone or cannot be read."""

    id: str
    content: LockContent | None = None

    def described(self, now: datetime.datetime) -> str:
        """Who holds it, for a message."""
        if self.content is None:
            return f"{self.id[:8]} (unreadable)"
        kind = "exclusive" if self.content.exclusive else "shared"
        age = max(0, int((now - self.content.time).total_seconds()))
        return f"{self.id[:8]}: {kind}, {self.content.hostname} pid {self.content.pid}, refreshed {age} s ago"


def list_locks(
    runner: ResticRunner, environment: ResticEnvironment, stop: StopToken, known: dict[str, LockContent] | None = None
) -> list[Lock]:
    """All locks of a repository with their content; a hundred are read at most.

    Args:
        runner: Starts restic.
        environment: Of which repository.
        stop: Ends it.
        known: What was read before, by id, which is not read again; what is read is added.

    Raises:
        ResticError: They cannot be read.
    """
    finished = runner.run(command.list_locks(options=environment.options), environment, stop)
    if finished.exit_code:
        raise error_from(finished)
    ids = sorted({line.strip() for line in finished.stdout.decode(errors="replace").splitlines() if line.strip()})
    contents = {} if known is None else known
    found = [Lock(id=one, content=contents[one]) for one in ids if one in contents]
    unread = [one for one in ids if one not in contents]
    read = [read_lock(runner, environment, one, stop) for one in unread[:MANY]]
    contents |= {lock.id: lock.content for lock in read if lock.content is not None}
    return sorted([*found, *read], key=lambda lock: lock.id)


def lock_ids(store: ObjectStore, directory: str) -> list[str]:
    """The ids of all locks, by one listing of the store.

    Args:
        store: Where the repository lies.
        directory: The repository's place in it.

    Raises:
        StoreError: They cannot be listed.
    """
    names = (info.key.rpartition("/")[2] for info in store.list(f"{directory}/locks"))
    return sorted(name for name in names if _ID.fullmatch(name))


def remove_lock(store: ObjectStore, directory: str, lock_id: str) -> None:
    """Deletes exactly this lock; one that is gone is as good as removed.

    Raises:
        StoreError: It may still be there.
        ValueError: That is no id of a lock.
    """
    if not _ID.fullmatch(lock_id):
        raise ValueError(f"{lock_id!r} is no id of a lock")
    store.delete([f"{directory}/locks/{lock_id}"])


def read_lock(runner: ResticRunner, environment: ResticEnvironment, lock_id: str, stop: StopToken) -> Lock:
    """One lock; without content when it was released meanwhile.

    Raises:
        ResticError: It cannot be read.
    """
    finished = runner.run(command.cat_lock(lock_id, options=environment.options), environment, stop)
    if finished.exit_code:
        error = error_from(finished)
        if isinstance(error, SnapshotMissingError) or "does not exist" in error.message or "no such" in error.message:
            return Lock(id=lock_id)  # released between the two calls
        raise error
    try:
        return Lock(id=lock_id, content=msgspec.json.decode(finished.stdout, type=LockContent))
    except msgspec.DecodeError as error:
        raise unexpected_answer(finished, "what is in a lock") from error
