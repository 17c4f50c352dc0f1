"""Configuration of kubelet and kube-proxy, as pure functions."""

from pathlib import Path

from pkg.testing.containers import SOCKET
from pkg.testing.node_network import POD_RANGE, Addresses
from pkg.testing.pki import Credentials

DNS_ADDRESS = Addresses(number=1).address
DNS_DOMAIN = "cluster.local"


def kubelet(
    addresses: Addresses, *, cgroup: str, ca_file: Path, serving: Credentials, resolver: Path
) -> dict[str, object]:
    """Return the kubelet's configuration: secured as in production, and content with a small, full machine."""
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": addresses.address,
        "readOnlyPort": 0,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(ca_file)},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(serving.certificate_file),
        "tlsPrivateKeyFile": str(serving.key_file),
        "containerRuntimeEndpoint": f"unix://{SOCKET}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{cgroup}",
        "enforceNodeAllocatable": [],
        "failSwapOn": False,
        "clusterDNS": [DNS_ADDRESS],
        "clusterDomain": DNS_DOMAIN,
        "resolvConf": str(resolver),
        "volumePluginDir": "/run/volume-plugins",
        "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "nodeStatusUpdateFrequency": "4s",
    }


def kube_proxy(addresses: Addresses, kubeconfig: Path) -> dict[str, object]:
    """Return kube-proxy's configuration; limits of connection tracking belong to the machine and stay as they are."""
    unlimited = {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"}
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "iptables",
        "clientConnection": {"kubeconfig": str(kubeconfig)},
        "clusterCIDR": POD_RANGE,
        "conntrack": {**unlimited, "udpTimeout": "0s", "udpStreamTimeout": "0s"},
        "hostnameOverride": addresses.name,
        "bindAddress": addresses.address,
        "healthzBindAddress": "",
        "metricsBindAddress": "127.0.0.1:10249",
        "iptables": {"minSyncPeriod": "100ms"},
    }
