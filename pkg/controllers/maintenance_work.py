"""What happens inside a maintenance Job: forget, prune, check and verify of one repository, each told from facts.

A snapshot counts as forgotten when a listing does not show it any more; only then is its id taken out of the queue, by
compare-and-set, so a Job that dies at any line leaves ids queued that are forgotten already, and the next one finds
them gone. A freeze or a change of the Config that came after the Job was made is seen before each verb.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from pkg.apis.ark import Config
from pkg.apis.meta import Json
from pkg.apis.names import CONFIG_NAME
from pkg.apis.reasons import Reason
from pkg.apis.volumes import ResticRepository
from pkg.controllers.agent import VolumeFailure, read_password
from pkg.controllers.config import Settings, SettingsError, settings_from, with_regions
from pkg.controllers.lock_plan import describe
from pkg.controllers.maintenance_plan import DELETING, RunPhase, Verb
from pkg.controllers.maintenance_report import Report, VerbResult
from pkg.controllers.repositories import in_place
from pkg.controllers.status import patch_status
from pkg.controllers.stores import StoreFailure, store_reason
from pkg.kube.backoff import retry_on_conflict, retry_transient
from pkg.kube.client import Client
from pkg.kube.clock import Clock
from pkg.kube.errors import KubeError, NotFoundError
from pkg.kube.refs import CONFIGS, RESTIC_REPOSITORIES
from pkg.kube.stop import StopToken
from pkg.objectstore.errors import StoreError
from pkg.objectstore.region import Regions
from pkg.objectstore.storage_class import StorageTier, tier_of
from pkg.restic.environment import ResticEnvironment, restic_environment
from pkg.restic.errors import CancelledError, RepositoryLockedError, ResticError
from pkg.restic.forget_plan import ForgetPlan, plan_forget
from pkg.restic.locks import list_locks
from pkg.restic.maintenance import (
    FORGET_BATCH,
    PruneLimits,
    check_repository,
    forget_snapshots,
    list_snapshots,
    prune_repository,
)
from pkg.restic.repository import open_repository
from pkg.restic.runner import ResticRunner

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class MaintenanceWork:
    """One Job's work.

    Attributes:
        name: Of the ResticRepository.
        uid: Of the object that the Job was made for; empty for whichever has the name.
        preflight: Raises a StoreError within seconds when the restic location is of no use.
        part: What of the data a verification reads, such as `7/100`.
    """

    client: Client
    namespace: str
    name: str
    uid: str
    runner: ResticRunner
    clock: Clock
    scratch_dir: Path
    environ: Mapping[str, str] = field(repr=False)
    preflight: Callable[[Settings], None]
    part: str = ""
    regions: Regions | None = None

    def run(self, verbs: Sequence[Verb], stop: StopToken) -> Report:
        """Does the verbs in order; the first that fails is the last."""
        results: list[VerbResult] = []
        for verb in [one for one in Verb if one in verbs]:
            result = self._attempt(verb, stop)
            log.info("Maintenance", verb=verb.value, phase=result.phase, reason=result.reason, message=result.message)
            results.append(result)
            if result.phase != RunPhase.COMPLETED:
                break
        return Report(results=tuple(results))

    def _attempt(self, verb: Verb, stop: StopToken) -> VerbResult:
        try:
            repository, settings = self._look(stop)
            if (refused := _refusal(verb, settings)) is not None:
                return refused
            environment = self._open(repository, settings, stop)
        except (VolumeFailure, SettingsError, StoreFailure) as error:
            return _failed(verb, error.reason, error.message)
        except (ResticError, StoreError, KubeError) as error:
            return _broken(verb, error)
        try:
            return self._do(verb, repository, settings, environment, stop)
        except VolumeFailure as error:
            return _failed(verb, error.reason, error.message)
        except RepositoryLockedError as error:
            return _failed(verb, error.reason, f"{error.message}; locks: {self._locks(repository, environment, stop)}")
        except (ResticError, KubeError) as error:
            return _broken(verb, error)

    def _do(
        self,
        verb: Verb,
        repository: ResticRepository,
        settings: Settings,
        environment: ResticEnvironment,
        stop: StopToken,
    ) -> VerbResult:
        match verb:
            case Verb.FORGET:
                return self._forget(repository, environment, stop)
            case Verb.PRUNE:
                limits = PruneLimits(cacheable_only=tier_of(settings.location) is StorageTier.COLD)
                result = prune_repository(self.runner, environment, limits, stop)
                if result.retained:
                    reason, message = Reason.RETAINED_BY_STORE, f"the store keeps what was to go: {result.retained}"
                    return _completed(verb, message, reason=reason)
                return _completed(verb, f"removed {result.removed or 'nothing'}")
            case Verb.CHECK:
                suspect = repository.status.verification.suspect if repository.status.verification else ""
                check_repository(self.runner, environment, stop, part=suspect)
                return _completed(verb, f"no errors, part {suspect} was read" if suspect else "no errors", part=suspect)
            case Verb.VERIFY:
                return self._verify(environment, stop)

    def _verify(self, environment: ResticEnvironment, stop: StopToken) -> VerbResult:
        """Reads the part; errors found beside others are only suspected."""
        try:
            check_repository(self.runner, environment, stop, part=self.part, no_lock=True)
        except ResticError as error:
            if error.reason is not Reason.REPOSITORY_DAMAGED:
                raise
            message = f"part {self.part}, to be confirmed by a check that has the repository for itself: {error}"
            return VerbResult(
                verb=Verb.VERIFY.value,
                phase=RunPhase.COMPLETED.value,
                reason=Reason.DAMAGE_SUSPECTED.value,
                message=message,
                part=self.part,
            )
        return _completed(Verb.VERIFY, f"part {self.part} was read, no errors", part=self.part)

    def _look(self, stop: StopToken) -> tuple[ResticRepository, Settings]:
        repository = retry_transient(self._read, stop=stop, clock=self.clock)
        if self.uid and repository.metadata.uid != self.uid:
            raise VolumeFailure(
                Reason.REPOSITORY_NOT_READY, f"ResticRepository {self.name} is not the one that the Job was made for"
            )
        config = retry_transient(self._config, stop=stop, clock=self.clock)
        return repository, with_regions(settings_from(config, self.environ, self.namespace), self.regions)

    def _open(self, repository: ResticRepository, settings: Settings, stop: StopToken) -> ResticEnvironment:
        """How restic reaches the repository, after it told the id that is pinned."""
        in_place(repository, settings.location)
        self.preflight(settings)
        status = repository.status
        environment = restic_environment(
            repository=repository.spec.restic_identifier,
            password=read_password(self.client, self.namespace, status.password_generation),
            location=settings.location,
            credentials=settings.credentials,
            cache_dir=str(self.scratch_dir / "restic-cache"),
            key_hint=status.fast_key_id,
        )
        found = open_repository(self.runner, environment, stop)
        if found != status.repository_id:
            raise VolumeFailure(
                Reason.FOREIGN_REPOSITORY,
                f"the repository at {repository.spec.restic_identifier} has the id {found}, pinned is "
                f"{status.repository_id or 'none'}",
            )
        return environment

    def _forget(self, repository: ResticRepository, environment: ResticEnvironment, stop: StopToken) -> VerbResult:
        queue = repository.status.pending_forget or ()
        snapshots = list_snapshots(self.runner, environment, stop)
        plan = plan_forget(queue, snapshots, repository.volume_namespace)
        still_there: list[str] = []
        if plan.forget:
            wanted = sorted(set(plan.forget.values()))
            for first in range(0, len(wanted), FORGET_BATCH):
                forget_snapshots(self.runner, environment, wanted[first : first + FORGET_BATCH], stop)
            still_there = [one.id for one in list_snapshots(self.runner, environment, stop)]
        settled = plan.settled(still_there)
        retry_on_conflict(lambda: self._unqueue(repository, settled), stop=stop)
        return _forgotten(plan, settled, still_there)

    def _unqueue(self, repository: ResticRepository, settled: frozenset[str]) -> None:
        """Takes what is done with out of the queue, and nothing else: more may have been queued meanwhile."""
        now = self._read()
        if now.metadata.uid != repository.metadata.uid or not settled:
            return
        left: list[Json] = [entry for entry in now.status.pending_forget or () if entry not in settled]
        if len(left) != len(now.status.pending_forget or ()):
            patch_status(self.client, RESTIC_REPOSITORIES, now, {"pendingForget": left})

    def _read(self) -> ResticRepository:
        try:
            return self.client.get(RESTIC_REPOSITORIES, self.namespace, self.name, ResticRepository)
        except NotFoundError as error:
            raise VolumeFailure(Reason.REPOSITORY_NOT_READY, f"there is no ResticRepository {self.name}") from error

    def _config(self) -> Config | None:
        try:
            return self.client.get(CONFIGS, self.namespace, CONFIG_NAME, Config)
        except NotFoundError:
            return None

    def _locks(self, repository: ResticRepository, environment: ResticEnvironment, stop: StopToken) -> str:
        try:
            found = list_locks(self.runner, environment, stop)
        except ResticError as error:
            return f"unknown ({error})"
        holders = repository.status.holders or {}
        return "; ".join(describe(lock, holders, self.clock.now()) for lock in found[:5]) or "none any more"


def _broken(verb: Verb, error: Exception) -> VerbResult:
    match error:
        case CancelledError():
            return VerbResult(
                verb=verb.value,
                phase=RunPhase.INTERRUPTED.value,
                reason=Reason.CANCELED.value,
                message="stopped before it was done",
            )
        case ResticError():
            return _failed(verb, error.reason, str(error))
        case StoreError():
            return _failed(verb, store_reason(error), str(error))
        case _:
            return _failed(verb, Reason.INTERNAL, str(error))


def _refusal(verb: Verb, settings: Settings) -> VerbResult | None:
    """Why a verb is not done under these settings; a frozen class settles it until the next turn."""
    if settings.restore_only:
        return _failed(verb, Reason.RESTORE_ONLY, "restoreOnlyMode writes nothing to the store")
    if settings.deletions_frozen and verb in DELETING:
        return _failed(verb, Reason.DELETIONS_FROZEN, f"deletions are frozen: {settings.deletions_frozen}")
    if verb is Verb.PRUNE and tier_of(settings.location) is StorageTier.FROZEN:
        name = settings.location.config.get("resticStorageClass", "")
        message = f"storage class {name} must be thawed before it can be read; a repository in it is never pruned"
        return _completed(verb, message, reason=Reason.STORAGE_CLASS_REFUSED)
    return None


def _forgotten(plan: ForgetPlan, settled: frozenset[str], still_there: Sequence[str]) -> VerbResult:
    kept = [full for full in plan.forget.values() if full in set(still_there)]
    parts = [f"{len(settled) - len(plan.gone)} snapshots forgotten"]
    parts += [f"{len(plan.gone)} were gone already"] if plan.gone else []
    parts += [f"{entry} {why}" for entry, why in itertools.islice(plan.refused.items(), 3)]
    if kept:
        return _failed(Verb.FORGET, Reason.INTERNAL, f"{len(kept)} snapshots are still there, first {kept[0]}")
    return _completed(Verb.FORGET, "; ".join(parts))


def _completed(verb: Verb, message: str, *, reason: Reason | None = None, part: str = "") -> VerbResult:
    return VerbResult(
        verb=verb.value,
        phase=RunPhase.COMPLETED.value,
        settled=True,
        reason=reason.value if reason else "",
        message=message,
        part=part,
    )


def _failed(verb: Verb, reason: Reason, message: str) -> VerbResult:
    return VerbResult(verb=verb.value, phase=RunPhase.FAILED.value, reason=reason.value, message=message)
