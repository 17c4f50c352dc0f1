"""In which order a backup's objects are restored, and what must be known about them together before that.

Definitions come before what they define, pods before their controllers (they carry the wait for their data and are
adopted afterwards), and what can stand in the way of other creations (webhooks, aggregated APIs) comes last.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pkg.apis.label_selector import matches
from pkg.apis.meta import JsonObject, LabelSelector
from pkg.restore.archive import Entry
from pkg.restore.captures import Captures
from pkg.restore.fields import object_at, objects_at, text_at, texts_at
from pkg.restore.filters import Scope

CRDS = "customresourcedefinitions.apiextensions.k8s.io"
NAMESPACES = "namespaces"
PODS = "pods"
CLAIMS = "persistentvolumeclaims"
VOLUMES = "persistentvolumes"
SERVICES = "services"
JOBS = "jobs.batch"

# Classes come before what names them, or pods and claims that name one would be refused. Service accounts come
# before secrets, because a token Secret without its account is deleted by the cluster.
PRIORITIES = (
    CRDS,
    NAMESPACES,
    "storageclasses.storage.k8s.io",
    "csidrivers.storage.k8s.io",
    "priorityclasses.scheduling.k8s.io",
    "runtimeclasses.node.k8s.io",
    VOLUMES,
    CLAIMS,
    "serviceaccounts",
    "secrets",
    "configmaps",
    "limitranges",
    PODS,
    "replicasets.apps",
)
LAST = (
    "mutatingwebhookconfigurations.admissionregistration.k8s.io",
    "validatingwebhookconfigurations.admissionregistration.k8s.io",
    "validatingadmissionpolicies.admissionregistration.k8s.io",
    "validatingadmissionpolicybindings.admissionregistration.k8s.io",
    "apiservices.apiregistration.k8s.io",
)

Read = Callable[[Entry], JsonObject | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What one object's treatment needs to know about others.

    Attributes:
        namespace_mapping: Original namespace to target namespace.
        captured_claims: (namespace, claim) of the claims whose contents restic holds.
        needed_claims: (namespace, claim) of those that the restored pods mount; no label selector leaves them out.
        kept_volumes: Names of the persistent volumes that are restored as they were, on their old disk.
        selector_services: (namespace, name) of services whose endpoints the cluster makes.
        jobs_restored: Whether jobs are restored at all.
        jobs_with_data: (namespace, name) of jobs whose pods carry the restore of a volume.
        storage_classes: Storage class in the backup to the one to use.
        images: Prefix of an image's name in the backup to the one to use.
    """

    namespace_mapping: Mapping[str, str] = field(default_factory=dict)
    captured_claims: frozenset[tuple[str, str]] = frozenset()
    needed_claims: frozenset[tuple[str, str]] = frozenset()
    kept_volumes: frozenset[str] = frozenset()
    selector_services: frozenset[tuple[str, str]] = frozenset()
    jobs_restored: bool = True
    jobs_with_data: frozenset[tuple[str, str]] = frozenset()
    storage_classes: Mapping[str, str] = field(default_factory=dict)
    images: Mapping[str, str] = field(default_factory=dict)

    def of_live(self) -> Facts:
        """The facts for an object of the cluster: its names are the new ones already."""
        return dataclasses.replace(self, namespace_mapping={}, storage_classes={}, images={})

    def target(self, namespace: str) -> str:
        """The namespace that an object of this one goes into."""
        return self.namespace_mapping.get(namespace, namespace)


def in_order(entries: Iterable[Entry], priorities: Sequence[str] = PRIORITIES) -> list[Entry]:
    """The entries as they are restored; a namespace itself is no step, it is made when something needs it."""
    rank = {name: number for number, name in enumerate(dict.fromkeys((CRDS, *priorities)))}
    last = {name: len(rank) + 1 + number for number, name in enumerate(LAST)}

    def key(entry: Entry) -> tuple[int, str, str, str]:
        resource = entry.group_resource
        return last.get(resource, rank.get(resource, len(rank))), resource, entry.namespace, entry.name

    return sorted((entry for entry in entries if entry.group_resource != NAMESPACES), key=key)


def gather_facts(
    entries: Sequence[Entry],
    read: Read,
    *,
    scope: Scope,
    selector: LabelSelector | None,
    captures: Captures,
    namespace_mapping: Mapping[str, str],
) -> Facts:
    """Reads the objects that say something about others.

    Args:
        entries: All of the backup.
        read: Gives an object, None for one that does not decode.
        scope: What the Restore asks for.
        selector: Its labels.
        captures: What restic holds.
        namespace_mapping: The Restore's.
    """
    services, kept, jobs, needed = set(), set(), set(), set()
    for entry, obj in _telling(entries, read):
        if entry.group_resource == SERVICES and object_at(obj, "spec", "selector"):
            services.add((entry.namespace, entry.name))
        wanted = scope.takes(entry) and matches(selector, texts_at(obj, "metadata", "labels"))
        if entry.group_resource == VOLUMES and wanted and keeps_disk(obj, captures):
            kept.add(entry.name)
        filled = captures.of_pod(obj) if entry.group_resource == PODS and wanted else ()
        needed |= {(entry.namespace, volume.claim) for volume in filled if volume.claim}
        if filled and (job := controlling_job(obj)):
            jobs.add((entry.namespace, job))
    return Facts(
        namespace_mapping=namespace_mapping,
        captured_claims=frozenset(captures.by_claim),
        needed_claims=frozenset(needed),
        kept_volumes=frozenset(kept),
        selector_services=frozenset(services),
        jobs_restored=scope.resources.takes(JOBS),
        jobs_with_data=frozenset(jobs),
    )


def _telling(entries: Iterable[Entry], read: Read) -> Iterator[tuple[Entry, JsonObject]]:
    for entry in entries:
        obj = read(entry) if entry.group_resource in (SERVICES, VOLUMES, PODS) else None
        if obj is not None:
            yield entry, obj


def controlling_job(pod: JsonObject) -> str:
    """The name of the job that made a pod, empty when none did."""
    owners = (one for one in objects_at(pod, "metadata", "ownerReferences") if one.get("controller") is True)
    return next((text_at(one, "name") for one in owners if one.get("kind") == "Job"), "")


def keeps_disk(volume: JsonObject, captures: Captures) -> bool:
    """Whether a persistent volume is restored on its old disk.

    Not one whose contents come from restic, for it would be filled over its old disk, and not one whose disk was
    deleted with its claim.
    """
    claim = text_at(volume, "spec", "claimRef", "namespace"), text_at(volume, "spec", "claimRef", "name")
    policy = text_at(volume, "spec", "persistentVolumeReclaimPolicy")
    return claim not in captures.by_claim and policy not in ("Delete", "Recycle")
