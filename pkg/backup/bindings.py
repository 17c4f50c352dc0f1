"""Which cluster role bindings and roles belong to the service accounts of a backup (0.9's action). Pure.

A backup of some namespaces leaves cluster resources out; without these an application that talks to the API would
come back without its rights.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

import msgspec

from pkg.backup.item import HeadMeta

BINDINGS = "clusterrolebindings.rbac.authorization.k8s.io"
ROLES = "clusterroles.rbac.authorization.k8s.io"


class _Subject(msgspec.Struct, frozen=True):
    kind: str = ""
    namespace: str = ""
    name: str = ""


class _RoleRef(msgspec.Struct, frozen=True):
    kind: str = ""
    name: str = ""


class _Binding(msgspec.Struct, frozen=True, rename="camel"):
    metadata: HeadMeta
    role_ref: _RoleRef = _RoleRef()
    subjects: tuple[_Subject, ...] | None = None


_DECODER = msgspec.json.Decoder(_Binding)


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundRole:
    """A binding and the role it gives."""

    binding: str
    role: str


def bound_role(body: msgspec.Raw | bytes, accounts: Set[tuple[str, str]]) -> BoundRole | None:
    """What a ClusterRoleBinding gives to any of the accounts (namespace, name); None for one that gives nothing.

    Raises:
        msgspec.DecodeError: it is no ClusterRoleBinding.
    """
    binding = _DECODER.decode(body)
    subjects = ((one.namespace, one.name) for one in binding.subjects or () if one.kind == "ServiceAccount")
    if not any(subject in accounts for subject in subjects):
        return None
    return BoundRole(binding=binding.metadata.name, role=binding.role_ref.name)
