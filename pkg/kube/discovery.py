"""What the API server serves: every group, version and resource, and which of them a name means.

A group whose server is down (an aggregated API) is left out with a warning; it must not stop a backup of the rest.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec
import structlog

from pkg.kube.client import Client, decode
from pkg.kube.errors import ApiStatusError, DecodeError, KubeError, TransportError
from pkg.kube.resources import ResourceRef

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiResource:
    """One resource in one version.

    Attributes:
        preferred: The version is its group's preferred one (or the first that serves this resource).
    """

    ref: ResourceRef
    verbs: tuple[str, ...]
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    singular: str = ""
    preferred: bool = False

    def can(self, *verbs: str) -> bool:
        """Whether all these verbs are served."""
        return all(verb in self.verbs for verb in verbs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Discovery:
    """An answer of the server as of one moment; `warnings` names the groups that did not answer."""

    resources: tuple[ApiResource, ...]
    warnings: tuple[str, ...] = ()
    _by_name: dict[str, ApiResource] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        for resource in self.preferred():
            for name in _names(resource):
                self._by_name.setdefault(name, resource)

    def preferred(self) -> tuple[ApiResource, ...]:
        """Each resource once, in its preferred version; subresources are not among them."""
        return tuple(resource for resource in self.resources if resource.preferred)

    def all_versions(self) -> tuple[ApiResource, ...]:
        """Each resource in each served version."""
        return self.resources

    def resolve(self, name: str) -> ApiResource | None:
        """The resource that `deploy`, `deployments`, `deployment` or `deployments.apps` means, in any case."""
        return self._by_name.get(name.strip().lower())

    def for_kind(self, api_version: str, kind: str) -> ApiResource | None:
        """The resource of an object's apiVersion and kind."""
        matching = (item for item in self.resources if item.ref.kind == kind and item.ref.api_version == api_version)
        return next(matching, None)

    def serves(self, group_version: str, kind: str) -> bool:
        """Whether objects of this apiVersion and kind can exist."""
        return self.for_kind(group_version, kind) is not None


class _GroupVersion(msgspec.Struct, frozen=True, rename="camel"):
    group_version: str
    version: str


class _Group(msgspec.Struct, frozen=True, rename="camel"):
    name: str
    versions: tuple[_GroupVersion, ...] = ()
    preferred_version: _GroupVersion | None = None


class _GroupList(msgspec.Struct, frozen=True):
    groups: tuple[_Group, ...] = ()


class _Resource(msgspec.Struct, frozen=True, rename="camel"):
    name: str
    kind: str
    namespaced: bool = False
    singular_name: str = ""
    verbs: tuple[str, ...] | None = None
    short_names: tuple[str, ...] | None = None
    categories: tuple[str, ...] | None = None


class _ResourceList(msgspec.Struct, frozen=True):
    resources: tuple[_Resource, ...] | None = None


def discover(client: Client) -> Discovery:
    """Asks the server for all it serves.

    Raises:
        KubeError: the list of groups, or the core group, did not answer; others only become warnings.
    """
    found = _resources(client, "/api/v1", "", "v1")
    warnings: list[str] = []
    body = client.transport.request("GET", "/apis").body
    for group in decode(body, _GroupList, "the list of API groups").groups:
        for version in _preferred_first(group):
            try:
                found += _resources(client, f"/apis/{version.group_version}", group.name, version.version)
            except (ApiStatusError, TransportError, DecodeError) as error:
                warnings.append(_warning(version.group_version, error))
    return Discovery(resources=_mark_preferred(found), warnings=tuple(warnings))


def _warning(group_version: str, error: KubeError) -> str:
    log.warning("API group skipped", group_version=group_version, error=str(error))
    return f"{group_version} is skipped, because it does not answer: {error}"


def _preferred_first(group: _Group) -> list[_GroupVersion]:
    preferred = group.preferred_version.version if group.preferred_version else ""
    return sorted(group.versions, key=lambda version: version.version != preferred)


def _resources(client: Client, path: str, group: str, version: str) -> list[ApiResource]:
    body = client.transport.request("GET", path).body
    return [
        ApiResource(
            ref=ResourceRef(group=group, version=version, plural=item.name, kind=item.kind, namespaced=item.namespaced),
            verbs=item.verbs or (),
            short_names=item.short_names or (),
            categories=item.categories or (),
            singular=item.singular_name,
        )
        for item in decode(body, _ResourceList, f"the resources of {path}").resources or ()
        if "/" not in item.name
    ]


def _mark_preferred(resources: Iterable[ApiResource]) -> tuple[ApiResource, ...]:
    """Marks the first version of each resource; versions come in the group's order of preference."""
    seen: set[str] = set()
    marked = []
    for item in resources:
        first = item.ref.group_resource not in seen
        seen.add(item.ref.group_resource)
        marked.append(dataclasses.replace(item, preferred=first))
    return tuple(marked)


def _names(resource: ApiResource) -> list[str]:
    """All that a person may call it; the full name first. Core comes before all groups, so it wins."""
    ref = resource.ref
    names = [ref.group_resource, ref.plural, resource.singular or ref.kind, ref.kind, *resource.short_names]
    if ref.group:
        names += [f"{ref.plural}.{ref.version}.{ref.group}", f"{resource.singular or ref.kind}.{ref.group}"]
    return [name.lower() for name in names]
