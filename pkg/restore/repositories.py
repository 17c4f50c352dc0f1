"""The repositories that a restore reads: their objects are made where they are missing, never the repositories.

`spec.initialize` stays false, so that a repository that is not there is an error and not an empty new one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from pkg.apis.meta import JsonObject
from pkg.apis.reasons import RepositoryPhase
from pkg.apis.volumes import ResticRepository
from pkg.kube.clock import Clock
from pkg.kube.errors import AlreadyExistsError, ApiStatusError, NotFoundError
from pkg.kube.refs import RESTIC_REPOSITORIES
from pkg.restore.job import RestoreApi

NOT_READY_SECONDS = 30.0
POLL_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """One that is Ready."""

    name: str
    identifier: str
    repository_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryFailure:
    """Why one cannot be used."""

    message: str


@dataclass(slots=True)
class _Waiting:
    since: float
    asked: float


class Repositories:
    """Asks for repositories without blocking."""

    def __init__(
        self,
        api: RestoreApi,
        *,
        ark_namespace: str,
        identifier: Callable[[str], str],
        timeout_seconds: float,
        clock: Clock,
    ) -> None:
        self._api = api
        self._ark_namespace = ark_namespace
        self._identifier = identifier
        self._timeout = timeout_seconds
        self._clock = clock
        self._answers: dict[str, Repository | RepositoryFailure] = {}
        self._waiting: dict[str, _Waiting] = {}

    def poll(self, namespace: str) -> Repository | RepositoryFailure | None:
        """The repository of a namespace's volumes; None while it is not known yet."""
        if namespace in self._answers:
            return self._answers[namespace]
        now = self._clock.monotonic()
        waiting = self._waiting.setdefault(namespace, _Waiting(since=now, asked=now - POLL_SECONDS))
        if now - waiting.asked < POLL_SECONDS:
            return None
        waiting.asked = now
        try:
            answer = self._answer(namespace, self._read(namespace), now - waiting.since)
        except ApiStatusError as error:
            answer = RepositoryFailure(message=f"the ResticRepository {namespace} cannot be read: {error}")
        if answer is not None:
            self._answers[namespace] = answer
        return answer

    def _answer(
        self, namespace: str, found: ResticRepository, waited_seconds: float
    ) -> Repository | RepositoryFailure | None:
        if found.status.phase == RepositoryPhase.READY:
            identifier = found.spec.restic_identifier or self._identifier(namespace)
            return Repository(name=namespace, identifier=identifier, repository_id=found.status.repository_id)
        # NotReady may be an old answer that the controller is about to correct.
        if found.status.phase == RepositoryPhase.NOT_READY and waited_seconds >= NOT_READY_SECONDS:
            return RepositoryFailure(message=f"the repository of {namespace} is not ready: {found.status.message}")
        if waited_seconds >= self._timeout:
            return RepositoryFailure(message=f"the repository of {namespace} was not opened in {self._timeout:.0f} s")
        return None

    def _read(self, namespace: str) -> ResticRepository:
        try:
            raw = self._api.get_raw(RESTIC_REPOSITORIES, self._ark_namespace, namespace)
        except NotFoundError:
            raw = self._create(namespace)
        return msgspec.convert(raw, ResticRepository)

    def _create(self, namespace: str) -> JsonObject:
        obj: JsonObject = {
            "apiVersion": RESTIC_REPOSITORIES.api_version,
            "kind": RESTIC_REPOSITORIES.kind,
            "metadata": {"name": namespace, "namespace": self._ark_namespace},
            "spec": {"volumeNamespace": namespace, "resticIdentifier": self._identifier(namespace)},
        }
        try:
            return self._api.create_raw(RESTIC_REPOSITORIES, self._ark_namespace, obj)
        except AlreadyExistsError:
            return self._api.get_raw(RESTIC_REPOSITORIES, self._ark_namespace, namespace)
