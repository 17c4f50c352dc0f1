"""How the CLI reaches a cluster.

The namespace is the flag's, else the key `namespace` of `~/.config/ark/config.json` as in 0.9, else heptio-ark.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from pkg.apis.names import DEFAULT_NAMESPACE
from pkg.cli.failures import CliError
from pkg.cli.flags import ClusterFlags
from pkg.cli.patience import PatientTransport
from pkg.kube.client import Client
from pkg.kube.clock import REAL_CLOCK, Clock

CONFIG_FILE = Path(".config/ark/config.json")


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


def connect(flags: ClusterFlags) -> Connection:
    """Opens a connection; nothing is sent yet.

    Raises:
        KubeconfigError: there is no usable configuration.
    """
    from pkg.kube.portforward import port_forward  # imports kubernetes, half a second
    from pkg.kube.transport import load_transport

    transport = load_transport(flags.kubeconfig, flags.kubecontext)
    namespace = flags.namespace or configured_namespace(Path.home() / CONFIG_FILE) or DEFAULT_NAMESPACE
    return Connection(
        client=Client(PatientTransport(transport)),
        namespace=namespace,
        forward=lambda pod, port: port_forward(transport, namespace, pod, port),
    )


def configured_namespace(path: Path) -> str:
    """The namespace of Ark's client configuration, empty when there is none."""
    try:
        found = json.loads(path.read_text())
    except FileNotFoundError:
        return ""
    except (OSError, ValueError) as error:
        raise CliError(f"{path} cannot be read: {error}: repair or remove it") from error
    namespace = found.get("namespace", "") if isinstance(found, dict) else ""
    return namespace if isinstance(namespace, str) else ""
