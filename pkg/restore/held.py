"""Which objects wait for the data: workloads whose pods would start on a claim that is still being filled.

A restored controller that wants more pods than the backup held makes the others itself, without restic-wait: they would
run on half of their data. So it comes when every volume has ended, and not at all while a claim of its pods lacks its
contents. Kinds that run pods in ways of their own are named in `restoreLast`.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from pkg.apis.meta import JsonObject
from pkg.restore.fields import objects_at, text_at
from pkg.restore.plan import PODS
from pkg.restore.pod_specs import POD_SPECS, STATEFUL_SETS, pod_spec

WORKLOADS = frozenset(POD_SPECS) - {PODS, "podtemplates"}


def claims_used(obj: JsonObject, group_resource: str, names: Collection[str]) -> list[str]:
    """Those of the claims that the pods of a workload mount.

    Args:
        obj: The workload.
        group_resource: Its resource; others than workloads use none.
        names: Claims of its namespace.
    """
    if group_resource not in WORKLOADS:
        return []
    mounted = {
        text_at(volume, "persistentVolumeClaim", "claimName")
        for volume in objects_at(pod_spec(obj, group_resource), "volumes")
    }
    made = _claims_made(obj) if group_resource == STATEFUL_SETS else None
    return sorted(name for name in names if name in mounted or (made and made.fullmatch(name)))


def _claims_made(stateful_set: JsonObject) -> re.Pattern[str] | None:
    """The names of the claims that a stateful set makes for its pods: `<template>-<set>-<number>`."""
    templates = [text_at(one, "metadata", "name") for one in objects_at(stateful_set, "spec", "volumeClaimTemplates")]
    if not templates:
        return None
    own = re.escape(text_at(stateful_set, "metadata", "name"))
    return re.compile(f"({'|'.join(re.escape(one) for one in templates)})-{own}-\\d+")
