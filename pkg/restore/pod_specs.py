"""Where the objects that run pods keep the pods' specs."""

from __future__ import annotations

from pkg.apis.meta import JsonObject
from pkg.restore.fields import object_at

POD_SPECS: dict[str, tuple[str, ...]] = {
    "pods": ("spec",),
    "podtemplates": ("template", "spec"),
    "replicationcontrollers": ("spec", "template", "spec"),
    "deployments.apps": ("spec", "template", "spec"),
    "replicasets.apps": ("spec", "template", "spec"),
    "statefulsets.apps": ("spec", "template", "spec"),
    "daemonsets.apps": ("spec", "template", "spec"),
    "jobs.batch": ("spec", "template", "spec"),
    "cronjobs.batch": ("spec", "jobTemplate", "spec", "template", "spec"),
}
STATEFUL_SETS = "statefulsets.apps"


def pod_spec(obj: JsonObject, group_resource: str) -> JsonObject:
    """The spec of the pods that an object is or makes; a detached empty one for other objects."""
    path = POD_SPECS.get(group_resource)
    return object_at(obj, *path) if path else {}
