"""Server and agents hold the shipped service accounts and nothing more; an agent can do its work and little else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pkg.apis.names import CREDENTIALS_SECRET, LIMITS_CONFIG_MAP
from pkg.kube.client import Client
from pkg.kube.resources import ResourceRef
from pkg.kube.transport import load_transport
from pkg.testing.installation import NAMESPACE, Installation
from pkg.testing.processes import Process

REVIEWS = ResourceRef(
    group="authorization.k8s.io", plural="selfsubjectaccessreviews", kind="SelfSubjectAccessReview", namespaced=False
)
ARK = "ark.heptio.com"
ACCOUNTS = {"server": "ark", "agent-node1": "ark-agent"}


def kubeconfig_of(process: Process) -> str:
    """The kubeconfig that a running process was really given."""
    arguments = Path(f"/proc/{process.pid}/cmdline").read_bytes().decode().split("\0")
    return arguments[arguments.index("--kubeconfig") + 1]


@pytest.mark.parametrize("name", sorted(ACCOUNTS))
def test_no_product_process_is_an_administrator(installation: Installation, name: str) -> None:
    process = next(process for process in installation.processes if process.name == name)
    told = installation.access.kubectl("auth", "whoami", "-o", "json", "--kubeconfig", kubeconfig_of(process))
    who = json.loads(told)["status"]["userInfo"]
    assert who["username"] == f"system:serviceaccount:{NAMESPACE}:{ACCOUNTS[name]}"
    assert "system:masters" not in who["groups"]


@pytest.fixture(scope="module")
def agent(installation: Installation) -> Client:
    return Client(load_transport(kubeconfig_of(installation.agents["node1"])))


def may(agent: Client, verb: str, resource: str, *, namespace: str, group: str = "", name: str = "") -> bool:
    plural, _, subresource = resource.partition("/")
    asked = {
        "verb": verb,
        "resource": plural,
        "subresource": subresource,
        "group": group,
        "namespace": namespace,
        "name": name,
    }
    status = agent.create_raw(REVIEWS, "", {"spec": {"resourceAttributes": dict(asked)}})["status"]
    assert isinstance(status, dict)
    return status["allowed"] is True


@pytest.mark.parametrize(
    ("verb", "resource", "group", "namespace", "name"),
    [
        *((verb, kind, "", "", "") for verb in ("get", "list", "watch") for kind in ("pods", "nodes")),
        *((verb, "configmaps", "", NAMESPACE, LIMITS_CONFIG_MAP) for verb in ("get", "list", "watch")),
        *(
            (verb, kind, ARK, NAMESPACE, "")
            for verb in ("get", "list", "watch")
            for kind in ("podvolumebackups", "podvolumerestores", "resticrepositories", "configs")
        ),
        ("patch", "podvolumebackups/status", ARK, NAMESPACE, "any"),
        ("patch", "podvolumerestores/status", ARK, NAMESPACE, "any"),
        ("get", "secrets", "", NAMESPACE, CREDENTIALS_SECRET),
        ("create", "events", "", NAMESPACE, ""),
    ],
)
def test_an_agent_may_do_its_work(
    agent: Client, verb: str, resource: str, group: str, namespace: str, name: str
) -> None:
    assert may(agent, verb, resource, group=group, namespace=namespace, name=name)


@pytest.mark.parametrize(
    ("verb", "resource", "group", "namespace", "name"),
    [
        ("get", "secrets", "", NAMESPACE, "cloud-credentials"),
        ("get", "secrets", "", "default", CREDENTIALS_SECRET),
        *((verb, "secrets", "", NAMESPACE, "") for verb in ("list", "watch", "create")),
        *((verb, "secrets", "", NAMESPACE, CREDENTIALS_SECRET) for verb in ("update", "patch", "delete")),
        *((verb, "pods", "", "default", "any") for verb in ("create", "update", "patch", "delete")),
        *((verb, "pods/exec", "", "default", "any") for verb in ("create", "get")),
        ("patch", "pods/status", "", "default", "any"),
        *((verb, "backups", ARK, NAMESPACE, "any") for verb in ("get", "create", "patch", "delete")),
        *((verb, "restores", ARK, NAMESPACE, "any") for verb in ("get", "create", "patch", "delete")),
        *(
            (verb, kind, ARK, NAMESPACE, "any")
            for verb in ("create", "update", "patch", "delete")
            for kind in ("podvolumebackups", "podvolumerestores", "resticrepositories", "configs")
        ),
        ("get", "persistentvolumeclaims", "", "default", "any"),
        ("get", "persistentvolumes", "", "", "any"),
        *((verb, "nodes", "", "", "any") for verb in ("create", "update", "patch", "delete")),
        ("patch", "nodes/status", "", "", "any"),
        ("get", "nodes/proxy", "", "", "any"),
        *((verb, "configmaps", "", NAMESPACE, "") for verb in ("get", "list", "watch", "create")),
        *((verb, "configmaps", "", NAMESPACE, LIMITS_CONFIG_MAP) for verb in ("update", "patch", "delete")),
        ("impersonate", "users", "", "", "system:admin"),
        ("create", "serviceaccounts/token", "", NAMESPACE, "ark"),
        ("create", "rolebindings", "rbac.authorization.k8s.io", NAMESPACE, ""),
    ],
)
def test_an_agent_may_not(agent: Client, verb: str, resource: str, group: str, namespace: str, name: str) -> None:
    assert not may(agent, verb, resource, group=group, namespace=namespace, name=name)
