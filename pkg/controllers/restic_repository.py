"""ResticRepository: Ready means that restic answered with the pinned id, and nothing less.

A repository is made only where a Backup asked for it (`spec.initialize`, set only while no committed backup lists a
capture of that namespace), restic said that there is none (exit code 10), and none was ever pinned. An id that was
found is pinned and never replaced: a wiped, moved or foreign repository is NotReady with both ids shown.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import structlog

from pkg.apis.meta import JsonObject
from pkg.apis.names import REPLACE_ANNOTATION
from pkg.apis.reasons import Reason, RepositoryPhase
from pkg.apis.volumes import ResticRepository
from pkg.controllers.agent import VolumeFailure
from pkg.controllers.config import SettingsError
from pkg.controllers.fast_keys import FastKeys
from pkg.controllers.repository_identity import RepositoryFinding, is_given_up, replaced
from pkg.controllers.repository_looks import (
    READY_INTERVAL_SECONDS,
    ends_ready,
    needs_a_look,
    seconds_to_next,
)
from pkg.controllers.repository_opening import RepositoryOpener
from pkg.controllers.status import patch_status, timestamp
from pkg.controllers.stores import StoreFailure, Stores, store_reason
from pkg.informers.lister import Lister
from pkg.kube.client import Client
from pkg.kube.clock import Clock
from pkg.kube.errors import KubeError
from pkg.kube.refs import RESTIC_REPOSITORIES
from pkg.kube.stop import StopToken
from pkg.manager.operations import Crashed, Operations, Running, Succeeded
from pkg.manager.reconciler import Result, again_in, done
from pkg.manager.slots import Slots
from pkg.objectstore.errors import StoreError
from pkg.restic.errors import CancelledError, ResticError
from pkg.restic.runner import ResticRunner
from pkg.workqueue.key import Key

NOT_READY_RETRY_SECONDS = 60.0
LOOKS_AT_ONCE = 4
SLOT_RETRY_SECONDS = 2.0
_Version: TypeAlias = tuple[str, int, str, str]

log = structlog.get_logger()


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
        doubted_at: Callable[[ResticRepository], datetime.datetime | None] = lambda repository: None,
        tell: Callable[[ResticRepository, Reason, str], None] = lambda repository, reason, message: None,
    ) -> None:
        self._client = client
        self._namespace = namespace
        self._lister = lister
        self._stores = stores
        self._opener = RepositoryOpener(
            client=client, namespace=namespace, runner=runner, scratch_dir=scratch_dir, fast_keys=fast_keys
        )
        self._operations = operations
        self._clock = clock
        self._fast_keys = fast_keys
        self._doubted_at = doubted_at
        self._tell = tell
        self._slots = Slots(LOOKS_AT_ONCE, clock=clock)
        self._examined: dict[Key, _Version] = {}  # the object, spec and wish that a key's operation looks at
        self._heard: dict[str, str] = {}  # by UID: the wish to replace it that was looked into last

    def reconcile(self, key: Key) -> Result:
        """Looks at a repository that is not Ready; records what was found."""
        repository = self._lister.get(key.namespace, key.name)
        if repository is None:
            self._operations.cancel(key, Reason.CANCELED)
            self._forget(key)
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
        now, ready = self._clock.now().timestamp(), repository.status.phase == RepositoryPhase.READY
        doubted = self._doubted_at(repository)
        heard = self._heard.get(repository.metadata.uid) == repository.metadata.annotation(REPLACE_ANNOTATION)
        wished = is_given_up(repository) and not heard
        if not wished and not needs_a_look(repository, now, wants_key=wants_key, doubted_at=doubted):
            return again_in(seconds_to_next(repository, now, doubted_at=doubted) if ready else NOT_READY_RETRY_SECONDS)
        if ready and not self._slots.try_take(str(key), ""):
            return again_in(SLOT_RETRY_SECONDS)
        self._heard[repository.metadata.uid] = repository.metadata.annotation(REPLACE_ANNOTATION)
        self._examined[key] = _version(repository)
        self._operations.start(key, lambda stop: self._examine(repository, stop))
        return done()

    def _look_again(self, key: Key) -> Result:
        """Drops a finding that is about an older spec or wish, another object of that name, or nothing at all."""
        self._forget(key)
        return again_in(0)

    def _forget(self, key: Key) -> None:
        self._operations.forget(key)
        self._slots.release(str(key))

    def _record(self, key: Key, repository: ResticRepository, finding: RepositoryFinding) -> Result:
        if not finding.repository_id and not ends_ready(repository, finding.reason):
            return self._keep_ready(key, repository, finding)
        change: JsonObject = {
            "phase": (RepositoryPhase.READY if finding.repository_id else RepositoryPhase.NOT_READY).value,
            "reason": finding.reason,
            "message": finding.message,
            "checkedAt": timestamp(self._clock.now()),
        }
        if finding.repository_id:
            repository = self._without_idle_wish(repository, finding)
            change |= self._pinned(repository, finding)
        patch_status(self._client, RESTIC_REPOSITORIES, repository, change)
        self._forget(key)
        if finding.repository_id:
            log.info("Repository ready", key=str(key), repository_id=finding.repository_id)
            return again_in(READY_INTERVAL_SECONDS)
        log.warning("Repository not ready", key=str(key), reason=finding.reason, message=finding.message)
        if repository.status.phase == RepositoryPhase.READY:
            self._tell(repository, Reason(finding.reason), finding.message)
        return again_in(NOT_READY_RETRY_SECONDS)

    def _keep_ready(self, key: Key, repository: ResticRepository, finding: RepositoryFinding) -> Result:
        """What was Ready stays so where a look could not tell otherwise; it is tried again in its turn."""
        patch_status(self._client, RESTIC_REPOSITORIES, repository, {"checkedAt": timestamp(self._clock.now())})
        self._forget(key)
        log.warning("Repository not looked at", key=str(key), reason=finding.reason, message=finding.message)
        return again_in(READY_INTERVAL_SECONDS)

    def _without_idle_wish(self, repository: ResticRepository, finding: RepositoryFinding) -> ResticRepository:
        """Takes a wish to replace back that found the pinned one there: it must not wait for the day it is not."""
        if finding.repository_id != repository.status.repository_id or not is_given_up(repository):
            return repository
        meta = repository.metadata
        change: JsonObject = {"resourceVersion": meta.resource_version, "annotations": {REPLACE_ANNOTATION: None}}
        log.warning("Repository is there and not given up", key=meta.key, repository_id=finding.repository_id)
        return self._client.patch(
            RESTIC_REPOSITORIES, meta.namespace, meta.name, {"metadata": change}, ResticRepository
        )

    def _pinned(self, repository: ResticRepository, finding: RepositoryFinding) -> JsonObject:
        change = replaced(repository, finding.repository_id, self._clock.now())
        if change:
            self._forget_fast_key(repository)
            log.warning(
                "Repository replaced",
                key=repository.metadata.key,
                old=repository.status.repository_id,
                new=finding.repository_id,
            )
            message = f"{finding.repository_id} took the place of {repository.status.repository_id}"
            self._tell(repository, Reason.REPOSITORY_REPLACED, message)
        if repository.status.password_generation not in (0, finding.generation):
            change["fastKeyID"] = ""  # it opened by the password of before
            self._forget_fast_key(repository)
        change |= {"repositoryID": finding.repository_id, "passwordGeneration": finding.generation}
        if finding.fast_key_id:
            change["fastKeyID"] = finding.fast_key_id
        if change.get("clusterID", repository.status.cluster_id) == "":
            change["clusterID"] = self._stores.cluster_id
        return change

    def _forget_fast_key(self, repository: ResticRepository) -> None:
        if self._fast_keys is not None:
            self._fast_keys.try_again(repository)

    def _examine(self, repository: ResticRepository, stop: StopToken) -> RepositoryFinding:
        try:
            stores = self._stores.checked()
            if (repository.spec.initialize or is_given_up(repository)) and not stores.restore_only:
                stores = self._stores.owned()
            return self._opener.open_or_make(repository, stores, stop)
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


def _version(repository: ResticRepository) -> _Version:
    meta = repository.metadata
    return meta.uid, meta.generation, meta.annotation(REPLACE_ANNOTATION), repository.status.repository_id
