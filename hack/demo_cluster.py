"""The demo on a whole cluster of this machine: kubelet, containers, volumes, and everything of Ark as shipped."""

from __future__ import annotations

import sys
from pathlib import Path

from hack.demo_stage import DemoError, Refusal, Stage, prepare
from pkg.testing import cluster_cli
from pkg.testing.cluster import ALL_IMAGES, Cluster
from pkg.testing.cluster_state import cache_directory, running

TITLE = "a whole cluster of this machine"


class ClusterStage(Stage):
    """A cluster of one node that lives and dies with this process."""

    title = TITLE

    def __init__(self, workdir: Path) -> None:
        super().__init__()
        self._cluster = Cluster(workdir)
        self.access = self._cluster

    def start(self) -> None:
        """Build what is missing and start it."""
        prepare("cluster")
        self._cluster.start()

    def stop(self) -> None:
        """End it and remove all but its logs."""
        self._cluster.stop()


class StandingClusterStage(Stage):
    """The same cluster, kept by a process of its own until `make cluster-down`."""

    title = f"{TITLE} that stays"

    def __init__(self) -> None:
        super().__init__()
        self._workdir = cache_directory() / "clusters" / "standing"
        if running(self._workdir):
            raise Refusal("a cluster stands already; make cluster-down ends it")

    def start(self) -> None:
        """Build what is missing and start it."""
        prepare("cluster")
        cluster_cli.up(self._workdir, 1, ALL_IMAGES)
        state = running(self._workdir)
        if state is None:
            raise DemoError(f"the cluster has ended; see {self._workdir}")
        self.access = state.access()

    def stop(self) -> None:
        """End it."""
        cluster_cli.down(self._workdir)

    def look_around(self) -> str:
        """How to run commands where the cluster is."""
        run = f"{sys.executable} -m pkg.testing.cluster_cli run --"
        return "\n".join(
            [
                "The cluster stays. Look around with",
                f"  {run} kubectl get pods --all-namespaces",
                f"  {run} kubectl logs -n heptio-ark deployment/ark",
                f"  PYTHONPATH=. {run} {sys.executable} cmd/ark.py backup get",
                "and end it with",
                "  make cluster-down",
            ]
        )
