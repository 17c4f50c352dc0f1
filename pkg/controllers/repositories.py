"""Makes sure that a namespace has a ResticRepository object, and waits for it to be Ready.

The object is made by the first Backup of a namespace (which may initialise the repository) or by the first Restore
(which may not). A NotReady repository is looked at again before the answer counts, so nobody fails on an old state.
"""

from __future__ import annotations

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
        self, volume_namespace: str, location: StorageLocation, *, initialize: bool, stop: StopToken
    ) -> ResticRepository:
        """The repository of a namespace, Ready; blocks up to five minutes.

        Raises:
            VolumeFailure: it is not Ready, with its own reason, or the wait was stopped.
        """
        name = repository_name(volume_namespace)
        asked_at = self.clock.now().replace(microsecond=0)
        self._make(name, volume_namespace, location, initialize=initialize)
        self.controller.enqueue(Key(self.namespace, name))
        deadline = self.clock.monotonic() + READY_WAIT_SECONDS
        while True:
            version = self.changes.version
            repository = self.lister.get(self.namespace, name)
            if repository is not None and repository.status.phase == RepositoryPhase.READY:
                return repository
            if repository is not None and repository.status.phase == RepositoryPhase.NOT_READY:
                checked = repository.status.checked_at
                if checked is not None and checked >= asked_at and not (initialize and not repository.spec.initialize):
                    raise not_ready(repository)
            left = deadline - self.clock.monotonic()
            if stop.cancelled or left <= 0:
                raise VolumeFailure(
                    Reason.REPOSITORY_NOT_READY,
                    f"repository {name} was not Ready within {READY_WAIT_SECONDS / 60:.0f} minutes",
                )
            self.changes.wait(stop, version, min(left, 5.0))

    def _make(self, name: str, volume_namespace: str, location: StorageLocation, *, initialize: bool) -> None:
        existing = self.lister.get(self.namespace, name)
        if existing is None:
            try:
                body = repository_object(name, self.namespace, volume_namespace, location, initialize=initialize)
                self.client.create(RESTIC_REPOSITORIES, self.namespace, body, ResticRepository)
            except AlreadyExistsError:
                existing = self.client.get(RESTIC_REPOSITORIES, self.namespace, name, ResticRepository)
        if existing is not None and initialize and not existing.spec.initialize:
            patch: JsonObject = {"metadata": {"uid": existing.metadata.uid}, "spec": {"initialize": True}}
            self.client.patch(RESTIC_REPOSITORIES, self.namespace, name, patch, ResticRepository)


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
