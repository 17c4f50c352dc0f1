"""The application's objects before and after: what must be the same, and what must be new."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TypeAlias

from hack.demo_compare import Difference, Kind

JsonValue: TypeAlias = "dict[str, JsonValue] | list[JsonValue] | str | int | float | bool | None"
Object: TypeAlias = "dict[str, JsonValue]"

COMPARED = ("configmap/settings", "configmap/scripts", "secret/keys", "service/shop", "deployment/shop", "pvc/data")
NEW_IN_THIS_CLUSTER = {
    "Service": ("clusterIP", "clusterIPs"),
    "PersistentVolumeClaim": ("volumeName",),
}


def essence(found: Object) -> Object:
    """The fields of an object that a restore must bring back as they were."""
    kind = str(found.get("kind"))
    spec = found.get("spec")
    kept: Object = {key: found[key] for key in ("data", "binaryData", "type") if key in found}
    if isinstance(spec, dict):
        kept["spec"] = {key: value for key, value in spec.items() if key not in NEW_IN_THIS_CLUSTER.get(kind, ())}
    return kept


def compare_objects(before: Mapping[str, Object], after: Mapping[str, Object]) -> list[Difference]:
    """Returns a difference for each object whose essence is not as it was."""
    found = []
    for name in sorted(before.keys() | after.keys()):
        was, is_now = (essence(side[name]) if name in side else None for side in (before, after))
        if was != is_now:
            found.append(Difference(Kind.OBJECT, name, json.dumps(was), json.dumps(is_now)))
    return found


def not_renewed(before: Mapping[str, str], after: Mapping[str, str]) -> list[Difference]:
    """Returns a difference for each identity that stayed: then it was never deleted, and nothing was shown."""
    return [
        Difference(Kind.OBJECT, name, value, "the same, so this is not a restored one")
        for name, value in before.items()
        if after.get(name, value) == value
    ]
