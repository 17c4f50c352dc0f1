"""Conditions of a status: one per type, changed without touching the others.

A merge patch replaces the whole list, so it is always written with a compare-and-set on the object that was read.
"""

from __future__ import annotations

import datetime

import msgspec

from pkg.apis.meta import Condition, Json

TRUE = "True"


def find_condition(conditions: tuple[Condition, ...] | None, kind: str) -> Condition | None:
    """The condition of a type that is True, or None."""
    return next((one for one in conditions or () if one.type == kind and one.status == TRUE), None)


def with_condition(
    conditions: tuple[Condition, ...] | None, kind: str, *, reason: str, message: str, now: datetime.datetime
) -> list[Json]:
    """The list with this condition True; its time stays where the reason stays."""
    before = find_condition(conditions, kind)
    since = before.last_transition_time if before is not None and before.reason == reason else None
    new = Condition(
        type=kind,
        status=TRUE,
        reason=reason,
        message=message,
        last_transition_time=since or now.replace(microsecond=0),
    )
    return [*without_condition(conditions, kind), msgspec.to_builtins(new)]


def without_condition(conditions: tuple[Condition, ...] | None, kind: str) -> list[Json]:
    """The list without the condition."""
    return [msgspec.to_builtins(one) for one in conditions or () if one.type != kind]
