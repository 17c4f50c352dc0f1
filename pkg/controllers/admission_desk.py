"""Where all backups ask what they may create, so that they share limits and turns (design.md invariant 4).

Each backup runs in a thread of its own and sees only its own captures as wanted; here all that wait are known together.
What is admitted counts from that moment, also before any cache shows it, so two backups never take the same place. All
of it is in memory only: after a restart every backup asks again, and what runs is read from the API objects.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from pkg.apis.names import BACKUP_UID_LABEL
from pkg.apis.reasons import VolumePhase
from pkg.apis.volumes import PodVolumeBackup, PodVolumeRestore
from pkg.controllers.admission import Candidate, admit
from pkg.controllers.limits import ClusterLimits
from pkg.controllers.restoring import being_restored
from pkg.informers.lister import Lister
from pkg.kube.clock import Clock

TERMINAL = frozenset({VolumePhase.COMPLETED, VolumePhase.FAILED})
SILENT_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """What a backup may create now, and which of its repositories it may not for a restore's sake."""

    names: frozenset[str] = frozenset()
    restoring: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What a backup said last; what it was admitted is among the running."""

    waiting: tuple[Candidate, ...]
    running: tuple[Candidate, ...]
    at: float


class AdmissionDesk:
    """One for the whole server; safe to use from many threads.

    A backup that has not asked for a minute takes no turn: it is stopped, or cannot reach the API.
    """

    def __init__(
        self,
        captures: Lister[PodVolumeBackup],
        fillings: Lister[PodVolumeRestore],
        *,
        namespace: str,
        limits: Callable[[], ClusterLimits],
        is_closed: Callable[[str], bool],
        clock: Clock,
    ) -> None:
        self._captures = captures
        self._fillings = fillings
        self._namespace = namespace
        self._limits = limits
        self._is_closed = is_closed
        self._clock = clock
        self._lock = threading.Lock()
        self._backups: dict[str, _Asked] = {}

    @property
    def waiting(self) -> int:
        """How many captures of all backups wait to be admitted."""
        with self._lock:
            return sum(len(asked.waiting) for asked in self._backups.values())

    def ask(self, backup: str, waiting: Sequence[Candidate], running: Sequence[Candidate]) -> Admitted:
        """What that backup may create now; it has to be asked again until nothing waits.

        Args:
            backup: UID of the Backup; the candidates are all its own.
            waiting: Captures that are still to be created, on nodes that can take them.
            running: Captures that were created and have no result yet.
        """
        limits, now = self._limits(), self._clock.monotonic()
        seen = self._captures.list(self._namespace)
        restoring = being_restored(self._fillings.list(self._namespace), self._clock.now())
        with self._lock:
            self._forget_silent(now)
            self._backups[backup] = _Asked(waiting=tuple(waiting), running=tuple(running), at=now)
            everyones = [one for asked in self._backups.values() for one in asked.waiting]
            closed = restoring | {name for name in {one.repository for one in everyones} if self._is_closed(name)}
            found = admit(
                everyones,
                self._running(seen),
                per_repository=limits.per_repository,
                whole_cluster=limits.whole_cluster,
                closed=closed,
            )
            mine = tuple(one for one in found if one.backup == backup)
            names = frozenset(one.name for one in mine)
            left = tuple(one for one in waiting if one.name not in names)
            self._backups[backup] = _Asked(waiting=left, running=(*running, *mine), at=now)
        return Admitted(names=names, restoring=restoring & {one.repository for one in left})

    def leave(self, backup: str) -> None:
        """Forgets a backup that wants nothing more."""
        with self._lock:
            self._backups.pop(backup, None)

    def _running(self, seen: Iterable[PodVolumeBackup]) -> list[Candidate]:
        """What the cache shows as open, and what was admitted and the cache does not show yet."""
        shown = {obj.metadata.name: obj for obj in seen}
        found = {name: candidate_of(obj) for name, obj in shown.items() if obj.status.phase not in TERMINAL}
        for asked in self._backups.values():
            found |= {
                one.name: _as_shown(one, found) for one in asked.running if one.name in found or one.name not in shown
            }
        return list(found.values())

    def _forget_silent(self, now: float) -> None:
        self._backups = {uid: asked for uid, asked in self._backups.items() if now - asked.at <= SILENT_SECONDS}


def _as_shown(one: Candidate, shown: Mapping[str, Candidate]) -> Candidate:
    """What a backup says of its capture, and whether the cache shows that it has a slot."""
    return dataclasses.replace(one, has_slot=one.name in shown and shown[one.name].has_slot)


def candidate_of(obj: PodVolumeBackup) -> Candidate:
    """A capture as admission sees it; the volumes of a pod that is frozen belong together."""
    return Candidate(
        name=obj.metadata.name,
        repository=obj.spec.repository,
        backup=obj.metadata.label(BACKUP_UID_LABEL),
        node=obj.spec.node,
        has_slot=obj.status.phase == VolumePhase.IN_PROGRESS,
    )
