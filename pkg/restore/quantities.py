"""restic-wait's requests and limits: its own default, but within what the pod's other containers have.

A value between the smallest and the largest of theirs passes every LimitRange that let them pass, and never makes the
pod need more of a quota than they do; naming a resource where they name it keeps the pod's quality of service.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal

from pkg.apis.meta import Json, JsonObject
from pkg.restore.fields import containers, object_at

DEFAULTS = {"cpu": "100m", "memory": "128Mi"}
_FORM = re.compile(r"(\d+(?:\.\d*)?)([numkMGTPE]|[KMGTPE]i)?(?:[eE]([+-]?\d+))?")
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}


def quantity(value: Json) -> Decimal | None:
    """A quantity as a number; None for what is none."""
    found = _FORM.fullmatch(str(value)) if isinstance(value, str | int | float) else None
    if found is None:
        return None
    number, suffix, exponent = Decimal(found[1]), found[2] or "", int(found[3] or 0)
    factor = Decimal(1024) ** _BINARY[suffix] if suffix in _BINARY else Decimal(10) ** _DECIMAL[suffix]
    return number * factor * Decimal(10) ** exponent


def resources_within(pod_spec: JsonObject, chosen: Mapping[str, Mapping[str, str]]) -> JsonObject:
    """`requests` and `limits` of restic-wait; empty for a pod whose containers name neither cpu nor memory.

    Args:
        pod_spec: The pod that it is added to.
        chosen: What an operator set; counts as it is.
    """
    found: JsonObject = {}
    for kind in ("requests", "limits"):
        values: JsonObject = {**_defaults(pod_spec, kind), **chosen.get(kind, {})}
        if values:
            found[kind] = values
    return found


def _defaults(pod_spec: JsonObject, kind: str) -> dict[str, str]:
    fitting = {name: _fitting(pod_spec, kind, name, default) for name, default in DEFAULTS.items()}
    return {name: value for name, value in fitting.items() if value}


def _fitting(pod_spec: JsonObject, kind: str, name: str, default: str) -> str:
    """The default, or the nearest value that a container of the pod has; empty where none names it."""
    named = [object_at(one, "resources", kind).get(name) for one in containers(pod_spec)]
    sizes = sorted((size, str(value)) for value in named if (size := quantity(value)) is not None)
    if not sizes:
        return ""
    candidates = (sizes[0], (quantity(default) or Decimal(0), default), sizes[-1])
    return sorted(candidates)[1][1]
