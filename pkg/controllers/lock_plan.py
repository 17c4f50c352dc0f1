"""Whose a lock is, and whether that process is provably dead; decided from what was seen, and from nothing else.

Invariant: a live lock is never called dead. A lock is ours only where its host is the recorded name of a pod of ours,
which no other process can have. Every pod that has had that name must be dead to the lock:

- its containers run since later than the lock's last refresh, or all have ended, by its kubelet's own word;
- its object is gone, and for minutes, from a node that is Ready: that kubelet has ended what ran in it;
- its object is gone and nobody can ask its node: then the lock must be unrefreshed for 25 minutes. A restic that
  could not refresh for 22.5 minutes makes sure that its lock is still there before it writes anything more, and gives
  up where it is not (0.19.1, `RefreshStaleLock`).
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass

from pkg.apis.holders import HolderPod, LockHolder, RunStatus
from pkg.restic.locks import Lock, LockContent

GONE_SECONDS = 180.0  # more than the pods' grace period of 120 s
SELF_CHECKED = datetime.timedelta(minutes=25)
FOR_GOOD = datetime.datetime.max.replace(tzinfo=datetime.UTC)
_ENDED = ("Succeeded", "Failed")


@dataclass(frozen=True, slots=True, kw_only=True)
class PodSighting:
    """How the pod of a holder was found, by asking the API server and no cache.

    Attributes:
        pod: None where there is none with that UID.
        gone_seconds: For how long it has been known to be gone.
        node_ready: Whether its node is there and Ready.
    """

    pod: HolderPod | None = None
    gone_seconds: float = 0.0
    node_ready: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What is known of a lock.

    Attributes:
        holder: UID of the pod of ours that holds or held it; empty for a foreign one.
        why_dead: Why its process cannot be alive; empty while it may.
    """

    holder: str = ""
    why_dead: str = ""


def dead_before(sighting: PodSighting, now: datetime.datetime) -> datetime.datetime | None:
    """The moment such that whoever refreshed a lock last before it is dead; None where nothing is known."""
    if sighting.pod is None:
        settled = sighting.node_ready and sighting.gone_seconds >= GONE_SECONDS
        return FOR_GOOD if settled else now - SELF_CHECKED
    if has_ended(sighting.pod):
        return FOR_GOOD
    moments = [_began_after(one) for one in sighting.pod.status.container_statuses or ()]
    known = [moment for moment in moments if moment is not None]
    earliest = min(known, default=FOR_GOOD)
    return (
        earliest if len(known) == len(moments) and earliest <= now else None
    )  # a clock that was set back tells nothing


def has_ended(pod: HolderPod) -> bool:
    """Whether its kubelet says that all its containers have ended and none starts again."""
    statuses = pod.status.container_statuses or ()
    return pod.status.phase in _ENDED and bool(statuses) and all(one.state.terminated for one in statuses)


def judge(
    lock: LockContent, holders: Mapping[str, LockHolder], limits: Mapping[str, datetime.datetime | None]
) -> Verdict:
    """Whose a lock is, and why it is dead.

    Args:
        lock: What is in it.
        holders: All that are recorded for the repository, by the UID of their pods.
        limits: What `dead_before` said of them; one that is missing may be alive.
    """
    same = {uid: holder for uid, holder in holders.items() if holder.host == lock.hostname and holder.is_unique}
    if not lock.hostname or not same:
        return Verdict()
    owner = max(same, key=lambda uid: same[uid].started_at or datetime.datetime.min.replace(tzinfo=datetime.UTC))
    known = [limits.get(uid) for uid in same]
    if not all(limit is not None and lock.time < limit for limit in known):
        return Verdict(holder=owner)
    return Verdict(holder=owner, why_dead=f"every process that pod {same[owner].pod} had then has ended")


def describe(lock: Lock, holders: Mapping[str, LockHolder], now: datetime.datetime) -> str:
    """A lock in words, with whose it is."""
    if lock.content is None:
        return lock.described(now)
    holder = holders.get(judge(lock.content, holders, {}).holder)
    whose = f"Ark's pod {holder.pod} on node {holder.node or '?'}" if holder else "none of Ark's"
    return f"{lock.described(now)}, {whose}"


def _began_after(status: RunStatus) -> datetime.datetime | None:
    """Since when nothing of its earlier runs can be alive."""
    if status.state.running is not None:
        return status.state.running.started_at
    ended = status.state.terminated or status.last_state.terminated
    return ended.finished_at if ended is not None else None
