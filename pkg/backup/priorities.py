"""Which resources a backup never stores, stores only by request, stores under one name, and stores first.

This is the only list of kinds; everything else follows from what the API server serves.
"""

from __future__ import annotations

from pkg.apis.names import GROUP

# Pods first, because the volumes of the ledger follow from them; their claims and volumes next.
FIRST = ("pods", "persistentvolumeclaims", "persistentvolumes")
# Namespaces last, because they follow from what was found in them.
LAST = ("namespaces",)

# Of Ark's own kinds only what describes an installation; the others would run again when they are restored.
STORED_OF_ARK = frozenset({f"schedules.{GROUP}", f"configs.{GROUP}"})

# They say what the cluster did a moment ago; a restored one would be wrong. Stored where the backup names them.
BY_REQUEST = frozenset(
    {
        "events",
        "events.events.k8s.io",
        "leases.coordination.k8s.io",
        "endpointslices.discovery.k8s.io",
        "csinodes.storage.k8s.io",
        "volumeattachments.storage.k8s.io",
    }
)

# The same objects under several groups; the first that is served is taken.
COHABITING = (
    ("deployments.apps", "deployments.extensions"),
    ("daemonsets.apps", "daemonsets.extensions"),
    ("replicasets.apps", "replicasets.extensions"),
    ("ingresses.networking.k8s.io", "ingresses.extensions"),
    ("networkpolicies.networking.k8s.io", "networkpolicies.extensions"),
    ("podsecuritypolicies.policy", "podsecuritypolicies.extensions"),
    ("events.events.k8s.io", "events"),
)


def same_objects(group_resource: str) -> tuple[str, ...]:
    """The names under which a resource's objects are served, the preferred one first; itself alone as a rule."""
    return next((names for names in COHABITING if group_resource in names), (group_resource,))


def rank(group_resource: str) -> int:
    """The place in the order of listing: pods, claims, volumes, everything else, namespaces."""
    if group_resource in FIRST:
        return FIRST.index(group_resource)
    return len(FIRST) + (1 if group_resource in LAST else 0)


def is_stored(group_resource: str) -> bool:
    """Whether a resource may be in a tarball at all."""
    return not group_resource.endswith(f".{GROUP}") or group_resource in STORED_OF_ARK
