"""One node: containerd, kubelet and kube-proxy in a machine of their own.

The kubelet's directory is at /var/lib/kubelet *inside*, so manifests and paths are those of any cluster; outside it
lies below the workdir. All that the machine shares with the outside are its control group and the empty mount point
/var/lib/kubelet.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from pkg.testing import node_flags
from pkg.testing.assets import binary
from pkg.testing.containers import Containerd
from pkg.testing.controlplane import ControlPlane
from pkg.testing.netns import Machine
from pkg.testing.node_cgroups import make_cgroups, remove_cgroups
from pkg.testing.node_network import Addresses, write_cni
from pkg.testing.processes import Process

KUBELET_DIRECTORY = Path("/var/lib/kubelet")

# The kubelet sets these for the whole machine; it finds them set, in files that only it sees.
KERNEL_SETTINGS = {
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
}

SETUP = """\
mount --make-rshared /
mount --bind {directory}/log /var/log
mkdir -p {kubelet_directory}
mount --bind {directory}/kubelet {kubelet_directory}
mount --make-rshared {kubelet_directory}
mount -t tmpfs -o mode=755 tmpfs /run
"""
KERNEL_SETTING = """\
if [ -e /proc/sys/{name} ]; then echo {value} > {file}; mount --bind {file} /proc/sys/{name}; fi
"""


class Node:
    """One node of a cluster.

    Args:
        addresses: who it is.
        directory: everything of it lies there.
        cgroup: name of its control group, used by nobody else on this machine.
        control_plane: what it joins.
        labels: of the Node object.
    """

    def __init__(
        self,
        addresses: Addresses,
        directory: Path,
        *,
        cgroup: str,
        control_plane: ControlPlane,
        labels: Mapping[str, str] | None = None,
    ) -> None:
        self.addresses = addresses
        self.name = addresses.name
        self.directory = directory
        self.cgroup = cgroup
        self.machine = Machine(self.name, directory, _setup(directory))
        self.containerd = Containerd(self.machine, directory)
        self.kubelet: Process | None = None
        self.kube_proxy: Process | None = None
        self._control_plane = control_plane
        self._labels = dict(labels or {})

    def start_machine(self) -> None:
        """Make the namespaces and the control group; nothing runs in them yet."""
        for name in ("log", "kubelet", "kernel", "logs"):
            (self.directory / name).mkdir(parents=True, exist_ok=True)
        make_cgroups(self.cgroup)
        self.machine.start()

    def start_containerd(self) -> None:
        """Start containerd, for which no control plane is needed yet."""
        write_cni(self.containerd.cni_configuration, self.addresses, Path("/run/cni"))
        self.containerd.start()

    def start_kubelet(self) -> None:
        """Start kubelet and kube-proxy; the Node object appears by itself."""
        self.kubelet = self._process("kubelet", self._kubelet_arguments()).start()
        self.kube_proxy = self._process("kube-proxy", self._kube_proxy_arguments()).start()

    def _process(self, program: str, arguments: list[str]) -> Process:
        log = self.directory / "logs" / f"{program}.log"
        command = [str(binary(program)), *arguments]
        return Process(f"{program}-{self.name}", command, log=log, prefix=self.machine.prefix)

    def _kubelet_arguments(self) -> list[str]:
        plane = self._control_plane
        user = f"system:node:{self.name}"
        serving = plane.issue(f"kubelet-{self.name}", common_name=user, hosts=[self.addresses.address, self.name])
        resolver = self.directory / "resolv.conf"
        resolver.write_text("# nothing outside the cluster is resolved\n")
        configuration = self.directory / "kubelet.json"
        settings = node_flags.kubelet(
            self.addresses, cgroup=self.cgroup, ca_file=plane.ca_file, serving=serving, resolver=resolver
        )
        configuration.write_text(json.dumps(settings, indent=1))
        labels = ",".join(f"{name}={value}" for name, value in self._labels.items())
        return [
            f"--config={configuration}",
            f"--kubeconfig={plane.user_kubeconfig(user, ['system:nodes'])}",
            f"--hostname-override={self.name}",
            f"--node-ip={self.addresses.address}",
            *([f"--node-labels={labels}"] if labels else []),
        ]

    def _kube_proxy_arguments(self) -> list[str]:
        kubeconfig = self._control_plane.user_kubeconfig("system:kube-proxy")
        configuration = self.directory / "kube-proxy.json"
        configuration.write_text(json.dumps(node_flags.kube_proxy(self.addresses, kubeconfig), indent=1))
        return [f"--config={configuration}"]

    def pod_directory(self, uid: str) -> Path:
        """The kubelet's directory of a pod; its volumes are seen inside the machine only."""
        return KUBELET_DIRECTORY / "pods" / uid

    def stop(self) -> None:
        """End everything on the node at once and remove what the kernel leaves."""
        self.machine.stop()
        for process in (self.kubelet, self.kube_proxy):
            if process is not None:
                process.kill()
        self.containerd.stop()
        remove_cgroups(self.cgroup)


def _setup(directory: Path) -> str:
    commands = SETUP.format(directory=directory, kubelet_directory=KUBELET_DIRECTORY)
    for name, value in KERNEL_SETTINGS.items():
        file = directory / "kernel" / name.replace("/", "-")
        commands += KERNEL_SETTING.format(name=name, value=value, file=file)
    return commands
