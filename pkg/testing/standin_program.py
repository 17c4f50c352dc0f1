"""Runs the program of a pod that works to its end, such as a Job's: the product's own command, as a process here.

Only containers whose command is `ark`, and only in pods that are not restarted: a DaemonSet's agents are processes of
the tests. As in a container, the environment is the container's, the API is reached with the pod's own service
account, and what the program writes to its termination log becomes the pod's message.
"""

import os
import sys
from pathlib import Path

from pkg.testing.assets import binary
from pkg.testing.processes import Process
from pkg.testing.standin_api import Api
from pkg.testing.standin_kinds import EnvVar, Pod, ProgramContainer

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = "ark"
TERMINATION_LOG_VARIABLE = "ARK_TERMINATION_LOG"
MESSAGE_BYTES = 4096
KEPT = ("PATH", "HOME", "LANG", "PYTHONPATH")


def program_of(pod: Pod) -> ProgramContainer | None:
    """The container whose program is run for real; None for a pod that only seems to run."""
    if pod.spec.restart_policy != "Never":
        return None
    found = [one for one in pod.spec.containers or () if one.command and Path(one.command[0]).name == PROGRAM]
    return found[0] if found else None


class Program:
    """One container's program; ends with the stand-in.

    Args:
        api: Mints the token of the pod's account.
        pod: Whose container it is.
        container: What runs.
        directory: For log, kubeconfig and termination message.
    """

    def __init__(self, api: Api, pod: Pod, container: ProgramContainer, directory: Path) -> None:
        meta = pod.metadata
        directory.mkdir(parents=True, exist_ok=True)
        self._message = directory / f"{meta.uid}.termination"
        kubeconfig = directory / f"{meta.uid}.kubeconfig"
        api.write_account_kubeconfig(meta.namespace, pod.spec.service_account_name or "default", kubeconfig)
        environment = {name: os.environ[name] for name in KEPT if name in os.environ}
        environment["PATH"] = f"{binary('restic').parent}:{os.environ['PATH']}"
        environment |= {one.name: value_of(one, pod) for one in container.env or ()}
        environment |= {"KUBECONFIG": str(kubeconfig), TERMINATION_LOG_VARIABLE: str(self._message)}
        words = [*(container.command or ())[1:], *(container.args or ())]
        self._process = Process(
            f"{container.name} of {meta.name}",
            [sys.executable, ROOT / "cmd" / "ark.py", *words],
            log=directory / f"{meta.name}.log",
            environment=environment,
        ).start()

    @property
    def exit_code(self) -> int | None:
        """How it ended, as a container tells it; None while it runs."""
        code = self._process.exit_code
        return code if code is None or code >= 0 else 128 - code

    @property
    def message(self) -> str:
        """What it left behind."""
        return self._message.read_bytes()[:MESSAGE_BYTES].decode(errors="replace") if self._message.exists() else ""

    def stop(self, grace_seconds: float) -> None:
        """Ends it as a kubelet ends a container."""
        self._process.stop(grace_seconds)


def value_of(variable: EnvVar, pod: Pod) -> str:
    """A variable's value; of references only those to the pod's own fields."""
    reference = (variable.value_from or {}).get("fieldRef")
    if reference is None:
        return variable.value
    known = {
        "metadata.name": pod.metadata.name,
        "metadata.namespace": pod.metadata.namespace,
        "metadata.uid": pod.metadata.uid,
        "spec.nodeName": pod.spec.node_name,
    }
    return known.get(str(reference.get("fieldPath")), "")
