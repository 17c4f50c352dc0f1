"""The demo on a cluster that is there already, which must not have an Ark."""

from __future__ import annotations

import os
from pathlib import Path

from hack.demo_stage import ARK_NAMESPACE, CONFIG, INSTALL_SECONDS, Refusal, Stage
from pkg.testing.access import ClusterAccess

SHIPPED_IMAGE = "ark/ark:latest"


class ExistingStage(Stage):
    """The cluster of KUBECONFIG; what the demo makes is removed at the end."""

    title = "the cluster of KUBECONFIG"

    def __init__(self, access: ClusterAccess) -> None:
        super().__init__()
        self.access = access
        self._is_ours = False
        self._image = self._named("IMAGE", "Ark's image, as the nodes pull it")
        self.application_image = self._named("APP_IMAGE", "an image with bash, coreutils, findutils and attr")

    def _named(self, variable: str, what: str) -> str:
        if not (value := os.environ.get(variable)):
            raise Refusal(f"on a cluster of your own, {variable}= must name {what}")
        return value

    def start(self) -> None:
        """Refuse a cluster that has an Ark, or an object of ours by chance."""
        found = self.kubectl("get", "namespaces,crd", "-o", "name").split()
        taken = [name for name in found if name.endswith((f"/{ARK_NAMESPACE}", "/shop", ".ark.heptio.com"))]
        if taken:
            shown = f"{taken[0]} and {len(taken) - 1} more" if len(taken) > 1 else taken[0]
            raise Refusal(f"this cluster has {shown}: the demo touches neither an Ark nor an application that is there")
        self._is_ours = True

    def install(self) -> None:
        """Apply the manifests with the image that was named."""
        crds = str(CONFIG / "crd")
        self.kubectl("apply", "-f", crds)
        self.kubectl("wait", "--for=condition=Established", "-f", crds, "--timeout=30s")
        for manifest in [*sorted((CONFIG / "common").glob("*.yaml")), *sorted((CONFIG / "minio").glob("*.yaml"))]:
            self.kubectl("apply", "-f", "-", stdin=self._with_image(manifest))
        for workload in ("deployment/minio", "deployment/ark", "daemonset/restic"):
            self.wait_for_rollout(workload, ARK_NAMESPACE, INSTALL_SECONDS)

    def _with_image(self, manifest: Path) -> str:
        return manifest.read_text().replace(SHIPPED_IMAGE, self._image)

    def stop(self) -> None:
        """Remove what the demo made."""
        if not self._is_ours:
            return
        gone = "--ignore-not-found", "--timeout=120s"
        self.kubectl("delete", "namespace", "shop", ARK_NAMESPACE, *gone, timeout_seconds=150)
        self.kubectl("delete", *gone, "-f", str(CONFIG / "common"), "-f", str(CONFIG / "crd"), timeout_seconds=150)

    def look_around(self) -> str:
        """What was left, and how to remove it."""
        return (
            f"Left as it is: the namespaces shop and {ARK_NAMESPACE}. To remove everything:\n"
            f"  kubectl delete namespace shop {ARK_NAMESPACE}; kubectl delete -f config/common -f config/crd"
        )
