"""Which programs the tests run, in which version, and which tier needs which of them.

Every program is built from Go modules, because a checkout must be able to test itself where no container
registry and no download site answers. A program's version is pinned in one place, the `go.mod` of its
directory below hack/toolchain; this file only says what to build there. To move to another version:
`go get -tool PACKAGE@VERSION` in that directory (for kubernetes also its replace lines, then `go mod tidy`).

Azurite alone is no Go program: npm installs it from the `package-lock.json` of its directory. To move to another
version: name it in `package.json`, remove the lock and run `npm install --package-lock-only` there.
"""

from dataclasses import dataclass
from pathlib import Path

HACK = Path(__file__).resolve().parent
MODULES = HACK / "toolchain"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """One program: the Go module it is built in and its main package."""

    name: str
    package: str
    """Import path of the main package."""
    source: str
    """Go module whose version is the program's, as `require`d in `go.mod`; empty for our own code."""
    directory: Path
    """Where the `go.mod` lies."""
    version_variables: str = ""
    """Package whose gitVersion, gitMajor and gitMinor the linker sets."""
    unsummed: str = ""
    """Modules that the checksum database does not answer for (`go.sum` still pins them)."""
    script: str = ""
    """Where the program begins below its directory, once npm has installed its packages; empty for Go's programs."""


def _kubernetes(name: str) -> Tool:
    return Tool(
        name=name,
        package=f"k8s.io/kubernetes/cmd/{name}",
        source="k8s.io/kubernetes",
        directory=MODULES / "kubernetes",
        version_variables="k8s.io/component-base/version",
    )


TOOLS: dict[str, Tool] = {
    tool.name: tool
    for tool in (
        Tool(
            name="restic",
            package="github.com/restic/restic/cmd/restic",
            source="github.com/restic/restic",
            directory=MODULES / "restic",
        ),
        Tool(
            name="etcd",
            package="go.etcd.io/etcd/server/v3",
            source="go.etcd.io/etcd/server/v3",
            directory=MODULES / "etcd",
        ),
        _kubernetes("kube-apiserver"),
        _kubernetes("kube-controller-manager"),
        _kubernetes("kube-scheduler"),
        _kubernetes("kubectl"),
        _kubernetes("kubelet"),
        _kubernetes("kube-proxy"),
        Tool(
            name="minio",
            package="github.com/minio/minio",
            source="github.com/minio/minio",
            directory=MODULES / "minio",
        ),
        Tool(
            name="csi-provisioner",
            package="github.com/kubernetes-csi/external-provisioner/v5/cmd/csi-provisioner",
            source="github.com/kubernetes-csi/external-provisioner/v5",
            directory=MODULES / "csi-provisioner",
            unsummed="sigs.k8s.io/sig-storage-lib-external-provisioner",
        ),
        Tool(
            name="coredns",
            package="github.com/coredns/coredns",
            source="github.com/coredns/coredns",
            directory=MODULES / "coredns",
        ),
        Tool(
            name="azurite",
            package="azurite",
            source="azurite",
            directory=MODULES / "azurite",
            script="node_modules/azurite/dist/src/blob/main.js",
        ),
        Tool(name="csi-driver", package=".", source="", directory=HACK / "csi-driver"),
        Tool(name="bench-client-go", package=".", source="", directory=HACK / "bench" / "client-go"),
    )
}

CONTROL_PLANE = (
    "restic",
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubectl",
    "minio",
)
GROUPS: dict[str, tuple[str, ...]] = {
    "unit": (),
    "controlplane": CONTROL_PLANE,
    "backends": ("azurite",),
    "cluster": (*CONTROL_PLANE, "kubelet", "kube-proxy", "csi-provisioner", "coredns", "csi-driver"),
}


GROUPS_OF_TIERS: dict[str, tuple[str, ...]] = {
    "unit": ("unit",),
    "controlplane": ("controlplane", "backends"),
    "cluster": ("cluster",),
}
"""The groups whose programs and packages the tests of a tier need."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A Debian package and the command or file whose presence makes installing it needless."""

    name: str
    probe: str


PACKAGES: dict[str, tuple[Package, ...]] = {
    "unit": (),
    "controlplane": (Package(name="util-linux", probe="setpriv"), Package(name="attr", probe="setfattr")),
    "backends": (Package(name="nodejs", probe="node"), Package(name="npm", probe="npm")),
    "cluster": (
        Package(name="util-linux", probe="setpriv"),
        Package(name="attr", probe="setfattr"),
        Package(name="buildah", probe="buildah"),
        Package(name="conntrack", probe="conntrack"),
        Package(name="containerd", probe="containerd"),
        Package(name="containernetworking-plugins", probe="/usr/lib/cni/bridge"),
        Package(name="debootstrap", probe="debootstrap"),
        Package(name="iproute2", probe="ip"),
        Package(name="iptables", probe="iptables"),
        Package(name="runc", probe="runc"),
        Package(name="socat", probe="socat"),
    ),
}
