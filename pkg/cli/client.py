"""How the CLI reaches a cluster.

The namespace is the flag's, else that of HEPTIO_ARK_NAMESPACE, else the key `namespace` of the client configuration as
in 0.9, else heptio-ark.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from pkg.apis.names import DEFAULT_NAMESPACE
from pkg.cli import client_file
from pkg.cli.patience import PatientTransport
from pkg.kube.client import Client
from pkg.kube.clock import REAL_CLOCK, Clock

NAMESPACE_VARIABLE = "HEPTIO_ARK_NAMESPACE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """A cluster, and the namespace that Ark runs in.

    Attributes:
        forward: Gives a local (host, port) for a pod's port while its context lasts.
    """

    client: Client
    namespace: str
    forward: Callable[[str, int], AbstractContextManager[tuple[str, int]]]
    clock: Clock = REAL_CLOCK


def connect(*, kubeconfig: str = "", kubecontext: str = "", namespace: str = "") -> Connection:
    """Opens a connection; nothing is sent yet. What is empty is found: environment, client configuration, default.

    Raises:
        KubeconfigError: there is no usable configuration.
    """
    from pkg.kube.portforward import port_forward  # imports kubernetes, half a second
    from pkg.kube.transport import load_transport

    transport = load_transport(kubeconfig, kubecontext)
    ark_namespace = namespace or found_namespace(os.environ, client_file.path())
    return Connection(
        client=Client(PatientTransport(transport)),
        namespace=ark_namespace,
        forward=lambda pod, port: port_forward(transport, ark_namespace, pod, port),
    )


def found_namespace(environ: Mapping[str, str], file: Path) -> str:
    """Ark's namespace where no flag names it."""
    from_environment = environ.get(NAMESPACE_VARIABLE, "")
    return from_environment or client_file.read_values(file).get(client_file.NAMESPACE_KEY, "") or DEFAULT_NAMESPACE
