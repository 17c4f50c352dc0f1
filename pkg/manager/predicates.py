"""Which changes are worth a reconcile, decided before the queue; the cache holds every object all the same.

A predicate sees a change as the object before and after it: no `old` is an add, no `new` a delete, both the same
version a resync. (controller-runtime, pkg/predicate)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

from pkg.apis.label_selector import matches
from pkg.apis.meta import LabelSelector, Object

T = TypeVar("T", bound=Object)
T_co = TypeVar("T_co", bound=Object, covariant=True)


@dataclass(frozen=True, slots=True)
class Change(Generic[T_co]):
    """One object before and after; at most one of them is None."""

    old: T_co | None
    new: T_co | None


Predicate: TypeAlias = Callable[[Change[T]], bool]


def version_changed(change: Change[Object]) -> bool:
    """Drops resyncs."""
    return _differs(change, lambda obj: obj.metadata.resource_version)


def generation_changed(change: Change[Object]) -> bool:
    """Drops resyncs and changes of status, labels and annotations alone.

    A deletion that waits for finalizers counts as a new generation. Only for kinds whose generation the server moves.
    """
    return _differs(change, lambda obj: obj.metadata.generation)


def labels_changed(change: Change[Object]) -> bool:
    """Drops updates that leave the labels as they are."""
    return _differs(change, lambda obj: obj.metadata.labels or {})


def annotations_changed(change: Change[Object]) -> bool:
    """Drops updates that leave the annotations as they are."""
    return _differs(change, lambda obj: obj.metadata.annotations or {})


def labelled(selector: LabelSelector) -> Predicate[Object]:
    """Drops changes of objects that the selector matches neither before nor after."""

    def matched(change: Change[Object]) -> bool:
        return any(obj is not None and matches(selector, obj.metadata.labels) for obj in (change.old, change.new))

    return matched


def all_of(*predicates: Predicate[T]) -> Predicate[T]:
    """What every predicate lets through."""
    return lambda change: all(predicate(change) for predicate in predicates)


def any_of(*predicates: Predicate[T]) -> Predicate[T]:
    """What one predicate lets through."""
    return lambda change: any(predicate(change) for predicate in predicates)


def none_of(*predicates: Predicate[T]) -> Predicate[T]:
    """What no predicate lets through."""
    return lambda change: not any(predicate(change) for predicate in predicates)


def _differs(change: Change[Object], field: Callable[[Object], object]) -> bool:
    return change.old is None or change.new is None or field(change.old) != field(change.new)
