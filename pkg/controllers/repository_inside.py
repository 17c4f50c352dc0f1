"""What operators do with a repository by way of the server's pod: see its locks, remove one, read in it.

A lock is removed by its id and no other way, after it was read again; who did it is not known here, that it was done
is an Event on the ResticRepository.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pkg.apis.ark import Config
from pkg.apis.core import Namespace
from pkg.apis.names import CONFIG_NAME
from pkg.apis.volumes import ResticRepository
from pkg.controllers.agent import VolumeFailure
from pkg.controllers.config import Settings, SettingsError, settings_from
from pkg.controllers.holder_pods import HolderPods
from pkg.controllers.lock_plan import describe
from pkg.controllers.lock_report import LockList, lock_rows, why_kept
from pkg.controllers.maintenance_memory import MIB, index_bytes, predicted_bytes
from pkg.controllers.repositories import in_place
from pkg.controllers.repository_access import RepositoryAccess
from pkg.kube.client import Client
from pkg.kube.clock import Clock
from pkg.kube.errors import KubeError, NotFoundError
from pkg.kube.refs import CONFIGS, NAMESPACES, RESTIC_REPOSITORIES
from pkg.kube.stop import StopToken
from pkg.manager.events import Event, EventRecorder
from pkg.objectstore.store import ObjectStore
from pkg.restic.environment import ResticEnvironment
from pkg.restic.locks import list_locks, lock_ids, read_lock, remove_lock
from pkg.restic.read_only import needs_index
from pkg.restic.runner import ResticRunner

SHORT_ID = 8


class InsideError(Exception):
    """It is refused, or cannot be done; one sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryInside:
    """The repositories, as the server reaches them."""

    client: Client
    namespace: str
    environ: Mapping[str, str] = field(repr=False)
    scratch_dir: Path
    runner: ResticRunner
    open_store: Callable[[Settings], ObjectStore]
    clock: Clock

    def locks(self, name: str, stop: StopToken) -> LockList:
        """The locks of a repository.

        Raises:
            InsideError, KubeError, ResticError: they cannot be read.
        """
        repository, settings = self._look(name)
        found = list_locks(self.runner, self._environment(repository, settings), stop)
        seen = HolderPods(client=self.client, clock=self.clock).see(repository)
        rows = lock_rows(found, repository.status.holders or {}, seen, self.clock.now())
        return LockList(repository=name, locks=rows)

    def unlock(self, name: str, lock_id: str, stop: StopToken, *, force_live: bool) -> str:
        """Removes one lock; returns what it was, in words.

        Raises:
            InsideError: it is refused.
            KubeError, ResticError, StoreError: it may still be there.
        """
        repository, settings = self._look(name)
        self._check_may_write(repository, settings)
        store, directory = self.open_store(settings), repository.volume_namespace
        full = _only_one(lock_id, lock_ids(store, directory))
        lock = read_lock(self.runner, self._environment(repository, settings), full, stop)
        text = describe(lock, repository.status.holders or {}, self.clock.now())
        kept = why_kept(lock, self.clock.now())
        if kept and not force_live:
            raise InsideError(f"lock {text}: not removed, because {kept}; --force-live removes it all the same")
        remove_lock(store, directory, full)
        unsaid = self._tell(repository, f"lock {full} was removed by hand: {text}", warning=bool(kept))
        return f"Removed lock {full}: {text}{unsaid}"

    def reading(self, name: str, words: Sequence[str], *, memory_limit: int | None) -> ResticEnvironment:
        """How a read-only call reaches a repository.

        Args:
            name: Of the ResticRepository.
            words: The call.
            memory_limit: Of this pod's container, in bytes.

        Raises:
            InsideError: there is no such repository, or the call would need more memory than the server can spare.
            KubeError, StoreError: that cannot be told.
        """
        repository, settings = self._look(name)
        if memory_limit and needs_index(words):
            needed = predicted_bytes(index_bytes(self.open_store(settings), repository.volume_namespace))
            if needed > memory_limit // 2:
                raise InsideError(
                    f"restic {words[0]} would need about {needed // MIB}Mi for this repository's index, and the server "
                    f"has {memory_limit // MIB}Mi: raise its limit to {2 * needed // MIB}Mi first"
                )
        return self._environment(repository, settings)

    def _look(self, name: str) -> tuple[ResticRepository, Settings]:
        try:
            repository = self.client.get(RESTIC_REPOSITORIES, self.namespace, name, ResticRepository)
        except NotFoundError as error:
            raise InsideError(f"there is no ResticRepository {name}") from error
        try:
            settings = settings_from(self._config(), self.environ, self.namespace)
            in_place(repository, settings.location)
        except (SettingsError, VolumeFailure) as error:
            raise InsideError(error.message) from error
        return repository, settings

    def _config(self) -> Config | None:
        try:
            return self.client.get(CONFIGS, self.namespace, CONFIG_NAME, Config)
        except NotFoundError:
            return None

    def _environment(self, repository: ResticRepository, settings: Settings) -> ResticEnvironment:
        access = RepositoryAccess(client=self.client, namespace=self.namespace, scratch_dir=self.scratch_dir)
        try:
            return access.environment(repository, settings)
        except VolumeFailure as error:
            raise InsideError(error.message) from error

    def _check_may_write(self, repository: ResticRepository, settings: Settings) -> None:
        if settings.restore_only:
            raise InsideError("the server is in restoreOnlyMode (Config), which writes nothing to the store")
        own = self.client.get(NAMESPACES, "", "kube-system", Namespace).metadata.uid
        if repository.status.cluster_id not in ("", own):
            raise InsideError(
                f"cluster {repository.status.cluster_id} made this repository: its locks are that one's to remove"
            )

    def _tell(self, repository: ResticRepository, message: str, *, warning: bool) -> str:
        """Leaves an Event; what is to be said where that failed, for the lock is gone all the same."""
        meta = repository.metadata
        event = Event(
            api_version=RESTIC_REPOSITORIES.api_version,
            kind=RESTIC_REPOSITORIES.kind,
            namespace=meta.namespace,
            name=meta.name,
            uid=meta.uid,
            type="Warning" if warning else "Normal",
            reason="LockRemoved",
            message=message,
        )
        try:
            EventRecorder(self.client, "ark-cli", self.clock).send(event)
        except KubeError as error:
            return f" (there is no Event of it: {error})"
        return ""


def _only_one(wanted: str, ids: Sequence[str]) -> str:
    """The full id that is meant.

    Raises:
        InsideError: none or several are.
    """
    if len(wanted) < SHORT_ID:
        raise InsideError(f"give at least {SHORT_ID} digits of the lock's id")
    found = [one for one in ids if one.startswith(wanted)]
    if len(found) == 1:
        return found[0]
    there = ", ".join(one[:SHORT_ID] for one in ids[:10]) or "none"
    raise InsideError(f"{'several locks begin' if found else 'no lock begins'} with {wanted}; there are: {there}")
