"""The demo without a kubelet: a real control plane, Ark's processes, and a stand-in for the node.

No containers run, so what the application's container would do in its volumes is done where the agent sees them.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from hack.demo_stage import APPLICATION, SCRIPTS, DemoError, Stage, prepare
from pkg.testing.controlplane import ControlPlane
from pkg.testing.installation import Installation
from pkg.testing.minio import Minio

BUCKET = "ark"
NODE = "node1"
SMALL_FILES = {"data": "2000", "scratch": "20"}
DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class=true"


class ControlPlaneStage(Stage):
    """Processes of this user on the loopback address; no root."""

    title = "a control plane with a stand-in for the node"
    is_cluster = False

    def __init__(self, workdir: Path) -> None:
        super().__init__()
        self.has_owners = os.geteuid() == 0  # in a user namespace of one user every file is that user's
        self._workdir = workdir
        self._control_plane = ControlPlane(workdir / "control-plane")
        self._minio = Minio(workdir / "minio")
        self._installation = Installation(
            self._control_plane, self._minio, workdir / "ark", bucket=BUCKET, nodes=(NODE,)
        )
        self.access = self._control_plane

    def start(self) -> None:
        """Start control plane and object store."""
        prepare("controlplane")
        self._control_plane.start()
        self._minio.start()
        self._minio.make_bucket(BUCKET)

    def install(self) -> None:
        """Install the shipped kinds and rights, start node, server and agent; the node's storage is the default."""
        self._installation.start()
        self.kubectl("annotate", "storageclass", "standin", DEFAULT_CLASS)

    def stop(self) -> None:
        """End every process."""
        self._installation.stop()
        self._minio.stop()
        self._control_plane.stop()

    def fill(self) -> str:
        """Run the application's own script, which leaves a volume that holds anything as it is."""
        script = str(SCRIPTS / "fill.sh")
        return "".join(
            self._run(["bash", script, str(self._directory(volume)), small_files])
            for volume, small_files in SMALL_FILES.items()
        )

    def in_volume(self, script: str, volume: str, *arguments: str) -> str:
        """Run a script where the agent sees the volume."""
        return self._run(["bash", str(SCRIPTS / script), *arguments, str(self._directory(volume))])

    def _run(self, command: list[str]) -> str:
        prefix = self._installation.nodes[NODE].prefix
        environment = {**os.environ, "TMPDIR": str(self._workdir)}
        done = subprocess.run([*prefix, *command], capture_output=True, text=True, env=environment)
        if done.returncode:
            raise DemoError(f"{Path(command[1]).name}: exit code {done.returncode}\n{done.stderr}")
        return done.stdout

    def _directory(self, volume: str) -> Path:
        selected = "-n", APPLICATION, "-l", f"app={APPLICATION}", "-o", "json"
        pods = json.loads(self.kubectl("get", "pods", *selected))["items"]
        (uid,) = [pod["metadata"]["uid"] for pod in pods if "deletionTimestamp" not in pod["metadata"]]
        volumes = self._installation.nodes[NODE].volumes(uid)
        if volume == "scratch":
            return volumes / "kubernetes.io~empty-dir" / volume
        pv = self.kubectl("get", "pvc", volume, "-n", APPLICATION, "-o", "jsonpath={.spec.volumeName}")
        return volumes / "kubernetes.io~csi" / pv / "mount"

    def diagnosis(self) -> str:
        """The ends of the logs of Ark's processes."""
        return f"{self._attempt(('get', 'ark', '-A', '-o', 'yaml'))}\n{self._installation.tails()}"
