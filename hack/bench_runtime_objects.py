"""The objects that are replayed: bytes of the size and shape that an API server sends.

An object is made once as JSON and cut at its marks; one with other names is then a join of byte strings, so that the
server that replays them never is the slow one.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pkg.apis.meta import Json, JsonObject

NAMESPACES, ALL_NAMESPACES = 100, 2500
NODES = 50
LAST = "bench-last"
STAMP = "bench/sent"
GROUP = "bench.example"
_MARK = re.compile(rb"@(name|namespace|node|version|stamp)@")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What is replayed under a plural."""

    plural: str
    api_version: str
    kind: str
    content: Callable[[], JsonObject]
    namespaces: int = NAMESPACES


class Template:
    """An object with marks in the places that differ."""

    def __init__(self, kind: Kind, *, in_list: bool) -> None:
        named = {} if in_list and kind.api_version == "v1" else {"kind": kind.kind, "apiVersion": kind.api_version}
        data = json.dumps({**named, **kind.content()}, separators=(",", ":")).encode()
        self._namespaces = kind.namespaces
        self._parts = _MARK.split(data)

    def render(self, number: int, version: int, *, name: str = "", stamp: str = "0") -> bytes:
        """The object of this number; in a watch and a list it has the same name."""
        values = {
            b"name": (name or f"object-{number}").encode(),
            b"namespace": f"namespace-{number % self._namespaces}".encode(),
            b"node": f"node-{number % NODES}".encode(),
            b"version": str(version).encode(),
            b"stamp": stamp.encode(),
        }
        marks = [values[mark] for mark in self._parts[1::2]]
        return b"".join(itertools.chain(*itertools.zip_longest(self._parts[0::2], marks, fillvalue=b"")))


