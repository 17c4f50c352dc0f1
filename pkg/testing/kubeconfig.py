"""Kubeconfig files: JSON (which is YAML) with everything inside, so that one file can be passed around."""

import base64
import json
from collections.abc import Mapping
from pathlib import Path

from pkg.testing.pki import Credentials


def write_kubeconfig(path: Path, *, server_url: str, ca_file: Path, user: Mapping[str, str]) -> Path:
    """Write a kubeconfig with one context for the `user` of by_certificate or by_token; returns its path."""
    cluster = {"server": server_url, "certificate-authority-data": _embedded(ca_file)}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "clusters": [{"name": "test", "cluster": cluster}],
        "users": [{"name": "test", "user": dict(user)}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(json.dumps(content, indent=1))
    return path


def by_certificate(credentials: Credentials) -> dict[str, str]:
    """Return the user entry of somebody with a client certificate."""
    return {
        "client-certificate-data": _embedded(credentials.certificate_file),
        "client-key-data": _embedded(credentials.key_file),
    }


def by_token(token: str) -> dict[str, str]:
    """Return the user entry of somebody with a bearer token."""
    return {"token": token}


def _embedded(file: Path) -> str:
    return base64.b64encode(file.read_bytes()).decode()
