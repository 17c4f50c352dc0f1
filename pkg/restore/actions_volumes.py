"""What changes in claims and persistent volumes that come back: their bindings.

A claim whose old disk is not restored is provisioned anew; one whose volume is restored is bound to it again by
name, for the old UIDs in the bindings mean nothing any more.
"""

from __future__ import annotations

from pkg.apis.meta import JsonObject
from pkg.restore.archive import Entry
from pkg.restore.fields import drop, drop_keys, object_at, text_at
from pkg.restore.plan import Facts

_BINDING = ("pv.kubernetes.io/bind-completed", "pv.kubernetes.io/bound-by-controller")
_PROVISIONING = (
    "volume.kubernetes.io/selected-node",
    "volume.kubernetes.io/storage-provisioner",
    "volume.beta.kubernetes.io/storage-provisioner",
)
_ANNOTATIONS = ("metadata", "annotations")


def let_claim_bind(obj: JsonObject, entry: Entry, facts: Facts) -> None:
    """Undoes a claim's binding; without its old volume also what had chosen that volume."""
    drop_keys(obj, _ANNOTATIONS, (*_BINDING, *_PROVISIONING))
    if text_at(obj, "spec", "volumeName") in facts.kept_volumes:
        return
    drop(obj, "spec", "volumeName")
    if (entry.namespace, entry.name) in facts.captured_claims:
        # The contents come from restic; the snapshot or claim it was once made from may be gone.
        drop(obj, "spec", "dataSource")
        drop(obj, "spec", "dataSourceRef")


def let_volume_bind(obj: JsonObject, entry: Entry, facts: Facts) -> None:
    """Leaves a volume reserved for its claim by name only."""
    drop_keys(obj, _ANNOTATIONS, _BINDING)
    claim = object_at(obj, "spec", "claimRef")
    drop(claim, "uid")
    drop(claim, "resourceVersion")
    if namespace := text_at(claim, "namespace"):
        claim["namespace"] = facts.target(namespace)
