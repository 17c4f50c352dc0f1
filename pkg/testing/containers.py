"""containerd on one node: its configuration and the import of images."""

import shutil
from pathlib import Path

from pkg.testing.netns import Machine
from pkg.testing.node_network import CNI_PLUGINS
from pkg.testing.processes import HarnessError, Process, wait_until

SOCKET = "/run/containerd/containerd.sock"
SANDBOX_IMAGE = "localhost/ark-pause:1"
START_SECONDS = 20
IMPORT_SECONDS = 300

# restrict_oom_score_adj: without CAP_SYS_RESOURCE nothing may lower its oom score, and every sandbox would fail.
# The opt plugin would make /opt/containerd on the machine.
CONFIGURATION = """\
version = 2
root = "{root}"
state = "/run/containerd"
disabled_plugins = [
  "io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs",
]
[grpc]
address = "{socket}"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{sandbox_image}"
restrict_oom_score_adj = true
netns_mounts_under_state_dir = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{cni_plugins}"
conf_dir = "{cni_configuration}"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = false
"""


class Containerd:
    """containerd inside a machine, with a store of its own that ends with the cluster."""

    def __init__(self, machine: Machine, directory: Path) -> None:
        self._machine = machine
        self._directory = directory
        self.cni_configuration = directory / "cni"
        self.process: Process | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        configuration = self._directory / "containerd.toml"
        configuration.write_text(self._configuration())
        self.process = Process(
            f"containerd-{self._machine.name}",
            [_installed("containerd"), "--config", configuration],
            log=self._directory / "logs" / "containerd.log",
            prefix=self._machine.prefix,
        )
        self.process.start()
        wait_until(
            self._answers,
            timeout_seconds=START_SECONDS,
            what=f"containerd on {self._machine.name}",
            watched=[self.process],
        )

    def collect_garbage(self) -> None:
        """Wait until nothing is stored that no image needs."""
        image, marker = SANDBOX_IMAGE, "localhost/ark-garbage:1"
        self.ctr("images", "tag", "--force", image, marker)
        self.ctr("images", "remove", "--sync", marker)

    def end(self, grace_seconds: float) -> None:
        """End it in its own way, so that what it has stored is whole."""
        if self.process is not None:
            self.process.stop(grace_seconds)

    def stop(self) -> None:
        """Reap the process after its machine is gone."""
        if self.process is not None:
            self.process.kill()

    def _configuration(self) -> str:
        return CONFIGURATION.format(
            root=self._directory / "containerd",
            socket=SOCKET,
            sandbox_image=SANDBOX_IMAGE,
            cni_plugins=CNI_PLUGINS,
            cni_configuration=self.cni_configuration,
        )

    def _answers(self) -> bool:
        try:
            self.ctr("version")
        except HarnessError:
            return False
        return True

    def ctr(self, *arguments: str | Path, timeout_seconds: float = 30) -> str:
        """Run containerd's own client in the namespace of the kubelet's images."""
        own = ("ctr", "--address", SOCKET, "--namespace", "k8s.io")
        return self._machine.run(*own, *arguments, timeout_seconds=timeout_seconds)

    def load(self, archive: Path) -> None:
        """Import the images of an archive."""
        self.ctr("images", "import", archive, timeout_seconds=IMPORT_SECONDS)


def _installed(program: str) -> str:
    found = shutil.which(program, path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
    if not found:
        raise HarnessError(f"{program} is not installed: hack/toolchain.py packages cluster")
    return found
