"""How the CLI reaches a cluster.

The namespace is the flag's, else that of HEPTIO_ARK_NAMESPACE, else the key `namespace` of the client configuration as
in 0.9, else heptio-ark.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from pkg.apis.names import DEFAULT_NAMESPACE
from pkg.cli import client_file
from pkg.cli.patience import PatientTransport
from pkg.kube.client import Client
from pkg.kube.clock import REAL_CLOCK, Clock
from pkg.kube.quick import quick_transport

if TYPE_CHECKING:
    from pkg.kube.transport import KubeTransport

NAMESPACE_VARIABLE = "HEPTIO_ARK_NAMESPACE"
LONGEST_COMMAND_SECONDS = 3600.0
CONTAINER = "ark"  # of the server's and the agents' pods


class Execute(Protocol):
    """Runs commands in pods of Ark's namespace."""

    def __call__(self, pod: str, command: Sequence[str], on_output: Callable[[int, bytes], None]) -> int:
        """Hands over what the command prints on channel 1 or 2 as it comes; returns its exit code."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """A cluster, and the namespace that Ark runs in.

    Attributes:
        forward: Gives a local (host, port) for a pod's port while its context lasts.
        execute: Runs a command in a pod.
    """

    client: Client
    namespace: str
    forward: Callable[[str, int], AbstractContextManager[tuple[str, int]]]
    execute: Execute
    clock: Clock = REAL_CLOCK


def connect(*, kubeconfig: str = "", kubecontext: str = "", namespace: str = "") -> Connection:
    """Opens a connection; nothing is sent yet. What is empty is found: environment, client configuration, default.

    Raises:
        KubeconfigError: there is no usable configuration.
    """
    quick = quick_transport(kubeconfig, kubecontext)
    full = functools.cache(lambda: _full_transport(kubeconfig, kubecontext))
    ark_namespace = namespace or found_namespace(os.environ, client_file.path())

    def forward(pod: str, port: int) -> AbstractContextManager[tuple[str, int]]:
        from pkg.kube.portforward import port_forward  # costs what most commands need not pay

        return port_forward(full(), ark_namespace, pod, port)

    def execute(pod: str, command: Sequence[str], on_output: Callable[[int, bytes], None]) -> int:
        from pkg.kube.exec import stream_from_pod  # as above

        return stream_from_pod(full(), ark_namespace, pod, CONTAINER, command, LONGEST_COMMAND_SECONDS, on_output)

    client = Client(PatientTransport(quick or full()))
    return Connection(client=client, namespace=ark_namespace, forward=forward, execute=execute)


def _full_transport(kubeconfig: str, kubecontext: str) -> KubeTransport:
    from pkg.kube.transport import load_transport  # imports kubernetes, 0.3 s

    return load_transport(kubeconfig, kubecontext)


def found_namespace(environ: Mapping[str, str], file: Path) -> str:
    """Ark's namespace where no flag names it."""
    from_environment = environ.get(NAMESPACE_VARIABLE, "")
    return from_environment or client_file.read_values(file).get(client_file.NAMESPACE_KEY, "") or DEFAULT_NAMESPACE
