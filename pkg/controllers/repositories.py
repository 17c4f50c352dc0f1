"""Makes sure that a namespace has a ResticRepository object, and waits for it to be Ready.

The object is made by the first Backup of a namespace (which may initialise the repository) or by the first Restore
(which may not). A NotReady repository is looked at again before the answer counts, so nobody fails on an old state.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass

from pkg.apis.meta import JsonObject
from pkg.apis.names import API_VERSION, DEFAULT_LOCATION, VOLUME_NAMESPACE_LABEL
from pkg.apis.reasons import Reason, RepositoryPhase
from pkg.apis.volumes import ResticRepository
from pkg.controllers.agent import VolumeFailure
from pkg.controllers.change_signal import ChangeSignal
from pkg.informers.lister import Lister
from pkg.kube.client import Client
from pkg.kube.clock import Clock
from pkg.kube.errors import AlreadyExistsError
from pkg.kube.refs import RESTIC_REPOSITORIES
from pkg.kube.stop import StopToken
from pkg.manager.controller import Controller
from pkg.objectstore.location import StorageLocation
from pkg.volumes.naming import label_value
from pkg.workqueue.key import Key

READY_WAIT_SECONDS = 300.0
LOOK_AGAIN_SECONDS = 2.0
DEFAULT_MAINTENANCE = "168h0m0s"


def repository_name(namespace: str, location: str = DEFAULT_LOCATION) -> str:
    """Name of the object: the namespace for the default location, else `<namespace>-<location>`."""
    return namespace if location == DEFAULT_LOCATION else f"{namespace}-{location}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Repositories:
    """The repositories as the server's cache shows them, and the controller that opens them."""

    client: Client
    namespace: str
    lister: Lister[ResticRepository]
    controller: Controller
    changes: ChangeSignal
    clock: Clock

    def ensure(
        self,
        volume_namespace: str,
        location: StorageLocation,
        *,
        may_initialize: Callable[[], bool],
        stop: StopToken,
    ) -> ResticRepository:
        """The repository of a namespace, Ready; blocks up to five minutes.

        Args:
            volume_namespace: Whose volumes it holds.
            location: Where it lies.
            may_initialize: Asked only while it was never opened: whether the bucket knows of no capture in it.
            stop: Ends the wait.

        Raises:
            VolumeFailure: it is not Ready, with its own reason, or the wait was stopped.
        """
        name = repository_name(volume_namespace)
        asked_at = self.clock.now().replace(microsecond=0)
        written = in_place(self._make(name, volume_namespace, location, may_initialize), location)
        deadline = self.clock.monotonic() + READY_WAIT_SECONDS
        while True:
            version = self.changes.version
            repository = self.lister.get(self.namespace, name)
            if repository is not None and has_caught_up(repository, written):
                if repository.status.phase == RepositoryPhase.READY:
                    return repository
                told_before = repository.status.checked_at == written.status.checked_at
                if answered_since(repository, asked_at) and not told_before:
                    raise not_ready(repository)
                self.controller.enqueue(Key(self.namespace, name))
            left = deadline - self.clock.monotonic()
            if stop.cancelled or left <= 0:
                raise VolumeFailure(
                    Reason.REPOSITORY_NOT_READY,
                    f"repository {name} was not Ready within {READY_WAIT_SECONDS / 60:.0f} minutes",
                )
            self.changes.wait(stop, version, min(left, LOOK_AGAIN_SECONDS))

    def _make(
        self, name: str, volume_namespace: str, location: StorageLocation, may_initialize: Callable[[], bool]
    ) -> ResticRepository:
        existing = self.lister.get(self.namespace, name)
        if existing is None:
            body = repository_object(name, self.namespace, volume_namespace, location, initialize=may_initialize())
            try:
                return self.client.create(RESTIC_REPOSITORIES, self.namespace, body, ResticRepository)
            except AlreadyExistsError:
                existing = self.client.get(RESTIC_REPOSITORIES, self.namespace, name, ResticRepository)
        if not existing.spec.initialize and not was_opened(existing) and may_initialize():
            patch: JsonObject = {"metadata": {"uid": existing.metadata.uid}, "spec": {"initialize": True}}
            return self.client.patch(RESTIC_REPOSITORIES, self.namespace, name, patch, ResticRepository)
        return existing


def in_place(repository: ResticRepository, location: StorageLocation) -> ResticRepository:
    """The repository itself; refuses one that is not where the Config says, as after a change of bucket.

    The objects would lie in one place and the volumes in another, and the backup would be lost with either.
    """
    name, found = repository.metadata.name, repository.spec.restic_identifier
    if not location.is_at(found, repository.volume_namespace):
        expected = location.restic_identifier(repository.volume_namespace)
        raise VolumeFailure(
            Reason.REPOSITORY_NOT_READY,
            f"ResticRepository {name} is at {found}, but by the Config it belongs at {expected}; to go on there, with "
            f"a copy of the repository or a new one: kubectl -n {repository.metadata.namespace} delete "
            f"resticrepository {name}",
        )
    return repository


def was_opened(repository: ResticRepository) -> bool:
    """Whether restic found it once, so that it is not to be made where it is missing; 0.9 pinned no id."""
    return bool(repository.status.repository_id) or repository.status.last_maintenance_time is not None


def has_caught_up(seen: ResticRepository, written: ResticRepository) -> bool:
    """Whether the cache shows the spec that was written; generation moves with the spec only."""
    return seen.metadata.uid == written.metadata.uid and seen.metadata.generation >= written.metadata.generation


def answered_since(repository: ResticRepository, moment: datetime.datetime) -> bool:
    """Whether the repository was looked at, and found not usable, at or after a moment."""
    checked = repository.status.checked_at
    return repository.status.phase == RepositoryPhase.NOT_READY and checked is not None and checked >= moment


def not_ready(repository: ResticRepository) -> VolumeFailure:
    """The failure of everything that needs this repository."""
    status = repository.status
    reason = Reason(status.reason) if status.reason in set(Reason) else Reason.REPOSITORY_NOT_READY
    return VolumeFailure(reason, f"repository {repository.metadata.name} is NotReady: {status.message}")


def repository_object(
    name: str, namespace: str, volume_namespace: str, location: StorageLocation, *, initialize: bool
) -> JsonObject:
    """The ResticRepository to create."""
    return {
        "apiVersion": API_VERSION,
        "kind": "ResticRepository",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {VOLUME_NAMESPACE_LABEL: label_value(volume_namespace)},
        },
        "spec": {
            "maintenanceFrequency": DEFAULT_MAINTENANCE,
            "resticIdentifier": location.restic_identifier(volume_namespace),
            "volumeNamespace": volume_namespace,
            "location": DEFAULT_LOCATION,
            "initialize": initialize,
        },
    }
