"""Whether the cluster's definitions of Ark's kinds are this program's (operators.md 24).

A field that an old definition does not know is dropped by the API server without a word, so a drift is told by
readiness and with the command that mends it.
"""

from __future__ import annotations

from pkg.apis.meta import Object
from pkg.apis.names import SCHEMA_HASH_ANNOTATION
from pkg.apis.schema import crds, schema_hash
from pkg.kube.client import Client
from pkg.kube.refs import CRDS

COMMAND = "kubectl apply --server-side -f config/crd"


class Definition(Object, frozen=True, kw_only=True):
    """A CustomResourceDefinition; only its annotations count here."""


def drift(client: Client) -> str | None:
    """A sentence that names the definitions that are not ours, and the command to type; None when all are."""
    found = {item.metadata.name: item for item in client.list(CRDS, "", Definition)}
    wrong = []
    for crd in crds():
        metadata = crd["metadata"]
        name = str(metadata["name"]) if isinstance(metadata, dict) else ""
        installed = found.get(name)
        if installed is None or installed.metadata.annotation(SCHEMA_HASH_ANNOTATION) != schema_hash(crd):
            wrong.append(name)
    if not wrong:
        return None
    return f"definitions differ from this version's: {', '.join(wrong)}; apply those of this version: {COMMAND}"
