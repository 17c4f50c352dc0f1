"""The cluster's name server: CoreDNS as a plain process on the first node's address."""

from pathlib import Path

from pkg.testing.assets import binary
from pkg.testing.controlplane import ControlPlane
from pkg.testing.node_flags import DNS_ADDRESS, DNS_DOMAIN
from pkg.testing.processes import Process

COREFILE = """\
.:53 {{
    bind {address}
    errors
    kubernetes {domain} in-addr.arpa {{
        kubeconfig {kubeconfig}
        pods insecure
        ttl 0
    }}
}}
"""


def name_server(directory: Path, control_plane: ControlPlane) -> Process:
    """Describe CoreDNS; it answers once it has seen the Services."""
    directory.mkdir(parents=True, exist_ok=True)
    kubeconfig = control_plane.user_kubeconfig("ark-test-dns", ["system:masters"])
    corefile = directory / "Corefile"
    corefile.write_text(COREFILE.format(address=DNS_ADDRESS, domain=DNS_DOMAIN, kubeconfig=kubeconfig))
    return Process(
        "coredns",
        [binary("coredns"), "-conf", corefile],
        log=directory / "coredns.log",
        prefix=control_plane.prefix,
    )
