"""Which lists a backup reads, as a pure function of its spec and of what the server serves.

A name that does not resolve never widens a filter: `validate_backup` refuses it, and here it is an error too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from pkg.apis.ark import BackupSpec
from pkg.apis.label_selector import matches, selector_string
from pkg.apis.meta import LabelSelector
from pkg.apis.name_lists import EVERYTHING
from pkg.backup import priorities
from pkg.backup.includes import Includes, includes
from pkg.kube.discovery import ApiResource, Discovery
from pkg.kube.refs import NAMESPACES, SECRETS
from pkg.kube.resources import ResourceRef

_VERBS = ("list", "create", "get", "delete")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What a backup's spec lets in.

    Attributes:
        namespaces: Filter of namespaces.
        resources: Filter of resources by `plural.group`, cohabiting ones under their preferred name.
        cluster_resources: The spec's `includeClusterResources`.
        own_namespace: Ark's, whose Secrets are never stored.
    """

    namespaces: Includes
    resources: Includes
    cluster_resources: bool | None
    selector: LabelSelector | None
    own_namespace: str

    def takes_resource(self, ref: ResourceRef) -> bool:
        """Whether a resource passes the filter and may be stored."""
        name = priorities.same_objects(ref.group_resource)[0]
        if not priorities.is_stored(ref.group_resource) or name not in self.resources:
            return False
        on_request = {ref.group_resource, name} & priorities.BY_REQUEST
        return not on_request or name in self.resources.included

    def takes_object(self, ref: ResourceRef, namespace: str, name: str) -> bool:
        """Whether an object passes; its labels are asked where objects are listed."""
        return self.takes_resource(ref) and self.filter_of(ref)(namespace, name)

    def filter_of(self, ref: ResourceRef) -> Callable[[str, str], bool]:
        """Which objects of a resource that is known to pass do pass, by namespace and name."""
        if ref == NAMESPACES:
            return lambda namespace, name: name in self.namespaces
        if not ref.namespaced:
            return lambda namespace, name: self.cluster_resources is not False
        hidden = self.own_namespace if ref == SECRETS else None
        return lambda namespace, name: namespace != hidden and namespace in self.namespaces

    def takes_namespace_object(self, name: str, labels: dict[str, str], used: Iterable[str]) -> bool:
        """Whether a Namespace itself is stored: named, matching, or the home of something that is stored."""
        if name not in self.namespaces:
            return False
        return name in self.namespaces.included or name in used or matches(self.selector, labels)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListRequest:
    """One resource to list, in one namespace each, or in all with the namespace ""."""

    ref: ResourceRef
    namespaces: tuple[str, ...]
    label_selector: str


def scope_of(spec: BackupSpec, discovery: Discovery, *, own_namespace: str) -> Scope:
    """The filters of a spec.

    Raises:
        ValueError: a resource's name does not resolve, or the label selector is not valid.
    """
    selector_string(spec.label_selector)

    def resolved(name: str) -> str:
        found = resolve_resource(discovery, name)
        if found is None:
            raise ValueError(f'the server has no resource "{name}"')
        return priorities.same_objects(found.ref.group_resource)[0]

    return Scope(
        namespaces=includes(spec.included_namespaces, spec.excluded_namespaces),
        resources=includes(spec.included_resources, spec.excluded_resources, resolved),
        cluster_resources=spec.include_cluster_resources,
        selector=spec.label_selector,
        own_namespace=own_namespace,
    )


def resolve_resource(discovery: Discovery, name: str) -> ApiResource | None:
    """The resource that a name in a spec means, also by the name of a group that the server no longer serves."""
    direct = discovery.resolve(name)
    if direct is not None or name == EVERYTHING:
        return direct
    others = (discovery.resolve(other) for other in priorities.same_objects(name))
    return next((one for one in others if one is not None), None)


def plan_lists(scope: Scope, discovery: Discovery) -> tuple[ListRequest, ...]:
    """The lists to read, in their order."""
    served = [one for one in discovery.preferred() if one.can(*_VERBS)]
    names = {one.ref.group_resource for one in served}
    wanted = [one.ref for one in served if _is_preferred(one.ref, names) and _takes_list(scope, one.ref)]
    ordered = sorted(wanted, key=lambda ref: priorities.rank(ref.group_resource))
    return tuple(_request(scope, ref) for ref in ordered)


def _is_preferred(ref: ResourceRef, served: set[str]) -> bool:
    first = next(name for name in priorities.same_objects(ref.group_resource) if name in served)
    return ref.group_resource == first


def _takes_list(scope: Scope, ref: ResourceRef) -> bool:
    if not scope.takes_resource(ref):
        return False
    if ref.namespaced or ref == NAMESPACES:
        return True
    if scope.cluster_resources is None:
        return scope.namespaces.is_everything
    return scope.cluster_resources


def _request(scope: Scope, ref: ResourceRef) -> ListRequest:
    if ref == NAMESPACES:
        return ListRequest(ref=ref, namespaces=("",), label_selector="")
    listed = tuple(sorted(scope.namespaces.included - scope.namespaces.excluded)) if ref.namespaced else ()
    return ListRequest(ref=ref, namespaces=listed or ("",), label_selector=selector_string(scope.selector))
