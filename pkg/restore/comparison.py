"""How an object of the backup differs from the one in the cluster, and the patch that would undo that.

Both sides have gone through the same table of changes before, so what a restore takes away (addresses, bindings,
status) is neither a difference nor in the patch. Only names of fields are ever told, never values: one may be a
Secret's.
"""

from __future__ import annotations

from collections.abc import Iterator

from pkg.apis.meta import Json, JsonObject
from pkg.restore.fields import object_at

# Written by controllers while nobody changes anything.
_VOLATILE = frozenset(
    {
        "deployment.kubernetes.io/revision",
        "deployment.kubernetes.io/desired-replicas",
        "deployment.kubernetes.io/max-replicas",
        "deprecated.daemonset.template.generation",
        "control-plane.alpha.kubernetes.io/leader",
        "autoscaling.alpha.kubernetes.io/conditions",
        "autoscaling.alpha.kubernetes.io/current-metrics",
    }
)
_PATHS_SHOWN = 5


def without_volatile(obj: JsonObject) -> JsonObject:
    """The object without the annotations that controllers write by themselves."""
    annotations = object_at(obj, "metadata", "annotations")
    left = {key: value for key, value in annotations.items() if key not in _VOLATILE}
    if len(left) == len(annotations):
        return obj
    metadata = {key: value for key, value in object_at(obj, "metadata").items() if key != "annotations"}
    return {**obj, "metadata": {**metadata, "annotations": left} if left else metadata}


def differences(live: Json, wanted: Json, path: str = "") -> Iterator[str]:
    """Paths of the fields that differ, `spec.replicas`; a list counts as one field."""
    if not isinstance(live, dict) or not isinstance(wanted, dict):
        if live != wanted:
            yield path
        return
    for key in sorted(live.keys() | wanted.keys()):
        yield from differences(live.get(key), wanted.get(key), f"{path}.{key}" if path else key)


def differences_text(live: JsonObject, wanted: JsonObject) -> str:
    """The first of the fields that differ, for a message."""
    paths = list(differences(live, wanted))
    more = f" and {len(paths) - _PATHS_SHOWN} more" if len(paths) > _PATHS_SHOWN else ""
    return ", ".join(paths[:_PATHS_SHOWN]) + more


def update_patch(live: JsonObject, wanted: JsonObject) -> JsonObject:
    """The merge patch that makes the live object like the wanted one; empty when there is nothing to do.

    Labels and annotations that others put there stay; every other field that the backup lacks goes.
    """
    patch = _patch(live, wanted)
    metadata = patch.pop("metadata", {})
    kept = _without_nulls(metadata) if isinstance(metadata, dict) else {}
    return {**patch, "metadata": kept} if kept else patch


def _patch(live: JsonObject, wanted: JsonObject) -> JsonObject:
    patch: JsonObject = {key: None for key in live if key not in wanted}
    for key, value in wanted.items():
        current = live.get(key)
        if isinstance(current, dict) and isinstance(value, dict):
            if inner := _patch(current, value):
                patch[key] = inner
        elif key not in live or current != value:
            patch[key] = value
    return patch


def _without_nulls(obj: JsonObject) -> JsonObject:
    cleaned: JsonObject = {}
    for key, value in obj.items():
        kept = _without_nulls(value) if isinstance(value, dict) else value
        if kept is not None and kept != {}:
            cleaned[key] = kept
    return cleaned