def metadata(managed_bytes: int) -> JsonObject:
    """Metadata with field ownership of about that size, as server-side apply leaves it."""
    fields: JsonObject = {f"f:field-{number:03}": {} for number in range(managed_bytes // 18)}
    return {
        "name": "@name@",
        "namespace": "@namespace@",
        "uid": "00000000-0000-4000-8000-000000000000",
        "resourceVersion": "@version@",
        "generation": 1,
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "labels": {"app": "bench", "node": "@node@", "pod-template-hash": "5d59d67564"},
        "annotations": {STAMP: "@stamp@", "bench/checksum": "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d0"},
        "managedFields": [
            {
                "manager": "kubelet",
                "operation": "Update",
                "apiVersion": "v1",
                "time": "2026-01-01T00:00:00Z",
                "fieldsType": "FieldsV1",
                "fieldsV1": {"f:metadata": fields},
            }
        ],
    }


def pod() -> JsonObject:
    """A pod of 8 KB: two containers, five conditions, 2 KB of managedFields."""
    conditions: list[Json] = [
        {
            "type": kind,
            "status": "True",
            "lastProbeTime": None,
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }
        for kind in ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")
    ]
    spec: JsonObject = {
        "nodeName": "@node@",
        "serviceAccountName": "default",
        "restartPolicy": "Always",
        "dnsPolicy": "ClusterFirst",
        "schedulerName": "default-scheduler",
        "priority": 0,
        "volumes": [
            {"name": "data", "persistentVolumeClaim": {"claimName": "data-@name@"}},
            {"name": "config", "configMap": {"name": "config", "defaultMode": 420}},
            {"name": "kube-api-access", "projected": {"defaultMode": 420, "sources": []}},
        ],
        "containers": [_container("app"), _container("sidecar")],
        "tolerations": [
            {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute"},
            {"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute"},
        ],
    }
    status: JsonObject = {
        "phase": "Running",
        "hostIP": "192.0.2.1",
        "podIP": "198.51.100.1",
        "podIPs": [{"ip": "198.51.100.1"}],
        "startTime": "2026-01-01T00:00:00Z",
        "qosClass": "Burstable",
        "conditions": conditions,
        "containerStatuses": [_container_status("app"), _container_status("sidecar")],
    }
    return {"metadata": metadata(2300), "spec": spec, "status": status}


def _container(name: str) -> JsonObject:
    variables: list[Json] = [{"name": f"VARIABLE_{number:02}", "value": "value " * 4} for number in range(14)]
    return {
        "name": name,
        "image": f"registry.example/team/{name}:1.2.3",
        "command": ["/bin/program", "--listen=:8080", "--log-level=info"],
        "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}],
        "env": variables,
        "resources": {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "100m", "memory": "128Mi"}},
        "volumeMounts": [
            {"name": "data", "mountPath": "/data"},
            {"name": "config", "mountPath": "/etc/program", "readOnly": True},
            {"name": "kube-api-access", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount", "readOnly": True},
        ],
        "livenessProbe": {"httpGet": {"path": "/healthz", "port": 8080, "scheme": "HTTP"}, "periodSeconds": 10},
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": 8080, "scheme": "HTTP"}, "periodSeconds": 10},
        "terminationMessagePath": "/dev/termination-log",
        "imagePullPolicy": "IfNotPresent",
    }


def _container_status(name: str) -> JsonObject:
    return {
        "name": name,
        "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}},
        "lastState": {},
        "ready": True,
        "restartCount": 0,
        "started": True,
        "image": f"registry.example/team/{name}:1.2.3",
        "imageID": "registry.example/team/program@sha256:" + "0123456789abcdef" * 4,
        "containerID": "containerd://" + "0123456789abcdef" * 4,
    }


def custom() -> JsonObject:
    """A custom resource of 1.9 KB, much like a PodVolumeBackup that has ended."""
    spec: JsonObject = {
        "node": "@node@",
        "pod": {"kind": "Pod", "namespace": "@namespace@", "name": "@name@", "uid": "0123"},
        "volume": "data",
        "tags": {"backup": "nightly", "backup-uid": "0123456789", "pod": "@name@", "volume": "data"},
        "repoIdentifier": "s3:https://objects.example/bucket/restic/namespace",
    }
    status: JsonObject = {
        "phase": "Completed",
        "snapshotID": "0123456789abcdef" * 4,
        "path": "/host_pods/0123456789/volumes/kubernetes.io~csi/pvc-0123/mount",
        "startTimestamp": "2026-01-01T00:00:00Z",
        "completionTimestamp": "2026-01-01T00:10:00Z",
        "progress": {"totalBytes": 1073741824, "bytesDone": 1073741824},
        "message": "",
    }
    return {"metadata": metadata(760), "spec": spec, "status": status}


def namespace() -> JsonObject:
    """A namespace."""
    labels: JsonObject = {"kubernetes.io/metadata.name": "@name@"}
    meta: JsonObject = {"name": "@name@", "uid": "0123", "resourceVersion": "@version@", "labels": labels}
    return {"metadata": meta, "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}}


def kind_of(plural: str) -> Kind:
    """What lies under a plural: core kinds, and custom resources under every other name."""
    if plural == "pods":
        return Kind(plural="pods", api_version="v1", kind="Pod", content=pod)
    if plural == "namespaces":
        return Kind(plural="namespaces", api_version="v1", kind="Namespace", content=namespace)
    namespaces = ALL_NAMESPACES if plural == "podvolumebackups" else NAMESPACES
    return Kind(plural=plural, api_version=f"{GROUP}/v1", kind="Widget", content=custom, namespaces=namespaces)


def page(kind: Kind, items: Sequence[bytes], *, version: int, continue_token: str) -> bytes:
    """One page of a list."""
    meta = {"resourceVersion": str(version)} | ({"continue": continue_token} if continue_token else {})
    head = json.dumps({"kind": f"{kind.kind}List", "apiVersion": kind.api_version, "metadata": meta})
    return head[:-1].encode() + b',"items":[' + b",".join(items) + b"]}\n"


def event(type_name: str, obj: bytes) -> bytes:
    """One line of a watch."""
    return b'{"type":"' + type_name.encode() + b'","object":' + obj + b"}\n"


def bookmark(kind: Kind, version: int, *, initial_end: bool) -> bytes:
    """A bookmark; with the annotation that ends a streamed list."""
    annotations: JsonObject = {"k8s.io/initial-events-end": "true"} if initial_end else {}
    meta: JsonObject = {"resourceVersion": str(version), "annotations": annotations}
    content: JsonObject = {"kind": kind.kind, "apiVersion": kind.api_version, "metadata": meta}
    return event("BOOKMARK", json.dumps(content).encode())
