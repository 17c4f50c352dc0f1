"""A machine in namespaces: network, mounts and processes that exist as long as one process does.

The namespaces have no name anywhere. An init process holds them; when it ends, the kernel kills every process inside
(containers too), and with the last process mounts, interfaces and routes are gone. So nothing has to be found and
cleaned after a crash: our own death kills init (`setpriv --pdeathsig`, `unshare --kill-child`).
"""

import subprocess
from pathlib import Path

from pkg.testing.processes import HarnessError, Process, wait_until

START_SECONDS = 10

# Ignored SIGCHLD survives exec and makes the kernel reap orphans, which is all that an init has to do here.
INIT = "set -e\n{setup}\n: > {ready}\ntrap '' CHLD\nexec sleep infinity\n"


class Machine:
    """Namespaces of one machine of the cluster.

    Args:
        name: host name and prefix of file names.
        directory: holds the log and a link to the network namespace.
        setup: shell commands run inside as root before anything else, with mounts private to the machine.
    """

    def __init__(self, name: str, directory: Path, setup: str = "") -> None:
        self.name = name
        self._ready = directory / f"{name}.ready"
        self._network = directory / f"{name}.net"
        script = INIT.format(setup=setup, ready=self._ready)
        namespaces = ["--net", "--mount", "--pid", "--uts", "--ipc", "--mount-proc", "--propagation=private"]
        command = ["unshare", "--fork", "--kill-child=KILL", *namespaces, "sh", "-c", script]
        self._init = Process(f"{name}-init", command, log=directory / "logs" / f"{name}-init.log")

    def start(self) -> None:
        """Make the namespaces and run the set-up."""
        self._ready.unlink(missing_ok=True)
        self._network.unlink(missing_ok=True)
        self._init.start()
        wait_until(
            self._ready.exists,
            timeout_seconds=START_SECONDS,
            what=f"the namespaces of {self.name}",
            watched=[self._init],
        )
        self._network.symlink_to(f"/proc/{self.pid}/ns/net")
        self.run("hostname", self.name)
        self.run("ip", "link", "set", "lo", "up")

    @property
    def pid(self) -> int:
        """The init process as this machine sees it: `/proc/<pid>/ns/…` are the namespaces."""
        children = Path(f"/proc/{self._init.pid}/task/{self._init.pid}/children").read_text().split()
        if not children:
            raise HarnessError(f"the namespaces of {self.name} are gone\n{self._init.tail()}")
        return int(children[0])

    @property
    def network_prefix(self) -> tuple[str, ...]:
        """Command words that run what follows in the network only; known before the start."""
        return ("nsenter", f"--net={self._network}")

    @property
    def prefix(self) -> tuple[str, ...]:
        """Command words that run what follows inside all namespaces, working directory `/`.

        `nsenter` has to fork to get into a process namespace. It must outlive a SIGTERM to the group, or its child
        would be killed for having lost its parent instead of stopping in its own way.
        """
        tied = ("setpriv", "--pdeathsig", "KILL", "--", "env", "--ignore-signal=TERM,INT")
        return (*tied, *self._enter, "env", "--default-signal=TERM,INT")

    @property
    def _enter(self) -> tuple[str, ...]:
        return ("nsenter", f"--target={self.pid}", "--net", "--mount", "--pid", "--uts", "--ipc", "--")

    def run(self, *command: str | Path, stdin: str = "", timeout_seconds: float = 60) -> str:
        """Run a command inside and return what it printed."""
        words = [*self._enter, *map(str, command)]
        done = subprocess.run(words, input=stdin, capture_output=True, text=True, timeout=timeout_seconds)
        if done.returncode:
            output = (done.stdout + done.stderr).strip()
            raise HarnessError(f"on {self.name}: {' '.join(map(str, command))}: {output}")
        return done.stdout

    def connect(self, other: "Machine", *, interface: str, other_interface: str) -> None:
        """Lay a cable to another machine: a pair of interfaces, both still down."""
        # Not inside the process namespace, in which the other machine's init has no number.
        peer = ("peer", "name", other_interface, "netns", str(other.pid))
        command = [*self.network_prefix, "ip", "link", "add", interface, "type", "veth", *peer]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise HarnessError(f"{' '.join(command)}: {done.stderr.strip()}")

    def stop(self) -> None:
        """End everything inside at once; nothing of it is left when this returns."""
        self._init.kill()
