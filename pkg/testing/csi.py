"""Volumes of the test cluster: the driver on each node, one provisioner, and the classes that name them."""

import shlex
from pathlib import Path

from pkg.testing.assets import binary
from pkg.testing.controlplane import ControlPlane
from pkg.testing.node import KUBELET_DIRECTORY, Node
from pkg.testing.processes import Process

DRIVER = "csi.ark.test"
STORAGE_CLASS = "ark-csi"
"""The default class: bound at once."""
WAITING_STORAGE_CLASS = "ark-csi-wait"
"""Bound when a pod needs it."""

SOCKET = KUBELET_DIRECTORY / "plugins" / DRIVER / "csi.sock"
REGISTRATION = KUBELET_DIRECTORY / "plugins_registry" / f"{DRIVER}-reg.sock"


def storage_objects() -> list[dict[str, object]]:
    """Return the CSIDriver and the two storage classes.

    With the default fsGroupPolicy nothing would be done for a volume without a file system type, and pods that run as a
    user would get "Permission denied".
    """
    spec = {"attachRequired": False, "podInfoOnMount": False, "fsGroupPolicy": "File"}
    return [
        {"apiVersion": "storage.k8s.io/v1", "kind": "CSIDriver", "metadata": {"name": DRIVER}, "spec": spec},
        _storage_class(STORAGE_CLASS, "Immediate", is_default=True),
        _storage_class(WAITING_STORAGE_CLASS, "WaitForFirstConsumer", is_default=False),
    ]


def _storage_class(name: str, binding_mode: str, *, is_default: bool) -> dict[str, object]:
    annotations = {"storageclass.kubernetes.io/is-default-class": str(is_default).lower()}
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": name, "annotations": annotations},
        "provisioner": DRIVER,
        "reclaimPolicy": "Delete",
        "volumeBindingMode": binding_mode,
    }


def driver(node: Node, volumes: Path) -> Process:
    """Describe the driver of one node, once its machine runs; all nodes share the directory of volumes."""
    for socket in (SOCKET, REGISTRATION):
        node.machine.run("mkdir", "-p", socket.parent)
    flags = [f"-name={DRIVER}", f"-node={node.name}", f"-volumes={volumes}"]
    return Process(
        f"csi-driver-{node.name}",
        [binary("csi-driver"), *flags, f"-endpoint={SOCKET}", f"-register={REGISTRATION}"],
        log=node.directory / "logs" / "csi-driver.log",
        prefix=node.machine.prefix,
    )


def provisioner(node: Node, control_plane: ControlPlane) -> Process:
    """Describe the provisioner beside the driver of a node, in a loop: it ends when the driver was restarted."""
    kubeconfig = control_plane.user_kubeconfig("ark-test-provisioner", ["system:masters"])
    flags = [f"--csi-address={SOCKET}", f"--kubeconfig={kubeconfig}", "--leader-election=false"]
    command = shlex.join([str(binary("csi-provisioner")), *flags])
    return Process(
        "csi-provisioner",
        ["sh", "-c", f"while :; do {command}; sleep 0.3; done"],
        log=node.directory / "logs" / "csi-provisioner.log",
        prefix=node.machine.prefix,
    )
