"""The table of what changes in an object on its way back into a cluster.

Each row is one idea with its own test. The rows run on the backed-up object before it is created, and on the
cluster's object when both are compared, so that what they take away never counts as a difference.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pkg.apis.meta import JsonObject
from pkg.apis.names import GROUP, RESTORE_LABEL, RESTORE_UID_LABEL
from pkg.restore.actions_mapping import map_class, map_classes_of_templates, map_images
from pkg.restore.actions_namespaces import API_SERVICES, POLICY_BINDINGS, WEBHOOKS, map_references, map_subjects
from pkg.restore.actions_pods import (
    drop_own_annotations,
    drop_placement,
    drop_restic_wait,
    drop_token_volumes,
)
from pkg.restore.actions_volumes import let_claim_bind, let_volume_bind
from pkg.restore.archive import Entry
from pkg.restore.fields import drop, drop_keys, object_at, text_at, texts_at, value_at
from pkg.restore.plan import CLAIMS, CRDS, JOBS, PODS, SERVICES, VOLUMES, Facts
from pkg.restore.pod_specs import POD_SPECS, STATEFUL_SETS
from pkg.restore.services import drop_addresses

OWN_LABELS = (RESTORE_LABEL, RESTORE_UID_LABEL)
_KEPT_METADATA = ("name", "labels", "annotations")
_CONTROLLER_UID = "controller-uid"
_BATCH_PREFIX = "batch.kubernetes.io/"
_TOKEN_SECRET = "kubernetes.io/service-account-token"


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """A row: what it concerns, and the change, made in place on a copy."""

    name: str
    resource: str
    change: Callable[[JsonObject, Entry, Facts], None]


def restored(obj: JsonObject, entry: Entry, facts: Facts) -> JsonObject:
    """The object as it is created, but for its namespace and Ark's labels."""
    changed = copy.deepcopy(obj)
    for row in ACTIONS:
        if row.resource == entry.group_resource:
            row.change(changed, entry, facts)
    return reset_metadata(changed)


def reset_metadata(obj: JsonObject) -> JsonObject:
    """The object with name, labels and annotations only, without Ark's labels and without status."""
    metadata: JsonObject = {}
    for key in _KEPT_METADATA:
        if value := value_at(obj, "metadata", key):
            metadata[key] = copy.copy(value)
    changed: JsonObject = {key: value for key, value in obj.items() if key not in ("metadata", "status")}
    changed["metadata"] = metadata
    drop_keys(changed, ("metadata", "labels"), OWN_LABELS)
    return changed


def labelled(obj: JsonObject, *, namespace: str, labels: Mapping[str, str]) -> JsonObject:
    """The object with its namespace and more labels."""
    metadata: JsonObject = {**object_at(obj, "metadata"), "labels": {**texts_at(obj, "metadata", "labels"), **labels}}
    if namespace:
        metadata["namespace"] = namespace
    return {**obj, "metadata": metadata}


def _drop_job_uids(obj: JsonObject, entry: Entry, facts: Facts) -> None:
    drop_keys(obj, ("metadata", "annotations"), ["batch.kubernetes.io/job-tracking"])
    if value_at(obj, "spec", "manualSelector") is True:
        return
    if (entry.namespace, entry.name) in facts.jobs_with_data:
        # Its pods come back because they carry a volume's restore; with their old labels it adopts them.
        obj["spec"] = {**object_at(obj, "spec"), "manualSelector": True}
        return
    for path in (
        ("metadata", "labels"),
        ("spec", "selector", "matchLabels"),
        ("spec", "template", "metadata", "labels"),
    ):
        keys = [key for key in object_at(obj, *path) if key == _CONTROLLER_UID or key.startswith(_BATCH_PREFIX)]
        drop_keys(obj, path, keys)
    if not object_at(obj, "spec", "selector"):
        drop(obj, "spec", "selector")


def _drop_token_data(obj: JsonObject, entry: Entry, facts: Facts) -> None:
    """A token is valid for one cluster's account only; the cluster fills an empty one anew."""
    if text_at(obj, "type") == _TOKEN_SECRET:
        drop_keys(obj, ("metadata", "annotations"), ["kubernetes.io/service-account.uid"])
        drop_keys(obj, ("data",), ["token", "ca.crt", "namespace"])


def _pause_schedule(obj: JsonObject, entry: Entry, facts: Facts) -> None:
    """A schedule that comes back must not start backups before somebody looked at the cluster."""
    obj["spec"] = {**object_at(obj, "spec"), "paused": True}


ACTIONS = (
    Action(name="no node, priority or debug container", resource=PODS, change=drop_placement),
    Action(name="no token volume", resource=PODS, change=drop_token_volumes),
    Action(name="no restic-wait of an earlier restore", resource=PODS, change=drop_restic_wait),
    Action(name="no annotation of an earlier backup or restore", resource=PODS, change=drop_own_annotations),
    Action(name="no UID of the old job", resource=JOBS, change=_drop_job_uids),
    Action(name="no address of the old cluster", resource=SERVICES, change=drop_addresses),
    Action(name="a claim that binds anew", resource=CLAIMS, change=let_claim_bind),
    Action(name="a claim's storage class follows", resource=CLAIMS, change=map_class),
    Action(name="a volume that binds anew", resource=VOLUMES, change=let_volume_bind),
    Action(name="a volume's storage class follows", resource=VOLUMES, change=map_class),
    *(
        Action(name="storage classes of claims to come follow", resource=resource, change=map_classes_of_templates)
        for resource in (PODS, STATEFUL_SETS)
    ),
    *(Action(name="images follow", resource=resource, change=map_images) for resource in POD_SPECS),
    Action(name="no token of the old cluster", resource="secrets", change=_drop_token_data),
    Action(name="subjects follow", resource="rolebindings.rbac.authorization.k8s.io", change=map_subjects),
    Action(name="subjects follow", resource="clusterrolebindings.rbac.authorization.k8s.io", change=map_subjects),
    *(
        Action(name="services and parameters follow", resource=resource, change=map_references)
        for resource in (*WEBHOOKS, API_SERVICES, CRDS, POLICY_BINDINGS)
    ),
    Action(name="schedules are paused", resource=f"schedules.{GROUP}", change=_pause_schedule),
)
