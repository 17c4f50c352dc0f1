"""Connections that need nothing but TLS, a client certificate or a token: known without the kubernetes package.

That package costs 0.3 s of import, most of it for credential plugins, which a command line mostly does not need.
Whatever is not plain here (plugins, proxies, impersonation, trust in any certificate) is left to that package.
"""

from __future__ import annotations

import os
import ssl
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field

from pkg.kube.errors import KubeconfigError
from pkg.kube.kubeconfig import Entry, check_kubeconfig, material

_PROXIES = ("http_proxy", "https_proxy", "all_proxy")
_CLUSTER_KEYS = frozenset({"server", "certificate-authority", "certificate-authority-data", "extensions"})
_USER_KEYS = frozenset(
    {"client-certificate", "client-certificate-data", "client-key", "client-key-data", "token", "tokenFile"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plain:
    """Where to, and what with."""

    server: str
    authority: bytes | None = field(default=None, repr=False)
    certificate: bytes | None = field(default=None, repr=False)
    key: bytes | None = field(default=None, repr=False)
    token: str = field(default="", repr=False)


def plain_connection(paths: str, context: str, environ: Mapping[str, str]) -> Plain | None:
    """What a kubeconfig's context says, or None when it is not plain.

    Raises:
        KubeconfigError: one sentence that names the file and the field.
    """
    selected = check_kubeconfig(paths, context)
    user = selected.user
    if any(environ.get(name) or environ.get(name.upper()) for name in _PROXIES):
        return None
    if _extra(selected.cluster, _CLUSTER_KEYS) or (user and _extra(user, _USER_KEYS)):
        return None
    return Plain(
        server=selected.server.rstrip("/"),
        authority=_bytes(selected.cluster, "cluster", "certificate-authority"),
        certificate=_bytes(user, "user", "client-certificate"),
        key=_bytes(user, "user", "client-key"),
        token=_token(user),
    )


def tls_context(plain: Plain) -> ssl.SSLContext | None:
    """What the connection trusts and shows; None for a server without TLS. No key stays on the disk.

    Raises:
        KubeconfigError: certificate and key do not fit.
    """
    if not plain.server.startswith("https://"):
        return None
    authority = plain.authority.decode("ascii") if plain.authority else None
    made = ssl.create_default_context(cadata=authority)
    if plain.certificate and plain.key:
        with tempfile.NamedTemporaryFile(prefix="ark-") as file:  # ssl reads files only; this one is its owner's
            file.write(plain.certificate.rstrip(b"\n") + b"\n" + plain.key)
            file.flush()
            try:
                made.load_cert_chain(file.name)
            except (ssl.SSLError, OSError) as error:
                raise KubeconfigError(f"the client's certificate and key do not fit: {error}") from error
    return made


def _extra(entry: Entry, known: frozenset[str]) -> bool:
    """Whether it says something that is not plain; a false value says nothing."""
    return any(value and key not in known for key, value in entry.node.items())


def _bytes(entry: Entry | None, kind: str, key: str) -> bytes | None:
    if entry is None:
        return None
    return material(entry.path, f"{kind}s[{entry.name}].{kind}", entry.node, key)


def _token(user: Entry | None) -> str:
    if user is None:
        return ""
    named = user.node.get("tokenFile")
    if not named:
        return str(user.node.get("token") or "")
    file = os.path.join(user.path.parent, str(named))
    try:
        with open(file, encoding="ascii") as text:
            return text.read().strip()
    except (OSError, ValueError) as error:
        raise KubeconfigError(f"kubeconfig {user.path}: tokenFile {file} cannot be read: {error}") from error
