"""An application comes back with its rights: the bindings of its service accounts, and their roles."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from pkg.apis.meta import JsonObject
from pkg.backup.bindings import BoundRole, bound_role
from pkg.backup.engine import run_backup
from pkg.kube import refs
from pkg.kube.resources import ResourceRef
from pkg.testing.fakebackup import BackupWorld

RBAC = "rbac.authorization.k8s.io"
CLUSTER_ROLES = ResourceRef(group=RBAC, plural="clusterroles", kind="ClusterRole", namespaced=False)
CLUSTER_ROLE_BINDINGS = ResourceRef(
    group=RBAC, plural="clusterrolebindings", kind="ClusterRoleBinding", namespaced=False
)
WEB: JsonObject = {"kind": "ServiceAccount", "namespace": "shop", "name": "web"}


@pytest.mark.parametrize(
    ("subjects", "found"),
    [
        pytest.param([WEB], True, id="the account"),
        pytest.param([{"kind": "User", "name": "jane"}, WEB], True, id="the account among others"),
        pytest.param([WEB | {"namespace": "blog"}], False, id="an account of the same name elsewhere"),
        pytest.param([{"kind": "Group", "namespace": "shop", "name": "web"}], False, id="a group of the same name"),
        pytest.param(None, False, id="nobody"),
    ],
)
def test_whom_a_binding_is_for(subjects: object, found: bool) -> None:
    body = msgspec.json.encode({"metadata": {"name": "b"}, "roleRef": {"name": "r"}, "subjects": subjects})
    expected = BoundRole(binding="b", role="r") if found else None
    assert bound_role(body, {("shop", "web")}) == expected


@pytest.fixture
def world(tmp_path: Path) -> BackupWorld:
    made = BackupWorld(tmp_path, (CLUSTER_ROLES, CLUSTER_ROLE_BINDINGS))
    made.namespace("shop")
    made.api.add(refs.SERVICE_ACCOUNTS, {"metadata": {"name": "web", "namespace": "shop", "labels": {"app": "web"}}})
    for name in ("reader", "writer"):
        made.api.add(CLUSTER_ROLES, {"metadata": {"name": name}})
    bindings = {"web-reads": ("reader", "shop"), "other-writes": ("writer", "blog")}
    for binding, (role, namespace) in bindings.items():
        made.api.add(
            CLUSTER_ROLE_BINDINGS,
            {
                "metadata": {"name": binding},
                "roleRef": {"kind": "ClusterRole", "name": role},
                "subjects": [WEB | {"namespace": namespace}],
            },
        )
    return made


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        pytest.param({"includedNamespaces": ["shop"]}, {"reader", "web-reads"}, id="a namespace brings its accounts'"),
        pytest.param({}, {"reader", "web-reads", "writer", "other-writes"}, id="everything brings all"),
        pytest.param(
            {"labelSelector": {"matchLabels": {"app": "web"}}}, {"reader", "web-reads"}, id="whatever their own labels"
        ),
        pytest.param({"includedNamespaces": ["shop"], "includeClusterResources": False}, set(), id="refused"),
        pytest.param({"includedResources": ["serviceaccounts"]}, set(), id="filtered"),
    ],
)
def test_roles_come_with_accounts(world: BackupWorld, spec: dict[str, object], expected: set[str]) -> None:
    world.spec(spec)
    run_backup(world.job(), world.stop)
    stored = [name.split("/") for name in world.stored if RBAC in name]
    assert {parts[-1].removesuffix(".json") for parts in stored} == expected
    assert len(stored) == len(expected)
