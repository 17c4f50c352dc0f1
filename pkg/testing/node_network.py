"""Addresses of the cluster's machines, and the routes among them.

    node 1: bridge `nodes` 10.99.0.1/24 ── cable ── node 2: `uplink` 10.99.0.2/24
    pods of node N: 10.98.N.0/24, routed by its node (CNI plugin ptp: no bridge, so a pod reaches a Service whose pod is
    on the same node without bridge netfilter)

The addresses are the same in each cluster: nothing of it is visible on the machine itself.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from pkg.testing.netns import Machine

POD_RANGE = "10.98.0.0/16"
CNI_PLUGINS = Path("/usr/lib/cni")
FORWARD = "echo 1 > /proc/sys/net/ipv4/ip_forward"


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """What the node with this number (from 1) is called and reached by."""

    number: int

    @property
    def name(self) -> str:
        """Name of the Node object."""
        return f"node{self.number}"

    @property
    def address(self) -> str:
        """Address of the node."""
        return f"10.99.0.{self.number}"

    @property
    def pod_range(self) -> str:
        """Addresses of its pods."""
        return f"10.98.{self.number}.0/24"


def set_up_first(machine: Machine, addresses: Addresses) -> None:
    """Give the first machine its bridge and address."""
    machine.run("ip", "link", "add", "nodes", "type", "bridge")
    machine.run("ip", "address", "add", f"{addresses.address}/24", "dev", "nodes")
    machine.run("ip", "link", "set", "nodes", "up")
    # Without a default route some programs find no address of their own; nothing answers there.
    machine.run("ip", "route", "add", "default", "dev", "nodes")
    machine.run("sh", "-c", FORWARD)


def join(first: Machine, first_addresses: Addresses, machine: Machine, addresses: Addresses) -> None:
    """Connect one more machine to the first one's bridge, with routes to each other's pods."""
    port = f"to-{addresses.name}"
    first.connect(machine, interface=port, other_interface="uplink")
    first.run("ip", "link", "set", port, "master", "nodes")
    first.run("ip", "link", "set", port, "up")
    machine.run("ip", "address", "add", f"{addresses.address}/24", "dev", "uplink")
    machine.run("ip", "link", "set", "uplink", "up")
    machine.run("ip", "route", "add", "default", "via", first_addresses.address)
    machine.run("ip", "route", "add", first_addresses.pod_range, "via", first_addresses.address)
    first.run("ip", "route", "add", addresses.pod_range, "via", addresses.address)
    machine.run("sh", "-c", FORWARD)


def write_cni(directory: Path, addresses: Addresses, data: Path) -> None:
    """Write the network configuration that containerd gives to pods."""
    ipam = {
        "type": "host-local",
        "dataDir": str(data),
        "ranges": [[{"subnet": addresses.pod_range}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    plugins = [
        {"type": "ptp", "ipMasq": True, "ipam": ipam},
        {"type": "portmap", "capabilities": {"portMappings": True}},
    ]
    directory.mkdir(parents=True, exist_ok=True)
    content = {"cniVersion": "0.4.0", "name": "ark", "plugins": plugins}
    (directory / "10-ark.conflist").write_text(json.dumps(content, indent=1))
