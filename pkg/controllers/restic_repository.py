"""ResticRepository: Ready means that restic answered with the pinned id, and nothing less.

A repository is made only where a Backup asked for it (`spec.initialize`, set only while no committed backup lists a
capture of that namespace), restic said that there is none (exit code 10), and none was ever pinned. An id that was
found is pinned and never replaced: a wiped, moved or foreign repository is NotReady with both ids shown.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import structlog

from pkg.apis.meta import JsonObject
from pkg.apis.reasons import Reason, RepositoryPhase
from pkg.apis.volumes import ResticRepository
from pkg.controllers.agent import VolumeFailure, read_password
from pkg.controllers.config import SettingsError
from pkg.controllers.fast_keys import FastKeys
from pkg.controllers.repository_password import ensure_password
from pkg.controllers.status import patch_status, timestamp
from pkg.controllers.stores import OpenStores, StoreFailure, Stores, store_reason
from pkg.informers.lister import Lister
from pkg.kube.client import Client
from pkg.kube.clock import Clock
from pkg.kube.errors import KubeError
from pkg.kube.refs import RESTIC_REPOSITORIES
from pkg.kube.stop import StopToken
from pkg.manager.operations import Crashed, Operations, Running, Succeeded
from pkg.manager.reconciler import Result, again_in, done
from pkg.objectstore.errors import StoreError
from pkg.restic.environment import restic_environment
from pkg.restic.errors import CancelledError, RepositoryMissingError, ResticError
from pkg.restic.password import Password
from pkg.restic.repository import init_repository, open_repository
from pkg.restic.runner import ResticRunner
from pkg.workqueue.key import Key

NOT_READY_RETRY_SECONDS = 60.0
LOOK_INTERVAL_SECONDS = 5.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryFinding:
    """What a look at the repository found; `repository_id` is empty where it is not usable.

    Attributes:
        interrupted: The look was stopped and found nothing.
    """

    repository_id: str = ""
    generation: int = 1
    fast_key_id: str = ""
    reason: str = ""
    message: str = ""
    interrupted: bool = False


class ResticRepositoryReconciler:
    """Opens and, where allowed, makes repositories."""

    def __init__(
        self,
        client: Client,
        namespace: str,
        lister: Lister[ResticRepository],
        *,
        stores: Stores,
        runner: ResticRunner,
        operations: Operations[RepositoryFinding],
        clock: Clock,
        scratch_dir: Path,
        fast_keys: FastKeys | None = None,
    ) -> None:
        self._client = client
        self._namespace = namespace
        self._lister = lister
        self._stores = stores
        self._runner = runner
        self._operations = operations
        self._clock = clock
        self._scratch_dir = scratch_dir
        self._fast_keys = fast_keys
        self._examined: dict[Key, tuple[str, int]] = {}  # the object and its spec that a key's operation looks at

    def reconcile(self, key: Key) -> Result:
        """Looks at a repository that is not Ready; records what was found."""
        repository = self._lister.get(key.namespace, key.name)
        if repository is None:
            self._operations.cancel(key, Reason.CANCELED)
            self._operations.forget(key)
            return done()
        match self._operations.observe(key):
            case Running():
                return done()
            case Succeeded() | Crashed() if self._examined.get(key) != _version(repository):
                return self._look_again(key)
            case Succeeded(result=RepositoryFinding(interrupted=True)):
                return self._look_again(key)
            case Succeeded(result=finding):
                return self._record(key, repository, finding)
            case Crashed(error=error):
                finding = RepositoryFinding(reason=Reason.INTERNAL.value, message=f"internal error: {error}")
                return self._record(key, repository, finding)
            case None:
                return self._look(key, repository)

    def _look(self, key: Key, repository: ResticRepository) -> Result:
        wants_key = self._fast_keys is not None and self._fast_keys.wanted(repository)
        if not needs_a_look(repository, self._clock.now().timestamp(), wants_key=wants_key):
            return done() if repository.status.phase == RepositoryPhase.READY else again_in(NOT_READY_RETRY_SECONDS)
        self._examined[key] = _version(repository)
        self._operations.start(key, lambda stop: self._examine(repository, stop))
        return done()

    def _look_again(self, key: Key) -> Result:
        """Drops a finding that is about an older spec, another object of that name, or nothing at all."""
        self._operations.forget(key)
        return again_in(0)

    def _record(self, key: Key, repository: ResticRepository, finding: RepositoryFinding) -> Result:
        change: JsonObject = {
            "phase": (RepositoryPhase.READY if finding.repository_id else RepositoryPhase.NOT_READY).value,
            "reason": finding.reason,
            "message": finding.message,
            "checkedAt": timestamp(self._clock.now()),
        }
        if finding.repository_id:
            change["repositoryID"] = finding.repository_id
            change["passwordGeneration"] = finding.generation
            if finding.fast_key_id:
                change["fastKeyID"] = finding.fast_key_id
            if not repository.status.cluster_id:
                change["clusterID"] = self._stores.cluster_id
        patch_status(self._client, RESTIC_REPOSITORIES, repository, change)
        self._operations.forget(key)
        if finding.repository_id:
            log.info("Repository ready", key=str(key), repository_id=finding.repository_id)
            return done()
        log.warning("Repository not ready", key=str(key), reason=finding.reason, message=finding.message)
        return again_in(NOT_READY_RETRY_SECONDS)

    def _examine(self, repository: ResticRepository, stop: StopToken) -> RepositoryFinding:
        try:
            stores = self._stores.checked()
            if repository.spec.initialize and not stores.restore_only:
                stores = self._stores.owned()
            return self._open_or_make(repository, stores, stop)
        except (VolumeFailure, StoreFailure, SettingsError) as error:
            return RepositoryFinding(reason=error.reason.value, message=error.message)
        except CancelledError:
            return RepositoryFinding(interrupted=True)
        except ResticError as error:
            return RepositoryFinding(reason=error.reason.value, message=str(error))
        except StoreError as error:
            return RepositoryFinding(reason=store_reason(error).value, message=str(error))
        except KubeError as error:
            return RepositoryFinding(reason=Reason.INTERNAL.value, message=str(error))

    def _open_or_make(self, repository: ResticRepository, stores: OpenStores, stop: StopToken) -> RepositoryFinding:
        generation = max(1, repository.status.password_generation)
        environment = restic_environment(
            repository=repository.spec.restic_identifier,
            password=self._password(stores, generation),
            location=stores.settings.location,
            credentials=stores.settings.credentials,
            cache_dir=str(self._scratch_dir / "restic-cache"),
            key_hint=repository.status.fast_key_id,
        )
        try:
            found = open_repository(self._runner, environment, stop)
        except RepositoryMissingError:
            refusal = refusal_to_make(repository, restore_only=stores.restore_only)
            if refusal is not None:
                return RepositoryFinding(reason=Reason.REPOSITORY_MISSING.value, message=refusal)
            found = init_repository(self._runner, environment, stop)
            log.info("Repository initialized", key=repository.metadata.key, repository_id=found)
        finding = compare_identity(repository, found, generation)
        if not finding.repository_id or self._fast_keys is None or not self._fast_keys.wanted(repository):
            return finding
        fast_key = self._fast_keys.ensure(repository, stores, environment, stop)
        return dataclasses.replace(finding, fast_key_id=fast_key)

    def _password(self, stores: OpenStores, generation: int) -> Password:
        if stores.restore_only:  # what is here was encrypted by somebody else, so a new password opens none of it
            return read_password(self._client, self._namespace, generation)
        return ensure_password(self._client, self._namespace, stores.restic, generation)


def _version(repository: ResticRepository) -> tuple[str, int]:
    return repository.metadata.uid, repository.metadata.generation


def needs_a_look(repository: ResticRepository, now: float, *, wants_key: bool = False) -> bool:
    """Whether restic must be asked: the phase is not Ready, and was not found so just now; or it lacks a key."""
    status = repository.status
    if status.phase == RepositoryPhase.READY and status.repository_id:
        return wants_key
    if status.checked_at is None:
        return True
    return now - status.checked_at.timestamp() >= LOOK_INTERVAL_SECONDS


def refusal_to_make(repository: ResticRepository, *, restore_only: bool = False) -> str | None:
    """Why a missing repository must not be made, or None where it may."""
    where, pinned = repository.spec.restic_identifier, repository.status.repository_id
    if pinned:
        return f"repository {pinned} was at {where} and is gone; bring it back, Ark never makes it anew by itself"
    if restore_only:
        return f"there is no repository at {where}, and an installation that only restores makes none"
    if not repository.spec.initialize:
        return f"there is no repository at {where}, and only the first backup of a namespace makes one"
    return None


def compare_identity(repository: ResticRepository, found: str, generation: int) -> RepositoryFinding:
    """Whether the id that restic told is the pinned one."""
    pinned = repository.status.repository_id
    if pinned and found != pinned:
        message = f"the repository at {repository.spec.restic_identifier} has the id {found}, pinned is {pinned}"
        return RepositoryFinding(reason=Reason.FOREIGN_REPOSITORY.value, message=message)
    return RepositoryFinding(repository_id=found, generation=generation)
