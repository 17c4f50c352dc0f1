"""Which existing objects a Restore with `existingResourcePolicy: update` may change.

Never pods, claims and volumes: what is in them is the data's matter, and a pod cannot be changed anyway. Nothing of the
cluster's own or of Ark's that nobody asked for by name, because a restore that breaks either can not be repaired by
another one.
"""

from __future__ import annotations

from dataclasses import dataclass

from pkg.apis.ark import RestoreSpec
from pkg.apis.meta import JsonObject
from pkg.restore.actions_namespaces import references
from pkg.restore.archive import Entry
from pkg.restore.fields import objects_at, text_at, texts_at
from pkg.restore.plan import CLAIMS, PODS, VOLUMES

UPDATE = "update"
NONE = "none"
POLICIES = ("", NONE, UPDATE)
_SYSTEM_NAMESPACES = frozenset({"kube-system", "kube-public", "kube-node-lease"})
_NEVER = frozenset({PODS, CLAIMS, VOLUMES})
_BOOTSTRAPPING = "kubernetes.io/bootstrapping"


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdatePolicy:
    """A Restore's policy for what exists.

    Attributes:
        named_sources: Namespaces that the Restore includes by name.
        named_targets: Namespaces that it maps others to.
    """

    update: bool = False
    ark_namespace: str = ""
    named_sources: frozenset[str] = frozenset()
    named_targets: frozenset[str] = frozenset()

    def why_not(self, entry: Entry, obj: JsonObject, target: str) -> str:
        """Why an existing object is not updated, empty when it is; only asked where the policy is `update`."""
        if entry.group_resource in _NEVER:
            return f"{entry.group_resource} are never updated"
        if target:
            return self._of_namespace(entry, target)
        if _BOOTSTRAPPING in texts_at(obj, "metadata", "labels") or entry.name.startswith("system:"):
            return "the cluster keeps it itself"
        subjects = objects_at(obj, "subjects")
        if any(text_at(subject, "namespace") == self.ark_namespace for subject in subjects):
            return "it gives Ark its own rights"
        return self._of_mapping(entry, obj) if self.named_targets else ""

    def _of_mapping(self, entry: Entry, obj: JsonObject) -> str:
        """A copy beside the original must not take from the original what serves it."""
        if objects_at(obj, "subjects"):
            return "the Restore maps namespaces, and those who have these rights now would lose them"
        if any(text_at(one, "namespace") for one in references(obj, entry.group_resource)):
            return "the Restore maps namespaces, and what it leads to now would no longer be asked"
        return ""

    def _of_namespace(self, entry: Entry, target: str) -> str:
        guarded = target in _SYSTEM_NAMESPACES or target == self.ark_namespace
        if guarded and entry.namespace not in self.named_sources and target not in self.named_targets:
            return f"objects in {target} are only updated where the Restore names that namespace"
        return ""


def update_policy(spec: RestoreSpec, ark_namespace: str) -> UpdatePolicy:
    """The policy of a Restore."""
    return UpdatePolicy(
        update=spec.existing_resource_policy == UPDATE,
        ark_namespace=ark_namespace,
        named_sources=frozenset(spec.included_namespaces or ()),
        named_targets=frozenset((spec.namespace_mapping or {}).values()),
    )
