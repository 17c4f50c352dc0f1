"""The demo on a whole cluster of this machine: kubelet, containers, volumes, and Ark's image and manifests as shipped."""

from __future__ import annotations

from pathlib import Path

from hack.demo_stage import Stage
from pkg.testing.cluster import Cluster


class ClusterStage(Stage):
    """A cluster of one node that lives and dies with this process."""

    title = "a whole cluster of this machine"

    def __init__(self, workdir: Path) -> None:
        super().__init__()
        self._cluster = Cluster(workdir)
        self.access = self._cluster

    def start(self) -> None:
        """Build what is missing and start it."""
        self._cluster.start()

    def stop(self) -> None:
        """End it and remove all but its logs."""
        self._cluster.stop()
