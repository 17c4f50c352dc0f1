"""What a Job says of itself, and what the repository's status keeps of it.

The Job writes JSON to its container's termination log, which the kubelet puts into the pod's status; 4,096 bytes fit.
A Job that could not say anything (killed, no pod, out of time) is told by the Job's and the pod's own conditions.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence

import msgspec

from pkg.apis.jobs import Job, JobPod
from pkg.apis.meta import ApiStruct, Json, JsonObject
from pkg.apis.names import MAINTAIN_ANNOTATION
from pkg.apis.reasons import Reason
from pkg.apis.volumes import MaintenanceRun, ResticRepository
from pkg.controllers.maintenance_job import VERBS_ANNOTATION
from pkg.controllers.maintenance_plan import RunPhase, Verb
from pkg.controllers.status import timestamp, to_json

KEPT_RUNS = 5
_MESSAGE_LIMIT = 600
_LAST = {Verb.FORGET: "lastForgetTime", Verb.PRUNE: "lastPruneTime", Verb.CHECK: "lastCheckTime"}


class VerbResult(ApiStruct, frozen=True, kw_only=True):
    """What one verb did.

    Attributes:
        phase: A RunPhase.
        settled: Whether it need not be done again before the next turn.
        part: Which part of the data was read, such as `7/100`; empty for none.
    """

    verb: str = ""
    phase: str = ""
    settled: bool = False
    part: str = ""
    reason: str = ""
    message: str = ""


class Report(ApiStruct, frozen=True, kw_only=True):
    """What a Job did, verb by verb."""

    results: tuple[VerbResult, ...] = ()

    def to_bytes(self) -> bytes:
        """The termination message."""
        short = tuple(msgspec.structs.replace(one, message=one.message[:_MESSAGE_LIMIT]) for one in self.results)
        return msgspec.json.encode(Report(results=short))


def failed_run(verbs: Sequence[str], reason: str, message: str, now: datetime.datetime) -> MaintenanceRun:
    """The record of a Job that was not started, and why."""
    return MaintenanceRun(
        verb=",".join(verbs),
        phase=RunPhase.FAILED.value,
        reason=reason,
        message=message,
        start_timestamp=now,
        completion_timestamp=now,
    )


def gave_way(job: Job, message: str, now: datetime.datetime) -> MaintenanceRun:
    """The record of a Job that was taken back."""
    return MaintenanceRun(
        verb=job.metadata.annotation(VERBS_ANNOTATION),
        job=job.metadata.name,
        phase=RunPhase.INTERRUPTED.value,
        reason=Reason.GAVE_WAY.value,
        message=message,
        start_timestamp=job.status.start_time,
        completion_timestamp=now,
    )


def ended_run(job: Job, pod: JobPod | None, now: datetime.datetime) -> tuple[MaintenanceRun, Report]:
    """The record of a Job that ended, and what it did."""
    report = read_report(pod)
    reason, message = _why(job, pod, report)
    run = MaintenanceRun(
        verb=job.metadata.annotation(VERBS_ANNOTATION),
        job=job.metadata.name,
        phase=_phase(report, reason).value,
        reason=reason,
        message=message,
        start_timestamp=job.status.start_time or job.metadata.creation_timestamp,
        completion_timestamp=job.status.completion_time or now,
    )
    return run, report


def record(repository: ResticRepository, run: MaintenanceRun, report: Report, *, request: str = "") -> JsonObject:
    """The status fields that a run changes.

    Args:
        repository: As it was read.
        run: What is recorded.
        report: What of it was settled.
        request: The annotation that was carried out with it; empty for none.
    """
    change: JsonObject = {"maintenanceRuns": repository.status.maintenance_runs + 1}
    if run.verb != Verb.VERIFY:  # a verification's runs are kept apart, or they would push these out in a week
        runs: list[Json] = [to_json(run), *(to_json(one) for one in repository.status.maintenance or ())]
        change["maintenance"] = runs[:KEPT_RUNS]
    moment = run.start_timestamp or run.completion_timestamp
    settled = [one.verb for one in report.results if one.settled]
    if moment is not None:
        change |= {field: timestamp(moment) for verb, field in _LAST.items() if verb.value in settled}
    if run.verb != Verb.VERIFY and run.phase == RunPhase.COMPLETED and run.completion_timestamp is not None:
        change["lastMaintenanceTime"] = timestamp(run.completion_timestamp)
    if request:
        change["maintenanceRequest"] = request
    return change


def request_of(job: Job) -> str:
    """The request that a Job carries out; empty for none."""
    return job.metadata.annotation(MAINTAIN_ANNOTATION)


def read_report(pod: JobPod | None) -> Report:
    """What a pod left in its termination message; empty when it said nothing that can be read."""
    terminated = pod.terminated if pod is not None else None
    if terminated is None or not terminated.message:
        return Report()
    try:
        return msgspec.json.decode(terminated.message.encode(), type=Report)
    except msgspec.DecodeError:
        return Report()


def _phase(report: Report, reason: str) -> RunPhase:
    if report.results and all(one.phase == RunPhase.COMPLETED for one in report.results):
        return RunPhase.COMPLETED
    return RunPhase.INTERRUPTED if reason == Reason.CANCELED else RunPhase.FAILED


def _why(job: Job, pod: JobPod | None, report: Report) -> tuple[str, str]:
    said = "; ".join(f"{one.verb}: {one.message}" for one in report.results if one.message)
    failed = next((one for one in report.results if one.phase != RunPhase.COMPLETED), None)
    terminated = pod.terminated if pod is not None else None
    ended = job.ended_by()
    if failed is not None:
        return failed.reason, said
    if report.results:
        return next((one.reason for one in report.results if one.reason), ""), said
    if terminated is not None and terminated.reason == "OOMKilled":
        return (
            Reason.OUT_OF_MEMORY.value,
            "the kernel ended the Job for want of memory: raise memLimit in the ConfigMap of maintenance",
        )
    if ended is not None and ended.reason == "DeadlineExceeded":
        return Reason.DEADLINE_EXCEEDED.value, ended.message or "the Job took longer than it may"
    exit_text = f"the container ended with {terminated.exit_code}" if terminated is not None else "it has no pod"
    return Reason.INTERNAL.value, f"{exit_text}; {ended.message if ended is not None else ''}".rstrip("; ")
