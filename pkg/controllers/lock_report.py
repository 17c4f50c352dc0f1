"""What people are shown of a repository's locks, and which of them they may remove."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping

import msgspec

from pkg.apis.holders import LockHolder
from pkg.controllers.lock_plan import PodSighting, dead_before, judge
from pkg.restic.locks import UNREFRESHED, Lock, LockContent


class LockRow(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One lock.

    Attributes:
        refreshed_at: When its process refreshed it last, or took it; None where the lock cannot be read.
        age_seconds: How long ago that is.
        holder: Whose it is: a pod of Ark's, or nobody known.
        state: What is known of that process.
    """

    id: str
    kind: str = ""
    host: str = ""
    pid: int = 0
    user: str = ""
    refreshed_at: datetime.datetime | None = None
    age_seconds: int = 0
    holder: str = ""
    state: str = ""


class LockList(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The locks of a repository."""

    repository: str
    locks: tuple[LockRow, ...] = ()


def lock_rows(
    locks: Iterable[Lock],
    holders: Mapping[str, LockHolder],
    seen: Mapping[str, PodSighting],
    now: datetime.datetime,
) -> tuple[LockRow, ...]:
    """The rows, the one that was refreshed longest ago first; locks that were released meanwhile are left out."""
    rows = [_row(lock.id, lock.content, holders, seen, now) for lock in locks if lock.content is not None]
    return tuple(sorted(rows, key=lambda row: -row.age_seconds))


def why_kept(lock: Lock, now: datetime.datetime) -> str:
    """Why a lock is not removed without being forced; empty where it may be."""
    if lock.content is None:
        return "it cannot be read"
    age = now - lock.content.time
    if age >= UNREFRESHED:
        return ""
    return (
        f"it was refreshed {_minutes(age)} ago, and a process that lives refreshes its lock every 5 minutes; after 30 "
        "minutes without it may go"
    )


def _row(
    lock_id: str,
    content: LockContent,
    holders: Mapping[str, LockHolder],
    seen: Mapping[str, PodSighting],
    now: datetime.datetime,
) -> LockRow:
    verdict = judge(content, holders, {uid: dead_before(sighting, now) for uid, sighting in seen.items()})
    holder = holders.get(verdict.holder)
    return LockRow(
        id=lock_id,
        kind="exclusive" if content.exclusive else "shared",
        host=content.hostname,
        pid=content.pid,
        user=content.username,
        refreshed_at=content.time,
        age_seconds=max(0, int((now - content.time).total_seconds())),
        holder=f"pod {holder.pod} on node {holder.node or '?'}" if holder else "none of Ark's",
        state=_state(verdict.why_dead, seen.get(verdict.holder) if holder else None, foreign=holder is None),
    )


def _state(why_dead: str, sighting: PodSighting | None, *, foreign: bool) -> str:
    if why_dead:
        return "dead, Ark removes it"
    if foreign:
        return "unknown"
    if sighting is None or sighting.pod is None:
        return "its pod is gone, Ark removes it when that is certain"
    return "its pod is there"


def _minutes(age: datetime.timedelta) -> str:
    seconds = max(0, int(age.total_seconds()))
    return f"{seconds} s" if seconds < 120 else f"{seconds // 60} min"
