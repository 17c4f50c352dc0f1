"""Reads a kubeconfig far enough to say in one sentence which file and which field is wrong.

The kubernetes package loads it for real (`pkg.kube.session`), but reports a typing error as a traceback or as a
401 much later. Everything that can be known without the server is checked here, first.
"""

from __future__ import annotations

import base64
import binascii
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from pkg.kube.errors import KubeconfigError

Node = Mapping[object, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A cluster or a user, and the file that it stands in, from which relative paths count."""

    path: Path
    name: str
    node: Node = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selected:
    """The parts of a kubeconfig that one context selects; `user` is None where it names nobody."""

    context: str
    namespace: str
    server: str
    cluster: Entry
    user: Entry | None


def split_paths(paths: str) -> list[Path]:
    """The files of a KUBECONFIG-like list that exist, or a KubeconfigError when none does."""
    named = [Path(part).expanduser() for part in paths.split(os.pathsep) if part]
    found = [path for path in named if path.exists()]
    if not found:
        raise KubeconfigError(f"kubeconfig {paths}: the file does not exist")
    return found


def check_kubeconfig(paths: str, context: str = "") -> Selected:
    """Checks what the context (empty: the current one) selects; files are merged as kubectl does, first wins.

    Raises:
        KubeconfigError: one sentence that names the file and the field.
    """
    files = [(path, _read(path)) for path in split_paths(paths)]
    first = str(files[0][0])
    name = context or next((str(node["current-context"]) for _, node in files if node.get("current-context")), "")
    if not name:
        raise KubeconfigError(f"kubeconfig {first}: current-context is not set")
    path, entry = _entry(files, "contexts", name, "context", named_by="current-context" if not context else "--context")
    cluster_name = _text(path, entry, f"contexts[{name}].context", "cluster")
    cluster_path, cluster = _entry(files, "clusters", cluster_name, "cluster", named_by=f"contexts[{name}].cluster")
    server = _check_cluster(cluster_path, cluster_name, cluster)
    user_name = str(entry.get("user") or "")
    user = None
    if user_name:
        user_path, node = _entry(files, "users", user_name, "user", named_by=f"contexts[{name}].user")
        _check_user(user_path, user_name, node)
        user = Entry(path=user_path, name=user_name, node=node)
    return Selected(
        context=name,
        namespace=str(entry.get("namespace") or ""),
        server=server,
        cluster=Entry(path=cluster_path, name=cluster_name, node=cluster),
        user=user,
    )


def _read(path: Path) -> Node:
    try:
        content = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise KubeconfigError(f"kubeconfig {path}: cannot be read: {error}") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" at line {mark.line + 1}" if mark else ""
        raise KubeconfigError(f"kubeconfig {path}: is not YAML{line}") from error
    if not isinstance(content, Mapping):
        raise KubeconfigError(f"kubeconfig {path}: is empty or not a map")
    return content


def _entry(files: list[tuple[Path, Node]], section: str, name: str, inner: str, *, named_by: str) -> tuple[Path, Node]:
    for path, content in files:
        entries = content.get(section) or []
        if not isinstance(entries, list):
            raise KubeconfigError(f"kubeconfig {path}: {section} is not a list")
        for entry in entries:
            if isinstance(entry, Mapping) and entry.get("name") == name:
                value = entry.get(inner)
                if not isinstance(value, Mapping):
                    raise KubeconfigError(f"kubeconfig {path}: {section}[{name}].{inner} is not set")
                return path, value
    raise KubeconfigError(f"kubeconfig {files[0][0]}: {named_by} names {name!r}, which is not in {section}")


def _text(path: Path, node: Node, where: str, key: str) -> str:
    value = node.get(key)
    if not isinstance(value, str) or not value:
        raise KubeconfigError(f"kubeconfig {path}: {where}.{key} is not set")
    return value


def _check_cluster(path: Path, name: str, cluster: Node) -> str:
    where = f"clusters[{name}].cluster"
    server = _text(path, cluster, where, "server")
    parts = urlsplit(server)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise KubeconfigError(f"kubeconfig {path}: {where}.server is not an http(s) address: {server!r}")
    authority = material(path, where, cluster, "certificate-authority")
    if authority is not None:
        _check_authority(path, where, authority)
    return server


def _check_authority(path: Path, where: str, pem: bytes) -> None:
    try:
        ssl.create_default_context(cadata=pem.decode("ascii"))
    except (ssl.SSLError, UnicodeDecodeError, ValueError) as error:
        raise KubeconfigError(f"kubeconfig {path}: {where}.certificate-authority holds no certificate") from error


def _check_user(path: Path, name: str, user: Node) -> None:
    where = f"users[{name}].user"
    certificate = material(path, where, user, "client-certificate")
    key = material(path, where, user, "client-key")
    if (certificate is None) != (key is None):
        missing = "client-key" if key is None else "client-certificate"
        raise KubeconfigError(f"kubeconfig {path}: {where}.{missing} is not set, but its counterpart is")
    for what, pem in (("client-certificate", certificate), ("client-key", key)):
        if pem is not None and b"-----BEGIN " not in pem:
            raise KubeconfigError(f"kubeconfig {path}: {where}.{what} is not PEM")
    token_file = user.get("tokenFile")
    if token_file and not _relative(path, str(token_file)).is_file():
        raise KubeconfigError(f"kubeconfig {path}: {where}.tokenFile names a file that does not exist: {token_file}")
    exec_config = user.get("exec")
    if exec_config is not None and not (isinstance(exec_config, Mapping) and exec_config.get("command")):
        raise KubeconfigError(f"kubeconfig {path}: {where}.exec.command is not set")


def material(path: Path, where: str, node: Node, key: str) -> bytes | None:
    """The bytes of `key-data` (base64) or of the file that `key` names; None when neither is set.

    Raises:
        KubeconfigError: they cannot be had.
    """
    data, file = node.get(f"{key}-data"), node.get(key)
    if data:
        try:
            return base64.b64decode(str(data), validate=True)
        except (binascii.Error, ValueError) as error:
            raise KubeconfigError(f"kubeconfig {path}: {where}.{key}-data is not base64") from error
    if not file:
        return None
    try:
        return _relative(path, str(file)).read_bytes()
    except OSError as error:
        raise KubeconfigError(f"kubeconfig {path}: {where}.{key} cannot be read: {file}") from error


def _relative(path: Path, name: str) -> Path:
    return path.parent / name
