"""Maintenance of repositories: a Job when it is due and nobody is inside, its result in the repository's status.

One Job at a time for a repository, named after how many were recorded, so a server that dies anywhere makes the same
one again and finds it there. The gate stays closed from before the last look at who is inside until the Job is gone.
What is decided lies in maintenance_plan.py.
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from pkg.apis.ark import Schedule
from pkg.apis.jobs import Job, JobPod
from pkg.apis.meta import JsonObject
from pkg.apis.names import MAINTAIN_ANNOTATION
from pkg.apis.reasons import Reason
from pkg.apis.volumes import MaintenanceRun, PodVolumeBackup, PodVolumeRestore, ResticRepository
from pkg.controllers.config import SettingsError
from pkg.controllers.maintenance_gate import MaintenanceGate
from pkg.controllers.maintenance_job import build_job, job_name, measure_of, verbs_of
from pkg.controllers.maintenance_plan import (
    DELETING,
    Decision,
    Rules,
    RunPhase,
    Surroundings,
    Verb,
    decide,
    gives_way,
    is_idle,
    is_of,
    is_overdue,
    may_verify,
    needs_alone,
    next_backup_of,
    refusal,
    requested_verbs,
)
from pkg.controllers.maintenance_preparation import Preparation, Preparer, is_in_use
from pkg.controllers.maintenance_report import Report, ended_run, failed_run, gave_way, record, request_of
from pkg.controllers.status import patch_status
from pkg.controllers.stores import Stores
from pkg.controllers.verification import Verifier, has_changed
from pkg.controllers.verification_plan import NOTHING, Measure, state_of
from pkg.controllers.verification_record import advanced, damage_of, measured, off_of, reported
from pkg.informers.lister import Lister
from pkg.kube.client import Client
from pkg.kube.clock import Clock
from pkg.kube.errors import AlreadyExistsError, NotFoundError
from pkg.kube.refs import JOBS, PODS, RESTIC_REPOSITORIES
from pkg.manager.events import EventRecorder
from pkg.manager.operations import Crashed, Operations, Running, Succeeded
from pkg.manager.reconciler import Result, again_in, done
from pkg.workqueue.key import Key

LOOK_SECONDS = 60.0
WATCH_JOB_SECONDS = 15.0
START_PATIENCE_SECONDS = 60.0
OVERDUE_PATIENCE_SECONDS = 600.0
LONGEST_HOLD_SECONDS = 2 * 3600.0
REST_SECONDS = 12 * 3600.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Caches:
    """What the reconciler sees of the cluster."""

    repositories: Lister[ResticRepository]
    captures: Lister[PodVolumeBackup]
    fillings: Lister[PodVolumeRestore]
    jobs: Lister[Job]
    schedules: Lister[Schedule]


class MaintenanceReconciler:
    """Keeps repositories small and sound."""

    def __init__(
        self,
        client: Client,
        caches: Caches,
        *,
        stores: Stores,
        gate: MaintenanceGate,
        preparer: Preparer,
        operations: Operations[Preparation],
        image: str,
        verifier: Verifier,
        events: EventRecorder,
        clock: Clock,
        count: Callable[[str], None] = lambda phase: None,
    ) -> None:
        self._client = client
        self._caches = caches
        self._stores = stores
        self._gate = gate
        self._preparer = preparer
        self._operations = operations
        self._image = image
        self._verifier = verifier
        self._events = events
        self._clock = clock
        self._count = count
        self._gave_up: dict[str, float] = {}  # repository to when backups were let in again unserved
        self._unseen: dict[str, str] = {}  # repository to the Job that was created and is not in the cache yet

    def reconcile(self, key: Key) -> Result:
        """Records a Job that ended, watches one that runs, or begins one."""
        repository = self._caches.repositories.get(key.namespace, key.name)
        if repository is None or repository.metadata.deletion_timestamp is not None:
            self._drop(key)
            return done()
        jobs = [job for job in self._caches.jobs.list(key.namespace) if is_of(job, repository)]
        current = next((job for job in jobs if job.metadata.name == job_name(repository)), None)
        if self._delete_strays([job for job in jobs if job is not current]):
            return again_in(WATCH_JOB_SECONDS)
        if current is None:
            return self._plan(key, repository)
        self._unseen.pop(key.name, None)
        self._operations.forget(key)
        if current.ended_by() is not None:
            return self._record_end(repository, current)
        return self._watch(repository, current)

    def _drop(self, key: Key) -> None:
        self._operations.cancel(key, Reason.CANCELED)
        self._operations.forget(key)
        self._unseen.pop(key.name, None)
        self._gate.open(key.name)

    def _delete_strays(self, strays: list[Job]) -> bool:
        """Takes back unfinished Jobs that were recorded as such; True while one is there."""
        unfinished = [job for job in strays if job.ended_by() is None]
        for job in unfinished:
            self._gate.close(repository_of(job))
            if job.metadata.deletion_timestamp is None:
                self._delete(job)
        return bool(unfinished)

    def _delete(self, job: Job) -> None:
        """In the foreground: the Job is there until its pod, and so its lock, is gone."""
        meta = job.metadata
        try:
            self._client.delete(JOBS, meta.namespace, meta.name, uid=meta.uid, propagation="Foreground")
        except NotFoundError:
            log.debug("Job was gone", job=meta.key)

    def _watch(self, repository: ResticRepository, job: Job) -> Result:
        if needs_alone(verbs_of(job)):
            self._gate.close(repository.metadata.name)
        why = self._why_give_way(repository, job)
        if why:
            run = gave_way(job, why, self._now())
            return self._write(repository, run, Report())
        return again_in(WATCH_JOB_SECONDS)

    def _why_give_way(self, repository: ResticRepository, job: Job) -> str:
        verbs = verbs_of(job)
        try:
            rules = self._rules()
        except SettingsError:
            rules = Rules()
        if rules.restore_only:
            return "nothing may be written to the store any more"
        if rules.frozen and any(verb in DELETING for verb in verbs):
            return f"deletions were frozen: {rules.frozen}"
        if not needs_alone(verbs):
            return ""
        if is_in_use(repository, list(self._caches.fillings.list(repository.metadata.namespace))):
            return "a restore needs the repository"
        overdue = is_overdue(repository, verbs, self._now())
        age = self._now() - (job.metadata.creation_timestamp or self._now())
        patience = OVERDUE_PATIENCE_SECONDS if overdue else START_PATIENCE_SECONDS
        if gives_way(
            started=job.status.ready > 0,
            waited_seconds=age.total_seconds(),
            wanted=self._gate.is_wanted(repository.metadata.name),
            patience_seconds=patience,
        ):
            return "it had not begun, and a backup needs the repository"
        return ""

    def _record_end(self, repository: ResticRepository, job: Job) -> Result:
        meta = job.metadata
        pods = self._client.list(PODS, meta.namespace, JobPod, label_selector=f"job-name={meta.name}")
        pod = max(pods, key=lambda one: one.terminated is not None, default=None)
        run, report = ended_run(job, pod, self._now())
        return self._write(repository, run, report, request=request_of(job), measure=measure_of(job))

    def _write(
        self,
        repository: ResticRepository,
        run: MaintenanceRun,
        report: Report,
        *,
        request: str = "",
        measure: Measure = NOTHING,
    ) -> Result:
        change = record(repository, run, report, request=request) | reported(repository, run, report, measure)
        patch_status(self._client, RESTIC_REPOSITORIES, repository, change)
        self._count(run.phase)
        self._alarm(repository, change)
        say = log.info if run.phase == RunPhase.COMPLETED else log.warning
        say("Maintenance ended", key=repository.metadata.key, verbs=run.verb, phase=run.phase, message=run.message)
        self._events.event(
            repository, f"Maintenance{run.phase}", f"{run.verb}: {run.message}", warning=run.phase == RunPhase.FAILED
        )
        return again_in(1.0)

    def _alarm(self, repository: ResticRepository, change: JsonObject) -> None:
        """Says it once more, in the log and as an Event of its own, where damage was found."""
        found = change.get("conditions")
        if not found:
            return
        message = damage_of(found)
        log.error("Repository damaged", key=repository.metadata.key, message=message)
        self._events.event(repository, Reason.REPOSITORY_DAMAGED, message, warning=True)

    def _plan(self, key: Key, repository: ResticRepository) -> Result:
        request = repository.metadata.annotation(MAINTAIN_ANNOTATION)
        requested = requested_verbs(request, repository.status.maintenance_request)
        try:
            rules = self._rules()
        except SettingsError as error:
            log.debug("Maintenance waits for a Config", key=str(key), message=error.message)
            self._stand_back(key, hold=False)
            return again_in(LOOK_SECONDS)
        around = self._surroundings(repository, requested)
        decision = self._decide(repository, rules, around)
        if requested and (why := _never(repository, requested, rules, around)):
            run = failed_run(requested, why[0].value, why[1], self._now())
            self._stand_back(key, hold=False)
            return self._write(repository, run, Report(), request=request)
        if not decision.verbs:
            self._stand_back(key, hold=decision.hold)
            log.debug("No maintenance now", key=str(key), reason=decision.reason)
            return again_in(LOOK_SECONDS)
        return self._begin(key, repository, decision, request if requested else "")

    def _decide(self, repository: ResticRepository, rules: Rules, around: Surroundings) -> Decision:
        """What is due; reading a part of the data only where nothing else is."""
        decision, location = decide(repository, rules, around), self._stores.settings().location
        if Verb.VERIFY in decision.verbs:
            return dataclasses.replace(decision, part=str(self._verifier.next_part(repository, location)))
        if decision.verbs or decision.hold or not may_verify(repository, rules, around):
            return decision
        choice = self._verifier.choose(repository, location, around.now)
        if choice.off != off_of(repository):
            message = self._verifier.rate(location)
            patch_status(self._client, RESTIC_REPOSITORIES, repository, {"verification": {"message": message}})
            return decision
        if choice.part is None:
            return decision
        return Decision(verbs=(Verb.VERIFY,), part=str(choice.part))

    def _stand_back(self, key: Key, *, hold: bool) -> None:
        if self._operations.observe(key) is not None:
            self._operations.cancel(key, Reason.CANCELED)
            self._operations.forget(key)
        if hold and self._may_hold(key.name):
            self._gate.close(key.name)
        else:
            self._gate.open(key.name)

    def _may_hold(self, name: str) -> bool:
        """Whether backups may be kept waiting for what is inside to end: for some hours, then not for half a day."""
        now = self._clock.monotonic()
        if self._gate.closed_seconds(name) >= LONGEST_HOLD_SECONDS:
            self._gave_up[name] = now
        tired = self._gave_up.get(name)
        return tired is None or now - tired >= REST_SECONDS

    def _begin(self, key: Key, repository: ResticRepository, decision: Decision, request: str) -> Result:
        (self._gate.close if decision.exclusive else self._gate.open)(key.name)
        match self._operations.observe(key):
            case Running():
                return done()
            case None:
                self._operations.start(key, lambda stop: self._preparer.prepare(repository, decision, stop))
                return again_in(LOOK_SECONDS)
            case Crashed(error=error):
                preparation = Preparation(reason=Reason.INTERNAL.value, message=repr(error))
            case Succeeded(result=preparation) if not preparation.is_for(decision):
                self._operations.forget(key)
                return again_in(0)
            case Succeeded(result=preparation):
                pass
        if preparation.in_use:
            self._stand_back(key, hold=is_overdue(repository, decision.verbs, self._now()))
            return again_in(LOOK_SECONDS)
        if preparation.reason:
            self._stand_back(key, hold=False)
            run = failed_run(decision.verbs, preparation.reason, preparation.message, self._now())
            return self._write(repository, run, Report(), request=request)
        if decision.part and not request and (known := self._known(repository, preparation.measure)):
            self._operations.forget(key)
            patch_status(self._client, RESTIC_REPOSITORIES, repository, {"verification": known})
            return again_in(1.0)
        return self._create(key, repository, decision, request, preparation)

    def _known(self, repository: ResticRepository, measure: Measure) -> JsonObject:
        """What the measuring alone tells: another size, by which it is planned anew, or that nothing is in the part."""
        rate = self._verifier.rate(self._stores.settings().location)
        if has_changed(repository, measure) or rate != state_of(repository).message:
            return measured(measure, rate, self._now())
        return {} if measure.part_bytes else advanced(measure, self._now())

    def _create(
        self, key: Key, repository: ResticRepository, decision: Decision, request: str, preparation: Preparation
    ) -> Result:
        body: JsonObject = build_job(
            repository,
            decision.verbs,
            request=request,
            image=self._image,
            template=preparation.template,
            options=preparation.options,
            measure=preparation.measure,
        )
        try:
            self._client.create(JOBS, key.namespace, body, Job)
        except AlreadyExistsError:
            log.debug("Job is there", job=job_name(repository))
        else:
            log.info("Maintenance begins", key=str(key), verbs=",".join(decision.verbs), job=job_name(repository))
        self._unseen[key.name] = job_name(repository)
        return again_in(WATCH_JOB_SECONDS)

    def _rules(self) -> Rules:
        """What the Config and the store's owner allow.

        Raises:
            SettingsError: There is no usable Config.
        """
        settings = self._stores.settings()
        return Rules(
            frozen=settings.deletions_frozen,
            restore_only=settings.restore_only,
            window=settings.maintenance_window,
        )

    def _surroundings(self, repository: ResticRepository, requested: tuple[Verb, ...]) -> Surroundings:
        namespace = repository.metadata.namespace
        inside: list[PodVolumeBackup | PodVolumeRestore] = list(self._caches.captures.list(namespace))
        inside += self._caches.fillings.list(namespace)
        others = {
            job.metadata.name
            for job in self._caches.jobs.list(namespace)
            if job.ended_by() is None and not is_of(job, repository)
        }
        others |= {name for owner, name in self._unseen.items() if owner != repository.metadata.name}
        return Surroundings(
            now=self._now(),
            in_use=is_in_use(repository, inside),
            jobs_running=len(others),
            next_backup=next_backup_of(repository.volume_namespace, self._caches.schedules.list(namespace)),
            requested=requested,
            idle=is_idle(repository, self._caches.captures.list(namespace), self._now()),
        )

    def _now(self) -> datetime.datetime:
        return self._clock.now().replace(microsecond=0)


def repository_of(job: Job) -> str:
    """Name of the ResticRepository that a Job works on."""
    owners = job.metadata.owner_references or ()
    return next((owner.name for owner in owners if owner.kind == "ResticRepository"), "")


def _never(
    repository: ResticRepository, requested: tuple[Verb, ...], rules: Rules, around: Surroundings
) -> tuple[Reason, str] | None:
    """Why what somebody asked for is refused and not only put off."""
    if rules.restore_only:
        return Reason.RESTORE_ONLY, "nothing may be written to the store"
    reasons = [refusal(repository, verb, rules, around) for verb in requested]
    if all(reasons):
        return Reason.DELETIONS_FROZEN if rules.frozen else Reason.REPOSITORY_DAMAGED, reasons[0]
    return None
