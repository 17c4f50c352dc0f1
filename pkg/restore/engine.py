"""A restore from beginning to end, as a function of the Restore, the bucket and the cluster.

It may be run again after a crash at any line: every object that it makes carries the Restore's UID, so a second run
tells its own from what was there before, and names of PodVolumeRestores are derived. Nothing is created before the
backup is proven whole.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from pkg.apis.reasons import BackupPhase, Reason
from pkg.kube.discovery import Discovery
from pkg.kube.stop import StopToken
from pkg.objectstore.errors import StoreError
from pkg.objectstore.layout import restore_keys
from pkg.restore.api import PatientApi, discovered
from pkg.restore.errors import BackupDamagedError, RestoreError, RestoreInterruptedError, ResultsNotKeptError
from pkg.restore.given_up import tell_pod
from pkg.restore.hook_run import HookRun
from pkg.restore.job import CANCELED, RestoreJob, RestoreOutcome
from pkg.restore.namespaces import Namespaces
from pkg.restore.oplog import RestoreLog
from pkg.restore.preparation import Prepared, prepare
from pkg.restore.reading import StoredBackup, read_backup
from pkg.restore.repositories import Repositories
from pkg.restore.results import Results, phase_of
from pkg.restore.run import Run, Tools, own_labels
from pkg.restore.settings import read_settings
from pkg.restore.snapshots import snapshots_not_restored
from pkg.restore.volume_plan import Filling
from pkg.restore.volume_wait import VolumeWait, WaitSettings


def run_restore(job: RestoreJob, stop: StopToken) -> RestoreOutcome:
    """Restores what the Restore asks for.

    A stop with the reason `pkg.restore.job.CANCELED` ends the Restore; with any other it only ends this attempt.

    Raises:
        RestoreInterruptedError: the process ends; run it again later.
        ApiUnavailableError: the Kubernetes API is away; run it again later.
    """
    backup, results = job.restore.spec.backup_name, Results()
    with RestoreLog(job.restore.metadata.key, job.scratch_dir) as log:
        log.logger.info("Restore started", backup=backup)
        try:
            stored = read_backup(job.store, backup, scratch_dir=job.scratch_dir)
            try:
                outcome = _restore(job, stored, stop, results, log)
            finally:
                stored.archive.close()
        except RestoreInterruptedError:
            if stop.reason != CANCELED:
                raise
            outcome = RestoreOutcome(phase=BackupPhase.PARTIALLY_FAILED, reason=Reason.CANCELED, message="canceled")
        except RestoreError as error:
            outcome = RestoreOutcome(phase=BackupPhase.FAILED, reason=error.reason, message=str(error), errors=1)
            results.errors.ark(str(error))
            if not isinstance(error, BackupDamagedError):
                return outcome  # there is no place in the bucket for files of this restore
        log.logger.info("Restore ended", phase=str(outcome.phase), reason=outcome.message)
        return _published(job, outcome, results, log)


def _restore(
    job: RestoreJob, stored: StoredBackup, stop: StopToken, results: Results, log: RestoreLog
) -> RestoreOutcome:
    run, tools = _wired(job, stored, stop, results, log)
    try:
        run.create_all()
        cancelled = tools.waiting.finish(stop)
        if not cancelled:
            tools.hooks.run(stop, tools.waiting.failed_pods)
    except RestoreInterruptedError:
        if stop.reason != CANCELED:
            raise
        cancelled = True
        tools.waiting.give_up(Reason.CANCELED, "the Restore was cancelled")
    run.report_progress()
    phase, reason, message = phase_of(
        errors=results.errors.count, kinds=results.kinds, cancelled=cancelled, examples=results.errors.first
    )
    return RestoreOutcome(
        phase=phase,
        reason=reason,
        message=message,
        warnings=results.warnings.count,
        errors=results.errors.count,
        items=run.items,
        volumes=tools.waiting.counts(),
    )


def _wired(
    job: RestoreJob, stored: StoredBackup, stop: StopToken, results: Results, log: RestoreLog
) -> tuple[Run, Tools]:
    api = PatientApi(job.client, stop=stop, clock=job.clock)
    discovery = discovered(job.discover, stop=stop, clock=job.clock)
    settings = read_settings(api, job, results)
    prepared = prepare(stored, job.restore.spec, discovery, job.priorities, settings.renamed)
    _report_plan(job, stored, prepared, discovery, results)
    namespaces = Namespaces(
        api,
        original=prepared.namespace_object,
        labels=own_labels(job),
        timeout_seconds=job.namespace_timeout_seconds,
        clock=job.clock,
    )
    tools = Tools(
        api=api,
        discovery=discovery,
        namespaces=namespaces,
        waiting=_waiting(job, api, results, log),
        helper=settings.helper,
        hooks=HookRun(job, api, results, log.logger),
        results=results,
        log=log.logger,
    )
    run = Run(job, prepared, tools, stop)
    tools.waiting.progressed = run.report_progress
    return run, tools


def _report_plan(
    job: RestoreJob, stored: StoredBackup, prepared: Prepared, discovery: Discovery, results: Results
) -> None:
    """Says what is known to be amiss before anything is created."""
    for warning in discovery.warnings:
        results.warnings.ark(warning)
    for name in prepared.unknown:
        results.errors.ark(f'the Restore names the resource "{name}", which neither the cluster nor the backup knows')
    for text in prepared.idle:
        results.warnings.ark(text)
    for text in snapshots_not_restored(stored, prepared, job.restore.spec):
        results.volumes_failed += 1
        results.errors.about("", text)
    if not prepared.entries:
        results.warnings.ark(f"the backup {stored.backup.metadata.name} holds nothing that this Restore asks for")


def _waiting(job: RestoreJob, api: PatientApi, results: Results, log: RestoreLog) -> VolumeWait:
    metadata = job.restore.metadata

    def report(namespace: str, text: str) -> None:
        results.volumes_failed += 1
        results.errors.about(namespace, text)
        log.logger.error("Volume not restored", namespace=namespace, error=text)

    def warn(namespace: str, text: str) -> None:
        results.warnings.about(namespace, text)
        log.logger.warning("Volume restored without all metadata", namespace=namespace, warning=text)

    def tell(filling: Filling, reasons: Mapping[str, str]) -> None:
        tell_pod(job.client, (filling.namespace, filling.pod, filling.pod_uid), metadata.uid, reasons)

    return VolumeWait(
        WaitSettings(
            restore_name=metadata.name,
            restore_uid=metadata.uid,
            timeout_seconds=job.pod_timeout_seconds,
            strict_metadata=job.restore.spec.strict_metadata,
        ),
        api=api,
        agents=job.volumes,
        repositories=Repositories(
            api,
            ark_namespace=job.ark_namespace,
            identifier=job.restic_identifier,
            timeout_seconds=job.repository_timeout_seconds,
            clock=job.clock,
        ),
        clock=job.clock,
        report=report,
        warn=warn,
        tell=tell,
    )


def _published(job: RestoreJob, outcome: RestoreOutcome, results: Results, log: RestoreLog) -> RestoreOutcome:
    """Writes results and log; credentials that may only read do not make a restore fail."""
    keys = restore_keys(job.restore.spec.backup_name, job.restore.metadata.name)
    publish = job.publish or job.store.put
    try:
        publish(keys.results, results.encoded())
        publish(keys.log, log.packed())
    except (StoreError, ResultsNotKeptError) as error:
        message = "; ".join(part for part in (outcome.message, f"results and log are not stored: {error}") if part)
        return dataclasses.replace(outcome, message=message, warnings=outcome.warnings + 1)
    return outcome
