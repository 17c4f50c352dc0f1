"""A whole Kubernetes on one Linux machine, as root: control plane, kubelets, containers, volumes, name service.

Everything runs in namespaces of its own, so any number of clusters live beside each other and beside whatever else the
machine does, and everything dies with this process. Ready in about 20 seconds once programs and images are built.
"""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

from pkg.testing import csi, images
from pkg.testing.access import ClusterAccess
from pkg.testing.cluster_dns import name_server
from pkg.testing.cluster_state import Claim, ClusterState, identity, purge
from pkg.testing.controlplane import ControlPlane
from pkg.testing.images_store import fill_stores
from pkg.testing.node import Node
from pkg.testing.node_network import Addresses, join, set_up_first
from pkg.testing.processes import HarnessError, Process, wait_until

READY_SECONDS = 90
ALL_IMAGES = (images.SANDBOX, images.APPLICATION, images.MINIO, images.ARK)


class Cluster(ClusterAccess):
    """Starts with `start` or as a context manager; what an earlier crash left in the workdir is cleaned first.

    Args:
        workdir: everything of the cluster lies there; not below /run or /var/log.
        nodes: how many.
        image_names: what every node can run from the start, of pause, base, minio and ark.
    """

    def __init__(self, workdir: Path, *, nodes: int = 1, image_names: Sequence[str] = ALL_IMAGES) -> None:
        if os.geteuid() != 0:
            raise HarnessError("a cluster with nodes needs root: it makes namespaces, mounts and control groups")
        self.workdir = workdir.resolve()
        self._claim = Claim.of(self.workdir)
        self._image_names = tuple(dict.fromkeys((images.SANDBOX, *image_names)))
        members = [Addresses(number=number) for number in range(1, nodes + 1)]
        network = f"--net={self.workdir / members[0].name / members[0].name}.net"
        self.control_plane = ControlPlane(
            self.workdir / "control-plane", bind_address=members[0].address, prefix=("nsenter", network)
        )
        self.nodes = [self._node(addresses) for addresses in members]
        self._services: list[Process] = []
        super().__init__(
            kubeconfig=self.control_plane.kubeconfig,
            server_url=self.control_plane.server_url,
            ca_file=self.control_plane.ca_file,
            cache=self.workdir / "control-plane" / "kubectl-cache",
            prefix=self.control_plane.prefix,
        )

    def _node(self, addresses: Addresses) -> Node:
        return Node(
            addresses,
            self.workdir / addresses.name,
            cgroup=self.cgroup_name(self.workdir, addresses.name),
            control_plane=self.control_plane,
        )

    @staticmethod
    def cgroup_name(workdir: Path, node: str) -> str:
        """Return the name of the control group of a node's pods."""
        return f"ark-{identity(workdir)}-{node}"

    def start(self) -> Self:
        """Start everything and wait until pods with volumes can run; nothing is left when that fails."""
        try:
            self._record(is_ready=False)
            with ThreadPoolExecutor(thread_name_prefix="cluster-start") as threads:
                try:
                    self._start(threads)
                except BaseException:
                    self._kill()  # so that no thread waits for what will not come
                    raise
            self._record(is_ready=True)
        except BaseException:
            self.stop()
            raise
        return self

    def _start(self, threads: ThreadPoolExecutor) -> None:
        self._start_machines()
        control_plane = threads.submit(self.control_plane.start)
        fill_stores([node.directory for node in self.nodes], images.image_archives(self._image_names))
        for runtime in [threads.submit(node.start_containerd) for node in self.nodes]:
            runtime.result()
        control_plane.result()
        for node in self.nodes:
            node.start_kubelet()
        self._start_services()
        self._wait_until_ready()

    def _start_machines(self) -> None:
        first = self.nodes[0]
        first.start_machine()
        set_up_first(first.machine, first.addresses)
        for node in self.nodes[1:]:
            node.start_machine()
            join(first.machine, first.addresses, node.machine, node.addresses)

    def _start_services(self) -> None:
        self.apply({"apiVersion": "v1", "kind": "List", "items": csi.storage_objects()})
        drivers = [csi.driver(node, self.workdir / "volumes" / "data") for node in self.nodes]
        self._services = [
            *drivers,
            csi.provisioner(self.nodes[0], self.control_plane),
            name_server(self.workdir / "name-server", self.control_plane),
        ]
        for service in self._services:
            service.start()

    def _wait_until_ready(self) -> None:
        wait_until(
            self._is_ready,
            timeout_seconds=READY_SECONDS,
            what=f"{len(self.nodes)} nodes with their volume driver",
            watched=self._services,
        )

    def _is_ready(self) -> bool:
        shown = json.loads(self.kubectl("get", "nodes,csinodes", "--output=json"))["items"]
        conditions = [row["status"]["conditions"] for row in shown if row["kind"] == "Node"]
        ready = sum({"type": "Ready", "status": "True"}.items() <= each.items() for row in conditions for each in row)
        drivers = sum(bool(row["spec"].get("drivers")) for row in shown if row["kind"] == "CSINode")
        return bool(ready == drivers == len(self.nodes))

    def _record(self, *, is_ready: bool) -> None:
        network = self.nodes[0].machine.network_prefix[1].removeprefix("--net=")
        self._claim.write(
            ClusterState(
                workdir=str(self.workdir),
                pid=os.getpid(),
                cgroups=tuple(node.cgroup for node in self.nodes),
                network=network if is_ready else "",
                kubeconfig=str(self.kubeconfig),
                server_url=self.server_url,
                ca_file=str(self.ca_file),
            )
        )

    def node(self, name: str) -> Node:
        """Return a node by the name of its Node object."""
        return next(node for node in self.nodes if node.name == name)

    def restart_volume_driver(self) -> None:
        """Kill the volume driver of every node and start it again."""
        for driver in self._services[: len(self.nodes)]:
            driver.kill()
            driver.start()

    def load_image(self, archive: Path) -> None:
        """Give every node the images of one more archive."""
        for node in self.nodes:
            node.containerd.load(archive)

    def run(
        self, *argv: str | Path, environment: Mapping[str, str] | None = None, timeout_seconds: float = 60
    ) -> "subprocess.CompletedProcess[str]":
        """Run a command in the cluster's network, with this machine's files; KUBECONFIG is the administrator's."""
        variables = {**os.environ, "KUBECONFIG": str(self.kubeconfig), **(environment or {})}
        command = [*self.prefix, *map(str, argv)]
        return subprocess.run(command, env=variables, capture_output=True, text=True, timeout=timeout_seconds)

    def stop(self) -> None:
        """End everything and remove it but the logs; may be called again."""
        self._kill()
        purge(self.workdir)
        self._claim.release()

    def _kill(self) -> None:
        """End every process at once: no one needs what a graceful end would save."""
        for process in (*self._services, *reversed(self.control_plane.processes)):
            process.kill()
        for node in self.nodes:
            node.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
