"""What a request to the fake API server asks for, and the answers to discovery."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote

import msgspec

from pkg.apis.meta import JsonObject
from pkg.kube.errors import status_error
from pkg.kube.resources import ResourceRef

VERBS = ("create", "delete", "get", "list", "patch", "watch")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request that the fake server understood; `content` is its decoded body."""

    method: str
    ref: ResourceRef
    namespace: str
    name: str
    subresource: str
    query: Mapping[str, str]
    content: JsonObject
    content_type: str


def parse_request(
    method: str,
    path: str,
    resources: Sequence[ResourceRef],
    query: Mapping[str, str],
    body: bytes | None,
    content_type: str,
) -> Request:
    """Finds what the path names; NotFoundError when the server does not serve it."""
    parts = [unquote(part) for part in path.strip("/").split("/")]
    group, version, rest = ("", parts[1], parts[2:]) if parts[0] == "api" else (parts[1], parts[2], parts[3:])
    namespace = ""
    if len(rest) > 2 and rest[0] == "namespaces":
        namespace, rest = rest[1], rest[2:]
    plural, name, subresource = [*rest, "", ""][:3]
    served = [ref for ref in resources if (ref.group, ref.version, ref.plural) == (group, version, plural)]
    if not served:
        raise status_error("the server could not find the requested resource", code=404, reason="NotFound")
    return Request(
        method=method,
        ref=served[0],
        namespace=namespace,
        name=name,
        subresource=subresource,
        query=query,
        content=msgspec.json.decode(body) if body else {},
        content_type=content_type,
    )


def discovery_answer(path: str, resources: Sequence[ResourceRef]) -> bytes | None:
    """The body for a path of discovery; None for any other path."""
    parts = path.strip("/").split("/")
    if parts == ["apis"]:
        return msgspec.json.encode({"kind": "APIGroupList", "groups": _groups(resources)})
    if parts[:1] == ["api"] and len(parts) == 2:
        group, version = "", parts[1]
    elif parts[:1] == ["apis"] and len(parts) == 3:
        group, version = parts[1], parts[2]
    else:
        return None
    found = [_resource(ref) for ref in resources if (ref.group, ref.version) == (group, version)]
    return msgspec.json.encode({"kind": "APIResourceList", "resources": found})


def _groups(resources: Sequence[ResourceRef]) -> list[JsonObject]:
    served: dict[str, dict[str, JsonObject]] = {}
    for ref in resources:
        if ref.group:
            versions = served.setdefault(ref.group, {})
            versions.setdefault(ref.version, {"groupVersion": ref.api_version, "version": ref.version})
    return [
        {"name": group, "versions": list(versions.values()), "preferredVersion": next(iter(versions.values()))}
        for group, versions in served.items()
    ]


def _resource(ref: ResourceRef) -> JsonObject:
    return {
        "name": ref.plural,
        "singularName": ref.kind.lower(),
        "kind": ref.kind,
        "namespaced": ref.namespaced,
        "verbs": list(VERBS),
    }
