"""Command lines of the four control plane processes, as pure functions of one frozen description."""

import ipaddress
from dataclasses import dataclass
from pathlib import Path

from pkg.testing.pki import Credentials

SERVICE_RANGE = "10.96.0.0/16"
FIRST_SERVICE_ADDRESS = "10.96.0.1"
REQUESTS_PER_SECOND = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Addresses, ports and files of one control plane."""

    bind_address: str
    etcd_port: int
    etcd_peer_port: int
    apiserver_port: int
    controller_manager_port: int
    scheduler_port: int
    etcd_data: Path
    ca: Credentials
    serving: Credentials
    kubelet_client: Credentials
    token_key_file: Path
    token_public_file: Path
    controller_manager_kubeconfig: Path
    scheduler_kubeconfig: Path

    @property
    def server_url(self) -> str:
        """Where the API server answers."""
        return f"https://{self.bind_address}:{self.apiserver_port}"

    @property
    def etcd_url(self) -> str:
        """Where etcd answers its clients."""
        return f"http://{self.bind_address}:{self.etcd_port}"


def etcd(layout: Layout) -> list[str]:
    """Return etcd's flags; nothing is synced to disk, as no test outlives the machine."""
    peer_url = f"http://{layout.bind_address}:{layout.etcd_peer_port}"
    return [
        f"--data-dir={layout.etcd_data}",
        f"--listen-client-urls={layout.etcd_url}",
        f"--advertise-client-urls={layout.etcd_url}",
        f"--listen-peer-urls={peer_url}",
        f"--initial-advertise-peer-urls={peer_url}",
        f"--initial-cluster=default={peer_url}",
        "--unsafe-no-fsync",
        "--log-level=warn",
    ]


def kube_apiserver(layout: Layout) -> list[str]:
    """Return kube-apiserver's flags: authorization as in production, kubelets reached by address."""
    return [
        f"--etcd-servers={layout.etcd_url}",
        f"--bind-address={layout.bind_address}",
        f"--advertise-address={layout.bind_address}",
        f"--endpoint-reconciler-type={_endpoint_reconciler(layout.bind_address)}",
        f"--secure-port={layout.apiserver_port}",
        f"--tls-cert-file={layout.serving.certificate_file}",
        f"--tls-private-key-file={layout.serving.key_file}",
        f"--client-ca-file={layout.ca.certificate_file}",
        f"--kubelet-client-certificate={layout.kubelet_client.certificate_file}",
        f"--kubelet-client-key={layout.kubelet_client.key_file}",
        "--kubelet-preferred-address-types=InternalIP",
        f"--service-account-key-file={layout.token_public_file}",
        f"--service-account-signing-key-file={layout.token_key_file}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-cluster-ip-range={SERVICE_RANGE}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
    ]


def _endpoint_reconciler(bind_address: str) -> str:
    """The Service `kubernetes` may not point to a loopback address."""
    return "none" if ipaddress.ip_address(bind_address).is_loopback else "lease"


def kube_controller_manager(layout: Layout) -> list[str]:
    """Return kube-controller-manager's flags: all controllers but the one that needs a pod range."""
    return [
        f"--kubeconfig={layout.controller_manager_kubeconfig}",
        f"--root-ca-file={layout.ca.certificate_file}",
        f"--cluster-signing-cert-file={layout.ca.certificate_file}",
        f"--cluster-signing-key-file={layout.ca.key_file}",
        f"--service-account-private-key-file={layout.token_key_file}",
        "--use-service-account-credentials",
        "--controllers=*,-nodeipam",
        *_as_client(layout, layout.controller_manager_port),
    ]


def kube_scheduler(layout: Layout) -> list[str]:
    """Return kube-scheduler's flags."""
    return [
        f"--kubeconfig={layout.scheduler_kubeconfig}",
        *_as_client(layout, layout.scheduler_port),
    ]


def _as_client(layout: Layout, port: int) -> list[str]:
    return [
        "--leader-elect=false",
        f"--kube-api-qps={REQUESTS_PER_SECOND}",
        f"--kube-api-burst={2 * REQUESTS_PER_SECOND}",
        f"--bind-address={layout.bind_address}",
        f"--secure-port={port}",
        f"--tls-cert-file={layout.serving.certificate_file}",
        f"--tls-private-key-file={layout.serving.key_file}",
    ]
