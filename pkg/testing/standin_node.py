"""The stand-in's Node object and its lease, kept fresh as a kubelet does."""

import datetime
import os
import platform

from pkg.apis.meta import Json, JsonObject
from pkg.kube.refs import LEASES, NODES
from pkg.testing.standin_api import Api

LEASE_NAMESPACE = "kube-node-lease"
LEASE_SECONDS = 40
CAPACITY: JsonObject = {"cpu": "64", "memory": "256Gi", "pods": "1000", "ephemeral-storage": "1Ti"}
CONDITIONS = {"Ready": "True", "MemoryPressure": "False", "DiskPressure": "False", "PIDPressure": "False"}


def register(api: Api, name: str, port: int) -> None:
    """Make the Node or take over the one of that name, and report it ready."""
    labels: JsonObject = {
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), "amd64"),
    }
    node: JsonObject = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}}
    api.create(NODES, "", node)
    beat(api, name, port)


def beat(api: Api, name: str, port: int) -> None:
    """Say that the node is alive, and that it answers exec on a port."""
    now = datetime.datetime.now(datetime.UTC)
    api.patch(NODES, "", name, {"status": _status(name, port, now)}, subresource="status")
    lease: JsonObject = {
        "apiVersion": LEASES.api_version,
        "kind": LEASES.kind,
        "metadata": {"name": name, "namespace": LEASE_NAMESPACE},
        "spec": {
            "holderIdentity": name,
            "leaseDurationSeconds": LEASE_SECONDS,
            "renewTime": now.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        },
    }
    if not api.create(LEASES, LEASE_NAMESPACE, lease):
        api.patch(LEASES, LEASE_NAMESPACE, name, {"spec": lease["spec"]})


def _status(name: str, port: int, now: datetime.datetime) -> JsonObject:
    stamp = now.isoformat(timespec="seconds").replace("+00:00", "Z")
    conditions: list[Json] = [
        {"type": kind, "status": status, "reason": "StandIn", "lastHeartbeatTime": stamp}
        for kind, status in CONDITIONS.items()
    ]
    return {
        "capacity": CAPACITY,
        "allocatable": CAPACITY,
        "conditions": conditions,
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}, {"type": "Hostname", "address": name}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
        "nodeInfo": _node_info(),
    }


def _node_info() -> JsonObject:
    return {
        "kubeletVersion": "v1.34.0-standin",
        "containerRuntimeVersion": "standin://1",
        "osImage": "stand-in",
        "operatingSystem": "linux",
        "architecture": "amd64",
        "kernelVersion": os.uname().release,
        "machineID": "",
        "systemUUID": "",
        "bootID": "",
        "kubeProxyVersion": "",
    }
