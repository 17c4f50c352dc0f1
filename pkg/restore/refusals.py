"""The table of what is never restored, and why.

Objects that the cluster makes by itself would fight with what is made anew, and Ark's own objects would act: a
DeleteBackupRequest restored without its status would delete a backup.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pkg.apis.meta import JsonObject
from pkg.apis.names import GROUP, MIRROR_POD_ANNOTATION
from pkg.restore.archive import Entry
from pkg.restore.fields import objects_at, text_at, texts_at
from pkg.restore.plan import CLAIMS, CRDS, JOBS, PODS, VOLUMES, Facts, controlling_job

NEVER = {
    "nodes": "nodes register themselves",
    "events": "events belong to the past",
    "events.events.k8s.io": "events belong to the past",
    "leases.coordination.k8s.io": "leases belong to running processes",
    "csinodes.storage.k8s.io": "nodes make them",
    "volumeattachments.storage.k8s.io": "the attach controller makes them",
    "csistoragecapacities.storage.k8s.io": "the storage driver makes them",
    "resourceslices.resource.k8s.io": "nodes make them",
    "ipaddresses.networking.k8s.io": "services make them",
    "componentstatuses": "they only report",
}
# The kinds of Ark that describe what people want; all others are its own work.
ARK_RESTORED = frozenset({f"schedules.{GROUP}", f"configs.{GROUP}"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A row: what it concerns, and a test that gives the reason, empty when the object is restored."""

    name: str
    resource: str
    reason: Callable[[JsonObject, Entry, Facts], str]


def refusal_of_resource(group_resource: str) -> str:
    """Why no object of a resource is restored; empty when they are."""
    if group_resource.endswith(f".{GROUP}") and group_resource not in ARK_RESTORED:
        return "Ark's own objects are never restored"
    return NEVER.get(group_resource, "")


def refusal_of(obj: JsonObject, entry: Entry, facts: Facts) -> str:
    """Why an object is not restored; empty when it is."""
    reasons = (row.reason(obj, entry, facts) for row in REFUSALS if row.resource == entry.group_resource)
    return next((reason for reason in reasons if reason), "")


def _mirror_pod(obj: JsonObject, entry: Entry, facts: Facts) -> str:
    return "a mirror pod is made by its node" if MIRROR_POD_ANNOTATION in _annotations(obj) else ""


def _finished_pod(obj: JsonObject, entry: Entry, facts: Facts) -> str:
    return "the pod had finished" if text_at(obj, "status", "phase") in ("Succeeded", "Failed") else ""


def _pod_of_job(obj: JsonObject, entry: Entry, facts: Facts) -> str:
    """A job takes only pods with its own new UID in their labels, so its work would be done twice."""
    job = controlling_job(obj)
    again = job and facts.jobs_restored and (entry.namespace, job) not in facts.jobs_with_data
    return "its job makes it anew" if again else ""


def _finished_job(obj: JsonObject, entry: Entry, facts: Facts) -> str:
    conditions = objects_at(obj, "status", "conditions")
    ended = any(one.get("type") in ("Complete", "Failed") and one.get("status") == "True" for one in conditions)
    return "the job had finished" if ended or text_at(obj, "status", "completionTime") else ""


def _endpoints(obj: JsonObject, entry: Entry, facts: Facts) -> str:
    managed = "endpoints.kubernetes.io/last-change-trigger-time" in _annotations(obj)
    selected = (entry.namespace, entry.name) in facts.selector_services
    return "the endpoints of a service with a selector are made by the cluster" if managed or selected else ""


def _endpoint_slice(obj: JsonObject, entry: Entry, facts: Facts) -> str:
    labels = texts_at(obj, "metadata", "labels")
    managed = labels.get("endpointslice.kubernetes.io/managed-by", "").endswith(".k8s.io")
    selected = (entry.namespace, labels.get("kubernetes.io/service-name", "")) in facts.selector_services
    return "the endpoint slice is made by the cluster" if managed or selected else ""


def _volume_made_anew(obj: JsonObject, entry: Entry, facts: Facts) -> str:
    return "" if entry.name in facts.kept_volumes else "its claim gets a new volume"


def is_of_pod(claim: JsonObject) -> bool:
    """Whether a claim is that of a generic ephemeral volume, which its pod makes."""
    owners = objects_at(claim, "metadata", "ownerReferences")
    return any(owner.get("kind") == "Pod" and owner.get("controller") is True for owner in owners)


def _claim_of_pod(obj: JsonObject, entry: Entry, facts: Facts) -> str:
    return "the claim of an ephemeral volume is made by its pod" if is_of_pod(obj) else ""


def _published_certificate(obj: JsonObject, entry: Entry, facts: Facts) -> str:
    return "the cluster publishes its own certificate" if entry.name == "kube-root-ca.crt" else ""


def _local_api_service(obj: JsonObject, entry: Entry, facts: Facts) -> str:
    managed = "kube-aggregator.kubernetes.io/automanaged" in texts_at(obj, "metadata", "labels")
    return "the API server makes it" if managed else ""


def _own_definition(obj: JsonObject, entry: Entry, facts: Facts) -> str:
    return "Ark's own definitions are installed with Ark" if text_at(obj, "spec", "group") == GROUP else ""


def _annotations(obj: JsonObject) -> dict[str, str]:
    return texts_at(obj, "metadata", "annotations")


REFUSALS = (
    Refusal(name="mirror pods", resource=PODS, reason=_mirror_pod),
    Refusal(name="finished pods", resource=PODS, reason=_finished_pod),
    Refusal(name="pods of jobs", resource=PODS, reason=_pod_of_job),
    Refusal(name="finished jobs", resource=JOBS, reason=_finished_job),
    Refusal(name="endpoints", resource="endpoints", reason=_endpoints),
    Refusal(name="endpoint slices", resource="endpointslices.discovery.k8s.io", reason=_endpoint_slice),
    Refusal(name="volumes made anew", resource=VOLUMES, reason=_volume_made_anew),
    Refusal(name="claims of ephemeral volumes", resource=CLAIMS, reason=_claim_of_pod),
    Refusal(name="the cluster's certificate", resource="configmaps", reason=_published_certificate),
    Refusal(name="local API services", resource="apiservices.apiregistration.k8s.io", reason=_local_api_service),
    Refusal(name="Ark's definitions", resource=CRDS, reason=_own_definition),
)
