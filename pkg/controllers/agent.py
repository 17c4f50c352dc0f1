"""What both reconcilers of an agent need: who it is, what it reads, and how restic is reached from it."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from pkg.apis.core import Pod, Secret
from pkg.apis.names import CREDENTIALS_SECRET, PASSWORD_KEY
from pkg.apis.reasons import Reason, RepositoryPhase
from pkg.apis.volumes import (
    PodVolumeBackup,
    PodVolumeBackupStatus,
    PodVolumeRestore,
    PodVolumeRestoreStatus,
    ResticRepository,
)
from pkg.controllers.config import ConfigReconciler, SettingsError
from pkg.controllers.interruptions import RunCounts, next_run
from pkg.controllers.lock_keeping import LockKeeping
from pkg.controllers.lock_notice import lock_notice
from pkg.controllers.solitude import Solitude
from pkg.informers.lister import Lister
from pkg.kube.backoff import retry_transient
from pkg.kube.client import Client
from pkg.kube.clock import Clock
from pkg.kube.errors import KubeError, NotFoundError
from pkg.kube.refs import PODS, RESTIC_REPOSITORIES, SECRETS
from pkg.kube.resources import ResourceRef
from pkg.kube.stop import StopToken
from pkg.restic.environment import ResticEnvironment, restic_environment
from pkg.restic.password import Password
from pkg.restic.runner import ResticRunner

LOCK_WAIT_SECONDS = 2 * 3600  # a maintenance Job that was taken back gives its lock back within minutes

VolumeStatus: TypeAlias = PodVolumeBackupStatus | PodVolumeRestoreStatus


class VolumeFailure(Exception):
    """A volume cannot be captured or filled, for a reason that status shows."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """One agent process.

    Attributes:
        holder: `<pod uid>/<start of this process>`.
        pod_name: This agent's own pod; empty where it runs in none.
        pods_dir: The kubelet's pods directory as this process sees it.
        config: Says how the object store is reached.
        locks: Names the locks that are waited for; None where nobody needs to know.
        keep_labels: Whether this restic can leave SELinux labels as they are.
        solitude: Who works on this node beside whom.
    """

    node: str
    namespace: str
    holder: str
    pods_dir: Path
    scratch_dir: Path
    client: Client
    clock: Clock
    runner: ResticRunner
    pods: Lister[Pod]
    repositories: Lister[ResticRepository]
    config: ConfigReconciler
    pod_name: str = ""
    locks: LockKeeping | None = None
    keep_labels: bool = True
    solitude: Solitude = field(default_factory=Solitude)

    def next_run(self, status: VolumeStatus) -> RunCounts:
        """How a run that begins now counts."""
        counts = RunCounts(attempts=status.attempts, interruptions=status.interruptions)
        own_pod = self.pods.get(self.namespace, self.pod_name)
        return next_run(counts, holder=status.holder, own_holder=self.holder, own_pod=own_pod)

    def runner_for(self, ref: ResourceRef, obj: PodVolumeBackup | PodVolumeRestore) -> ResticRunner:
        """Starts restic for a volume; while it waits for a lock the volume's status says whose."""
        if self.locks is None:
            return self.runner
        return self.locks.patient(self.runner, lock_notice(self.client, ref, obj))

    def environment(self, repository: ResticRepository, identifier: str, stop: StopToken) -> ResticEnvironment:
        """How restic reaches the repository that an object names.

        Raises:
            VolumeFailure: the repository moved, its password cannot be read, or there is no usable Config.
        """
        if repository.spec.restic_identifier != identifier:
            raise VolumeFailure(
                Reason.REPOSITORY_NOT_READY,
                f"repository {repository.metadata.name} is at {repository.spec.restic_identifier} now, "
                f"this object was made for {identifier}",
            )
        try:
            settings = self.config.settings()
            password = retry_transient(
                lambda: read_password(self.client, self.namespace, repository.status.password_generation),
                stop=stop,
                clock=self.clock,
            )
        except SettingsError as error:
            raise VolumeFailure(error.reason, error.message) from error
        except KubeError as error:
            raise VolumeFailure(Reason.INTERNAL, f"the repository password cannot be read: {error}") from error
        return restic_environment(
            repository=identifier,
            password=password,
            location=settings.location,
            credentials=settings.credentials,
            cache_dir=str(self.scratch_dir / "restic-cache"),
            key_hint=repository.status.fast_key_id,
            repository_id=repository.status.repository_id,
        )

    def ready_repository(self, name: str, stop: StopToken) -> ResticRepository:
        """The repository, Ready and with a pinned id.

        The server made the object only when it saw the repository Ready, so a cache that does not is behind, and the
        API itself is asked before anything fails.

        Raises:
            VolumeFailure: it is not Ready.
        """
        repository = self.repositories.get(self.namespace, name)
        if repository is None or not is_ready(repository):
            repository = self._live_repository(name, stop)
        if not is_ready(repository):
            raise VolumeFailure(
                Reason.REPOSITORY_NOT_READY,
                f"ResticRepository {name} is {repository.status.phase or 'New'}: {repository.status.message}",
            )
        return repository

    def pod(self, namespace: str, name: str, uid: str) -> Pod | None:
        """The pod, from the cache or, where that does not show it, from the API; None when there is none.

        Raises:
            KubeError: the API cannot tell.
        """
        cached = self.pods.get(namespace, name)
        if cached is not None and cached.metadata.uid == uid:
            return cached
        try:
            return self.client.get(PODS, namespace, name, Pod)
        except NotFoundError:
            return None

    def _live_repository(self, name: str, stop: StopToken) -> ResticRepository:
        try:
            return retry_transient(
                lambda: self.client.get(RESTIC_REPOSITORIES, self.namespace, name, ResticRepository),
                stop=stop,
                clock=self.clock,
            )
        except NotFoundError as error:
            raise VolumeFailure(Reason.REPOSITORY_NOT_READY, f"there is no ResticRepository {name}") from error
        except KubeError as error:
            raise VolumeFailure(Reason.INTERNAL, f"ResticRepository {name} cannot be read: {error}") from error


def is_ready(repository: ResticRepository) -> bool:
    """Whether the repository can be used."""
    return repository.status.phase == RepositoryPhase.READY and bool(repository.status.repository_id)


def password_key(generation: int) -> str:
    """The Secret's key of a password generation."""
    return PASSWORD_KEY if generation <= 1 else f"{PASSWORD_KEY}-{generation}"


def read_password(client: Client, namespace: str, generation: int) -> Password:
    """The repository password from its Secret; a trailing newline is tolerated.

    Raises:
        VolumeFailure: the Secret or its key is missing.
        KubeError: it cannot be read.
    """
    key = password_key(generation)
    try:
        secret = client.get(SECRETS, namespace, CREDENTIALS_SECRET, Secret)
    except NotFoundError as error:
        raise VolumeFailure(
            Reason.PASSWORD_MISSING, f"Secret {namespace}/{CREDENTIALS_SECRET} with the repository password is missing"
        ) from error
    encoded = (secret.data or {}).get(key, "")
    text = base64.b64decode(encoded).decode().rstrip("\r\n")
    if not text:
        raise VolumeFailure(
            Reason.PASSWORD_MISSING, f'Secret {namespace}/{CREDENTIALS_SECRET} has no data for key "{key}"'
        )
    return Password(text)
