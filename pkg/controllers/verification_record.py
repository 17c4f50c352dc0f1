"""What a repository's status keeps of what was read, what was suspected in it, and what was found broken.

A finding of a reading without a lock may be somebody's work that went on meanwhile, so it is only suspected: the next
check, which has the repository for itself, reads that part again. What it finds is Damaged, loudly, until a check that
read that part finds nothing any more.
"""

from __future__ import annotations

import datetime

import msgspec

from pkg.apis.meta import Condition, Json, JsonObject
from pkg.apis.names import DAMAGED_CONDITION
from pkg.apis.reasons import Reason
from pkg.apis.volumes import MaintenanceRun, ResticRepository
from pkg.controllers.conditions import find_condition, with_condition, without_condition
from pkg.controllers.maintenance_plan import RunPhase, Verb
from pkg.controllers.maintenance_report import KEPT_RUNS, Report, VerbResult
from pkg.controllers.status import timestamp, to_json
from pkg.controllers.verification_plan import Measure, parse_part, state_of


def is_damaged(repository: ResticRepository) -> bool:
    """Whether errors that were confirmed under a lock stand."""
    return find_condition(repository.status.conditions, DAMAGED_CONDITION) is not None


def damage_of(conditions: Json) -> str:
    """What a list of conditions says is broken; empty for nothing."""
    found = msgspec.convert(conditions, tuple[Condition, ...])
    return next((one.message for one in found if one.type == DAMAGED_CONDITION), "")


def off_of(repository: ResticRepository) -> str:
    """Why nothing of it is read, as its status says; empty where something is."""
    message = state_of(repository).message
    return message if message.startswith("off: ") else ""


def measured(measure: Measure, message: str, now: datetime.datetime) -> JsonObject:
    """The field after a look at how large the repository is."""
    return {"sizeBytes": measure.size_bytes, "measuredAt": timestamp(now), "message": message}


def advanced(measure: Measure, began: datetime.datetime) -> JsonObject:
    """The field after a part was read, or had nothing in it to read."""
    part = parse_part(measure.part)
    change: JsonObject = {
        "part": part.number,
        "parts": part.of,
        "readAt": timestamp(began),
        "readBytes": measure.part_bytes,
    }
    if part.number == 1:
        change["roundBeganAt"] = timestamp(began)
    if part.number == part.of:
        change["fullAt"] = timestamp(began)
    return change


def reported(repository: ResticRepository, run: MaintenanceRun, report: Report, measure: Measure) -> JsonObject:
    """The status fields that a run's reading and checking change, besides those of its maintenance."""
    seen, began = state_of(repository), run.start_timestamp or run.completion_timestamp
    field: JsonObject = {}
    change: JsonObject = {}
    for result in report.results:
        if result.verb == Verb.VERIFY and began is not None:
            field |= _after_reading(seen.suspect, result, measure, began)
        elif result.verb == Verb.CHECK:
            change |= _after_check(repository, result, run)
            if result.settled and result.part and result.part == seen.suspect:
                field["suspect"] = ""
    if run.verb == Verb.VERIFY:
        runs: list[Json] = [to_json(run), *(to_json(one) for one in seen.runs or ())]
        field["runs"] = runs[:KEPT_RUNS]
    return {**change, **({"verification": field} if field else {})}


def _after_reading(suspect: str, result: VerbResult, measure: Measure, began: datetime.datetime) -> JsonObject:
    """One suspicion at a time: the first stands until it was looked into."""
    if result.reason == Reason.DAMAGE_SUSPECTED:
        return {"suspect": suspect or result.part}
    return advanced(measure, began) if result.settled and measure.part else {}


def _after_check(repository: ResticRepository, result: VerbResult, run: MaintenanceRun) -> JsonObject:
    """Damaged is set by a check that found errors; it goes when one found none, in the suspected part neither."""
    conditions, now = repository.status.conditions, run.completion_timestamp
    if result.phase == RunPhase.FAILED and result.reason == Reason.REPOSITORY_DAMAGED and now is not None:
        reason = Reason.REPOSITORY_DAMAGED.value
        return {
            "conditions": with_condition(conditions, DAMAGED_CONDITION, reason=reason, message=result.message, now=now)
        }
    suspect = state_of(repository).suspect
    if result.settled and is_damaged(repository) and suspect in ("", result.part):
        return {"conditions": without_condition(conditions, DAMAGED_CONDITION)}
    return {}
