"""The one way a reconciler writes a status: a small merge patch that compares and sets.

A status is never written from a stale view (design.md invariant 3). `patch_status` refuses with ConflictError when
the object changed since it was read; `patch_progress` touches one field that only its writer owns and is tied to
the object's UID, so that it can never land on a successor of the same name.
"""

from __future__ import annotations

import datetime
from typing import TypeVar

import msgspec

from pkg.apis.meta import ApiStruct, JsonObject, Object
from pkg.kube.client import Client
from pkg.kube.resources import ResourceRef

T = TypeVar("T", bound=Object)


def to_json(value: ApiStruct) -> JsonObject:
    """A struct as the JSON object that goes into a patch; defaults are left out."""
    built: JsonObject = msgspec.to_builtins(value)
    return built


def timestamp(moment: datetime.datetime) -> str:
    """RFC 3339 with seconds, the form of every time in the API."""
    return moment.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def patch_status(client: Client, ref: ResourceRef, obj: T, change: JsonObject) -> T:
    """Writes `status` fields of the object as it was read; returns the server's answer.

    Raises:
        ConflictError: the object is not the one that was read any more.
    """
    patch: JsonObject = {
        "metadata": {"uid": obj.metadata.uid, "resourceVersion": obj.metadata.resource_version},
        "status": change,
    }
    return client.patch(ref, obj.metadata.namespace, obj.metadata.name, patch, type(obj), subresource="status")


def patch_progress(client: Client, ref: ResourceRef, obj: T, change: JsonObject) -> None:
    """Writes fields that only the caller writes, tied to the object's UID but not to its version."""
    patch: JsonObject = {"metadata": {"uid": obj.metadata.uid}, "status": change}
    client.patch(ref, obj.metadata.namespace, obj.metadata.name, patch, type(obj), subresource="status")
