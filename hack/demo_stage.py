"""Where the demo takes place: what the story asks of a cluster, however it came about."""

from __future__ import annotations

import abc
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from hack.demo_steps import say, show
from pkg.testing.access import ClusterAccess
from pkg.testing.processes import HarnessError

ROOT = Path(__file__).resolve().parent.parent
CONFIG = ROOT / "config"
SCRIPTS = ROOT / "hack" / "demo"
ARK_NAMESPACE = "heptio-ark"
APPLICATION = "shop"
MOUNTS = {"data": "/data", "scratch": "/scratch"}
INSTALL_SECONDS = 180


class DemoError(Exception):
    """The demo cannot go on; the message says why."""


class Refusal(DemoError):
    """The demo will not begin here; nothing was touched, so there is nothing to diagnose."""


def prepare(tier: str) -> None:
    """Install and build what a tier needs, in sight; does nothing where all is there."""
    for step in ("packages", "build"):
        if subprocess.run([sys.executable, str(ROOT / "hack" / "toolchain.py"), step, tier]).returncode:
            raise DemoError(f"hack/toolchain.py {step} {tier} failed")


class Stage(abc.ABC):
    """A cluster with Ark on it; the defaults are those of one with real containers."""

    title: str
    is_cluster = True
    has_owners = True
    application_image = "localhost/ark-base:bookworm"

    def __init__(self) -> None:
        self.access: ClusterAccess

    @abc.abstractmethod
    def start(self) -> None:
        """Start the cluster, building what is missing; `access` is there afterwards."""

    @abc.abstractmethod
    def stop(self) -> None:
        """Remove what `start` made; may be called at any time."""

    def look_around(self) -> str:
        """What to type to look at a cluster that was left up."""
        return ""

    def install(self) -> None:
        """Apply the shipped manifests as README and config/README say, and wait until Ark is ready."""
        crds = str(CONFIG / "crd")
        self.kubectl("apply", "-f", crds)
        self.kubectl("wait", "--for=condition=Established", "-f", crds, "--timeout=30s")
        self.kubectl("apply", "-f", str(CONFIG / "common"), "-f", str(CONFIG / "minio"))
        for workload in ("deployment/minio", "deployment/ark", "daemonset/restic"):
            self.wait_for_rollout(workload, ARK_NAMESPACE, INSTALL_SECONDS)

    def wait_for_rollout(self, workload: str, namespace: str, timeout_seconds: int) -> None:
        """Wait until all pods of a workload are ready."""
        waiting = "rollout", "status", workload, "-n", namespace, f"--timeout={timeout_seconds}s"
        self.kubectl(*waiting, timeout_seconds=timeout_seconds + 10)

    def fill(self) -> str:
        """Do what the application does at its start, and return what it says."""
        return self.kubectl("logs", f"deployment/{APPLICATION}", "-n", APPLICATION, "-c", APPLICATION)

    def kubectl(self, *arguments: str, stdin: str = "", timeout_seconds: float = 60) -> str:
        """Run kubectl as the user and return what it printed."""
        try:
            return self.access.kubectl(*arguments, stdin=stdin, timeout_seconds=timeout_seconds)
        except HarnessError as error:
            raise DemoError(str(error)) from error

    def show_kubectl(self, *arguments: str) -> None:
        """Run kubectl in sight."""
        say(f"   $ kubectl {shlex.join(arguments)}")
        show(self.kubectl(*arguments))

    def ark(self, *arguments: str) -> None:
        """Run the command line of this checkout in sight, where the cluster can be reached."""
        say(f"   $ ark {shlex.join(arguments)}")
        command = [*self.access.prefix, sys.executable, str(ROOT / "cmd" / "ark.py"), *arguments]
        done = subprocess.run(
            command, env=self.environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        show(done.stdout)
        if done.returncode:
            raise DemoError(f"ark {arguments[0]} {arguments[1]}: exit code {done.returncode}")

    def environment(self) -> dict[str, str]:
        """What the command line needs to know."""
        return {**os.environ, "KUBECONFIG": str(self.access.kubeconfig), "PYTHONPATH": str(ROOT)}

    def in_volume(self, script: str, volume: str, *arguments: str) -> str:
        """Run a script of hack/demo in the application's container; the volume's directory is its last argument."""
        pod = f"deployment/{APPLICATION}", "-c", APPLICATION, "-n", APPLICATION
        command = "exec", "-i", *pod, "--", "bash", "-s", "--", *arguments, MOUNTS[volume]
        return self.kubectl(*command, stdin=(SCRIPTS / script).read_text(), timeout_seconds=120)

    def diagnosis(self) -> str:
        """What a person would look at when the demo fails."""
        tried: list[Sequence[str]] = [
            ("get", "pods,events", "-A"),
            ("get", "ark", "-n", ARK_NAMESPACE, "-o", "yaml"),
            ("logs", "-n", ARK_NAMESPACE, "deployment/ark", "--tail=100"),
            ("logs", "-n", ARK_NAMESPACE, "-l", "name=restic", "--tail=100"),
        ]
        return "\n".join(self._attempt(arguments) for arguments in tried)

    def _attempt(self, arguments: Sequence[str]) -> str:
        try:
            answer = self.kubectl(*arguments)
        except DemoError as error:
            answer = str(error)
        return f"$ kubectl {shlex.join(arguments)}\n{answer}"
