"""A namespace with whatever a test puts into it, on a stand-in node: any controller's pods and their volumes."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pkg.testing.access import ClusterAccess
from pkg.testing.processes import HarnessError, wait_until
from pkg.testing.standin_process import StandInNode
from pkg.testing.standin_storage import IMMEDIATE

RUNNING_SECONDS = 60
BACKUP_VOLUMES = "backup.ark.heptio.com/backup-volumes"

Json = Mapping[str, Any]


class Workload:
    """Objects of one namespace.

    Args:
        access: The cluster, as an administrator.
        node: Where the pods run.
        namespace: Made by `create`.
    """

    def __init__(self, access: ClusterAccess, node: StandInNode, namespace: str) -> None:
        self.access = access
        self.namespace = namespace
        self._node = node

    def create(self, *objects: Json, labels: Mapping[str, str] | None = None) -> None:
        """Creates the namespace and objects in it."""
        metadata = {"name": self.namespace, "labels": dict(labels or {})}
        self.access.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
        for obj in objects:
            self.access.apply({**obj, "metadata": {**obj["metadata"], "namespace": self.namespace}})

    def objects(self, kind: str) -> list[dict[str, Any]]:
        """Objects of the namespace as JSON."""
        found = json.loads(self.access.kubectl("get", kind, "-n", self.namespace, "-o", "json"))
        items: list[dict[str, Any]] = found["items"]
        return items

    def pods(self) -> list[dict[str, Any]]:
        """The pods that are not on their way out, by name."""
        alive = [pod for pod in self.objects("pods") if "deletionTimestamp" not in pod["metadata"]]
        return sorted(alive, key=lambda pod: str(pod["metadata"]["name"]))

    def wait_running(self, count: int) -> list[dict[str, Any]]:
        """Waits until exactly so many pods are there and run; returns them by name."""
        wait_until(
            lambda: [pod["status"].get("phase") for pod in self.pods()] == ["Running"] * count,
            timeout_seconds=RUNNING_SECONDS,
            what=f"{count} pods of {self.namespace} to run",
            watched=[self._node.process],
        )
        return self.pods()

    def delete(self) -> None:
        """Deletes all of it and waits until it is gone."""
        self.access.kubectl("delete", "namespace", self.namespace, "--timeout=90s", timeout_seconds=100)

    def directory(self, pod: Json, volume: str) -> Path:
        """Where the contents of a pod's volume lie on the node."""
        volumes = self._node.volumes(str(pod["metadata"]["uid"]))
        found = next(one for one in pod["spec"]["volumes"] if one["name"] == volume)
        if "emptyDir" in found:
            return volumes / "kubernetes.io~empty-dir" / volume
        ephemeral = f"{pod['metadata']['name']}-{volume}" if "ephemeral" in found else ""
        claim_name = ephemeral or found["persistentVolumeClaim"]["claimName"]
        claim = json.loads(self.access.kubectl("get", "pvc", claim_name, "-n", self.namespace, "-o", "json"))
        return volumes / "kubernetes.io~csi" / str(claim["spec"]["volumeName"]) / "mount"

    def shell(self, pod: Json, volume: str, script: str) -> str:
        """Runs a shell script in a volume as the node sees it; returns what it printed."""
        command = [*self._node.prefix, "sh", "-ceu", f'cd "$1"\n{script}', "sh", str(self.directory(pod, volume))]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        if done.returncode:
            raise HarnessError(f"script in {self.namespace}/{volume}: exit {done.returncode}\n{done.stderr}")
        return done.stdout


def claim(name: str, *, storage_class: str = IMMEDIATE, mode: str = "ReadWriteMany", **labels: str) -> Json:
    """A PersistentVolumeClaim."""
    spec = {
        "accessModes": [mode],
        "resources": {"requests": {"storage": "1Gi"}},
        "storageClassName": storage_class,
    }
    metadata = {"name": name, "labels": labels}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec}


def pod_template(
    *volumes: Json, opted_in: Sequence[str] = (), labels: Mapping[str, str] | None = None, **more: object
) -> Json:
    """Metadata and spec of a pod with one container that mounts every volume.

    Args:
        volumes: As in a pod's spec.
        opted_in: Volumes that the annotation names; all by default.
        labels: The pod's.
        more: Fields of the pod's spec.
    """
    names = [str(volume["name"]) for volume in volumes]
    mounts = [{"name": name, "mountPath": f"/{name}"} for name in names]
    container = {"name": "main", "image": "none", "volumeMounts": mounts}
    annotations = {BACKUP_VOLUMES: ",".join(opted_in or names)}
    return {
        "metadata": {"labels": dict(labels or {}), "annotations": annotations},
        "spec": {"containers": [container], "volumes": list(volumes), "terminationGracePeriodSeconds": 0, **more},
    }


def pod(name: str, template: Json) -> Json:
    """A pod of its own."""
    metadata = {**template["metadata"], "name": name}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


def controller(kind: str, name: str, template: Json, *, group: str = "apps/v1", **spec: object) -> Json:
    """A controller of pods that are labelled with its name."""
    labels = {"app": name}
    template = {**template, "metadata": {**template["metadata"], "labels": labels}}
    selector: dict[str, object] = {} if kind == "Job" else {"selector": {"matchLabels": labels}}
    return {
        "apiVersion": group,
        "kind": kind,
        "metadata": {"name": name},
        "spec": {**selector, "template": template, **spec},
    }


def from_claim(name: str, claim_name: str) -> Json:
    """A volume of a pod on a claim."""
    return {"name": name, "persistentVolumeClaim": {"claimName": claim_name}}


def scratch(name: str) -> Json:
    """An emptyDir."""
    return {"name": name, "emptyDir": {}}
