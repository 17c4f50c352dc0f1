"""A real `KubeTransport` to a server on the loopback, by a kubeconfig written for it."""

from __future__ import annotations

import json
from pathlib import Path

from pkg.kube.transport import KubeTransport, load_transport


def transport_to(url: str, directory: Path, **user: str) -> KubeTransport:
    """Writes a kubeconfig for the address and loads it; `user` is its user entry."""
    content = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
        "clusters": [{"name": "k", "cluster": {"server": url}}],
        "users": [{"name": "u", "user": user}],
    }
    path = directory / "kubeconfig"
    path.write_text(json.dumps(content))
    return load_transport(str(path))
