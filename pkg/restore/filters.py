"""Which of a backup's objects a Restore asks for.

Names of resources are resolved by the cluster's discovery or, for kinds that only this restore brings, by the
tarball. A name that neither knows matches nothing and is reported; it never widens the selection.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from pkg.apis.ark import RestoreSpec
from pkg.restore.archive import Entry

EVERYTHING = "*"
Resolve = Callable[[str], str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class NameFilter:
    """Names that are taken; without includes all but the excluded ones."""

    includes: frozenset[str] | None
    excludes: frozenset[str]

    def takes(self, name: str) -> bool:
        """Whether the name is taken."""
        return name not in self.excludes and (self.includes is None or name in self.includes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What a Restore asks for, before labels.

    Attributes:
        unknown: Resources that were asked for by names that mean nothing here.
    """

    namespaces: NameFilter
    resources: NameFilter
    cluster_resources: bool
    unknown: tuple[str, ...] = ()

    def takes(self, entry: Entry) -> bool:
        """Whether an object is asked for."""
        if not self.resources.takes(entry.group_resource):
            return False
        return self.namespaces.takes(entry.namespace) if entry.namespace else self.cluster_resources


def scope_of(spec: RestoreSpec, resolve: Resolve) -> Scope:
    """The scope of a Restore; cluster-scoped objects belong to it unless they are refused, as in 0.9.

    Args:
        spec: What is asked for.
        resolve: Gives `deployments.apps` for `deploy`; None for a name that means nothing.
    """
    wanted, unknown = _resolved(spec.included_resources or (), resolve)
    unwanted, _ = _resolved(spec.excluded_resources or (), resolve)
    return Scope(
        namespaces=_filter(spec.included_namespaces or (), frozenset(spec.excluded_namespaces or ())),
        resources=_filter(spec.included_resources or (), unwanted, wanted),
        cluster_resources=spec.include_cluster_resources is not False,
        unknown=unknown,
    )


def resolver(discovered: Resolve, in_tarball: Iterable[str]) -> Resolve:
    """Looks a name up in the cluster's discovery, then among the tarball's `plural.group` names."""
    full = set(in_tarball)
    by_plural = {name.partition(".")[0]: name for name in sorted(full, reverse=True)}

    def resolve(name: str) -> str | None:
        lowered = name.strip().lower()
        return lowered if lowered in full else discovered(lowered) or by_plural.get(lowered)

    return resolve


def _filter(includes: tuple[str, ...], excludes: frozenset[str], resolved: frozenset[str] | None = None) -> NameFilter:
    everything = not includes or EVERYTHING in includes
    return NameFilter(
        includes=None if everything else resolved if resolved is not None else frozenset(includes), excludes=excludes
    )


def _resolved(names: tuple[str, ...], resolve: Resolve) -> tuple[frozenset[str], tuple[str, ...]]:
    found = {name: resolve(name) for name in names if name != EVERYTHING}
    known = frozenset(resource for resource in found.values() if resource)
    return known, tuple(name for name, resource in found.items() if not resource)
