"""A node that is removed while volumes of it are open: the server ends them, because no agent can."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator

import pytest

from pkg.testing.installation import NAMESPACE, Installation
from pkg.testing.processes import wait_until

RUNNING = json.dumps({"status": {"phase": "InProgress", "holder": "agent/1", "attempts": 1}})


@pytest.fixture
def node(installation: Installation) -> Iterator[str]:
    """A node without a kubelet or an agent."""
    name = f"lost-{secrets.token_hex(3)}"
    installation.access.apply({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}})
    yield name
    installation.access.kubectl("delete", "node", name, "--ignore-not-found")


@pytest.mark.parametrize("kind", ["PodVolumeBackup", "PodVolumeRestore"])
def test_a_volume_that_ran_on_a_node_that_is_removed_fails_with_its_name(
    installation: Installation, node: str, kind: str
) -> None:
    name, resource = f"{node}-0", f"{kind.lower()}s"
    metadata = {"name": name, "namespace": NAMESPACE}
    spec = {"node": node, "volume": "data", "pod": {"namespace": "shop", "name": "web", "uid": "u"}}
    installation.access.apply({"apiVersion": "ark.heptio.com/v1", "kind": kind, "metadata": metadata, "spec": spec})
    patch = ("patch", resource, name, "-n", NAMESPACE, "--type=merge", "--subresource=status", "-p", RUNNING)
    installation.access.kubectl(*patch)

    installation.access.kubectl("delete", "node", node)

    def status() -> dict[str, object]:
        found = installation.get(resource, name)["status"]
        assert isinstance(found, dict)
        return found

    wait_until(
        lambda: status().get("phase") == "Failed",
        timeout_seconds=60,
        what="the volume to be given up",
        watched=installation.processes,
    )
    assert status()["reason"] == "NodeGone"
    assert status()["message"] == f"node {node} does not exist any more; while it ran"
    assert status()["completionTimestamp"]
    installation.access.kubectl("delete", resource, name, "-n", NAMESPACE)
