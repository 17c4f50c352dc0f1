"""A small application on a stand-in node: a namespace, a claim, and a pod whose volumes hold real files."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from pkg.testing.access import ClusterAccess
from pkg.testing.processes import HarnessError, wait_until
from pkg.testing.standin_process import StandInNode
from pkg.testing.standin_storage import IMMEDIATE

RUNNING_SECONDS = 60


class Application:
    """One pod `web` with a claim `data` and an emptyDir `scratch`.

    Args:
        access: The cluster, as an administrator.
        node: Where the pod is to run.
        namespace: Its namespace; made by `deploy`.
        annotations: The pod's; by default both volumes are opted in by name.
    """

    def __init__(
        self,
        access: ClusterAccess,
        node: StandInNode,
        namespace: str,
        *,
        annotations: Mapping[str, str] | None = None,
    ) -> None:
        self._access = access
        self._node = node
        self.namespace = namespace
        default = {"backup.ark.heptio.com/backup-volumes": "data, scratch"}
        self._annotations = dict(default if annotations is None else annotations)

    def deploy(self, *extra_volumes: Mapping[str, object], mounted: Sequence[str] = ()) -> None:
        """Creates everything and waits until the pod runs; `mounted` names the extra volumes that it mounts."""
        self._access.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}})
        self._access.apply(self._claim())
        self._access.apply(self._pod(extra_volumes, mounted))
        self.wait_running()

    def wait_running(self, timeout_seconds: float = RUNNING_SECONDS) -> None:
        """Waits until the pod runs."""
        wait_until(
            lambda: self._phase() == "Running",
            timeout_seconds=timeout_seconds,
            what=f"pod {self.namespace}/web to run",
            watched=[self._node.process],
        )

    def pod(self) -> dict[str, object]:
        """The pod as JSON."""
        text = self._access.kubectl("get", "pod", "web", "-n", self.namespace, "-o", "json")
        found: dict[str, object] = json.loads(text)
        return found

    def delete_namespace(self) -> None:
        """Deletes all of it and waits until it is gone."""
        self._access.kubectl("delete", "namespace", self.namespace, "--timeout=90s", timeout_seconds=100)

    def directory(self, volume: str) -> Path:
        """Where a volume's contents lie on the node."""
        metadata = self.pod()["metadata"]
        assert isinstance(metadata, dict)
        volumes = self._node.volumes(str(metadata["uid"]))
        if volume != "data":
            return volumes / "kubernetes.io~empty-dir" / volume
        claim = json.loads(self._access.kubectl("get", "pvc", "data", "-n", self.namespace, "-o", "json"))
        return volumes / "kubernetes.io~csi" / str(claim["spec"]["volumeName"]) / "mount"

    def shell(self, volume: str, script: str) -> str:
        """Runs a shell script in a volume as the node sees it; returns what it printed."""
        command = [*self._node.prefix, "sh", "-ceu", f'cd "$1"\n{script}', "sh", str(self.directory(volume))]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        if done.returncode:
            raise HarnessError(f"script in {self.namespace}/{volume}: exit {done.returncode}\n{done.stderr}")
        return done.stdout

    def listing(self, volume: str) -> str:
        """Every path of a volume with owner, mode, time, type, size, link target and content's digest."""
        return self.shell(
            volume,
            "find . -printf '%P %U:%G %m %T@ %y %n %s %l\\n' | sort\n"
            "find . -type f -print0 | sort -z | xargs -0 -r sha256sum",
        )

    def _phase(self) -> str:
        try:
            status = self.pod()["status"]
        except HarnessError:
            return ""
        assert isinstance(status, dict)
        return str(status.get("phase", ""))

    def _claim(self) -> dict[str, object]:
        return {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "data", "namespace": self.namespace},
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "1Gi"}},
                "storageClassName": IMMEDIATE,
            },
        }

    def _pod(self, extra_volumes: Sequence[Mapping[str, object]], mounted: Sequence[str]) -> dict[str, object]:
        volumes = [
            {"name": "data", "persistentVolumeClaim": {"claimName": "data"}},
            {"name": "scratch", "emptyDir": {}},
        ]
        mounts = [{"name": name, "mountPath": f"/{name}"} for name in ("data", "scratch", *mounted)]
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "web", "namespace": self.namespace, "annotations": self._annotations},
            "spec": {
                "nodeSelector": {"kubernetes.io/hostname": self._node.name},
                "containers": [{"name": "web", "image": "none", "volumeMounts": mounts}],
                "volumes": [*volumes, *extra_volumes],
            },
        }
