"""Locks of pods that are gone: looks at each holder's pod, sweeps the repository, and strikes the finished ones off.

The reconciler asks its cache only whether there is anything to do; what is proof comes from the API server and the
store themselves. Dying in between repeats a sweep that finds nothing; the record of a holder goes last, after a
listing that showed no lock of its host.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import structlog

from pkg.apis.holders import HolderPod
from pkg.apis.meta import Json
from pkg.apis.volumes import ResticRepository
from pkg.controllers.agent import VolumeFailure
from pkg.controllers.config import SettingsError
from pkg.controllers.holder_pods import HolderPods
from pkg.controllers.lock_plan import GONE_SECONDS, PodSighting, has_ended, judge
from pkg.controllers.lock_sweep import LockSweep
from pkg.controllers.repositories import in_place
from pkg.controllers.repository_access import RepositoryAccess
from pkg.controllers.status import patch_status
from pkg.controllers.stores import StoreFailure, Stores
from pkg.informers.lister import Lister
from pkg.kube.client import Client
from pkg.kube.errors import KubeError
from pkg.kube.refs import RESTIC_REPOSITORIES
from pkg.kube.stop import StopToken
from pkg.manager.operations import Crashed, Operations, Running, Succeeded
from pkg.manager.reconciler import Result, again_in, done
from pkg.objectstore.errors import StoreError
from pkg.restic.errors import ResticError
from pkg.restic.locks import LockContent
from pkg.restic.runner import ResticRunner
from pkg.workqueue.key import Key

LOOK_AGAIN_SECONDS = 60.0
AT_ONCE = 4  # a new version of the agents makes all of their holders dead within minutes
_TURN_SECONDS = 1.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class HolderFinding:
    """What became of a repository's dead holders.

    Attributes:
        finished: UIDs of pods that are gone for good and hold no lock any more.
    """

    finished: tuple[str, ...] = ()


@dataclass(slots=True, kw_only=True)
class HolderCleaner:
    """Removes the locks of dead holders of one repository after the other; blocks."""

    pods: HolderPods
    stores: Stores
    runner: ResticRunner
    access: RepositoryAccess
    _known: dict[str, dict[str, LockContent]] = field(default_factory=dict, init=False)

    def clean(self, repository: ResticRepository, stop: StopToken) -> HolderFinding:
        """Looks at every holder, and removes the locks of those that are dead.

        Raises:
            KubeError: a pod cannot be asked for.
            StoreFailure: the store is not ours to write to, or of no use.
            StoreError: it refuses.
            ResticError: a lock cannot be read.
            SettingsError: there are no settings.
            VolumeFailure: the repository is not where the settings say.
        """
        holders = repository.status.holders or {}
        seen = self.pods.see(repository)
        limits = self.pods.limits(seen)

        def why_dead(lock: LockContent) -> str:
            return judge(lock, holders, limits).why_dead

        stores = self.stores.owned()
        in_place(repository, stores.settings.location)
        sweep = LockSweep(
            store=stores.restic,
            directory=repository.volume_namespace,
            runner=self.runner,
            environment=lambda: self.access.environment(repository, stores.settings),
            why_dead=why_dead,
            known=self._known.setdefault(repository.metadata.uid, {}),
        )
        swept = sweep.run(stop)
        ended = [uid for uid, one in seen.items() if _is_final(one)]
        return HolderFinding(finished=tuple(uid for uid in ended if not swept.holds(holders[uid].host)))


class HolderReconciler:
    """Has a repository cleaned while one of its holders looks dead, some at once; for one worker."""

    def __init__(
        self,
        client: Client,
        repositories: Lister[ResticRepository],
        pods: Lister[HolderPod],
        *,
        cleaner: HolderCleaner,
        operations: Operations[HolderFinding | None],
    ) -> None:
        self._client = client
        self._repositories = repositories
        self._pods = pods
        self._cleaner = cleaner
        self._operations = operations
        self._cleaning: set[Key] = set()

    def reconcile(self, key: Key) -> Result:
        """Takes one step for the repository of that key."""
        repository = self._repositories.get(key.namespace, key.name)
        outcome = self._operations.observe(key)
        if isinstance(outcome, Running):
            return done()
        self._cleaning.discard(key)
        if repository is None or not self._looks_dead(repository):
            self._operations.forget(key)
            return done()
        match outcome:
            case None if len(self._cleaning) >= AT_ONCE:
                return again_in(_TURN_SECONDS)
            case None:
                self._cleaning.add(key)
                self._operations.start(key, lambda stop: self._clean(repository, stop))
                return done()
            case Succeeded(result=HolderFinding() as finding):
                self._take_off(repository, finding)
            case Crashed(error=error):
                log.error("Locks of dead holders not looked at", key=str(key), error=repr(error))
        self._operations.forget(key)
        return again_in(LOOK_AGAIN_SECONDS)

    def _looks_dead(self, repository: ResticRepository) -> bool:
        """Whether the cache misses a holder's pod, or shows that it has ended or waits to be started again."""
        for uid, holder in (repository.status.holders or {}).items():
            pod = self._pods.get(repository.metadata.namespace, holder.pod)
            if pod is None or pod.metadata.uid != uid or has_ended(pod) or _waits(pod):
                return True
        return False

    def _clean(self, repository: ResticRepository, stop: StopToken) -> HolderFinding | None:
        try:
            return self._cleaner.clean(repository, stop)
        except StoreFailure as error:  # an installation that only restores stays so for days
            log.debug("Locks of dead holders not looked at", key=repository.metadata.key, error=error.message)
            return None
        except (KubeError, StoreError, ResticError, SettingsError, VolumeFailure) as error:
            log.warning("Locks of dead holders not looked at", key=repository.metadata.key, error=str(error))
            return None

    def _take_off(self, repository: ResticRepository, finding: HolderFinding) -> None:
        known = repository.status.holders or {}
        gone: Mapping[str, Json] = {uid: None for uid in finding.finished if uid in known}
        if gone:
            patch_status(self._client, RESTIC_REPOSITORIES, repository, {"holders": dict(gone)})
            for uid in gone:
                self._cleaner.pods.forget(uid)
            log.info("Dead holders of locks taken off", key=repository.metadata.key, pods=len(gone))


def _is_final(sighting: PodSighting) -> bool:
    """Whether no lock of that pod's can appear any more."""
    return has_ended(sighting.pod) if sighting.pod is not None else sighting.gone_seconds >= GONE_SECONDS


def _waits(pod: HolderPod) -> bool:
    """Whether one of its containers ended and was not started again yet."""
    return any(
        one.state.running is None and (one.state.terminated or one.last_state.terminated)
        for one in pod.status.container_statuses or ()
    )


def repositories_of_pod(lister: Lister[ResticRepository], namespace: str) -> Callable[[HolderPod], list[Key]]:
    """Which repositories a pod's change wakes: those that know it as a holder."""

    def keys(pod: HolderPod) -> list[Key]:
        return [
            Key(one.metadata.namespace, one.metadata.name)
            for one in lister.list(namespace)
            if pod.metadata.uid in (one.status.holders or {})
        ]

    return keys
