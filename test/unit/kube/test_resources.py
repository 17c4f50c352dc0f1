"""Paths of the API."""

from __future__ import annotations

import pytest

from pkg.kube.refs import BACKUPS, NODES, PODS, PVS
from pkg.kube.resources import ResourceRef

DEPLOYMENTS = ResourceRef(group="apps", plural="deployments", kind="Deployment")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (PODS.path(), "/api/v1/pods"),
        (PODS.path("ns"), "/api/v1/namespaces/ns/pods"),
        (PODS.path("ns", "a", "exec"), "/api/v1/namespaces/ns/pods/a/exec"),
        (NODES.path("", "n1"), "/api/v1/nodes/n1"),
        (PVS.path("ignored", "pv"), "/api/v1/persistentvolumes/pv"),
        (BACKUPS.path("ns", "b", "status"), "/apis/ark.heptio.com/v1/namespaces/ns/backups/b/status"),
        (DEPLOYMENTS.path(), "/apis/apps/v1/deployments"),
        (PODS.path("ns", "a/../b"), "/api/v1/namespaces/ns/pods/a%2F..%2Fb"),
    ],
)
def test_a_path_names_collection_object_or_subresource(path: str, expected: str) -> None:
    assert path == expected


def test_names_of_a_resource() -> None:
    assert (PODS.api_version, PODS.group_resource, str(PODS)) == ("v1", "pods", "pods/v1")
    assert (DEPLOYMENTS.api_version, DEPLOYMENTS.group_resource) == ("apps/v1", "deployments.apps")
