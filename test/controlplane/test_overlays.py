"""Every overlay, object by object, before the real API server; and what kustomize makes of what a user edits."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pkg.testing.installation import Installation

CONFIG = Path(__file__).resolve().parents[2] / "config"
OBJECTS = {
    "crd/backups.ark.heptio.com",
    "namespace/heptio-ark",
    "serviceaccount/ark",
    "serviceaccount/ark-agent",
    "clusterrolebinding.rbac.authorization.k8s.io/ark",
    "config.ark.heptio.com/default",
    "deployment.apps/ark",
    "daemonset.apps/restic",
}


@pytest.mark.parametrize("overlay", ["aws", "azure", "gcp", "minio"])
def test_the_api_server_accepts_every_object_of_an_overlay(installation: Installation, overlay: str) -> None:
    asked = ["apply", "--server-side", "--force-conflicts", "--dry-run=server", "-k", str(CONFIG / overlay)]
    accepted = {line.split()[0] for line in installation.access.kubectl(*asked).splitlines()}
    named = {name.replace("customresourcedefinition.apiextensions.k8s.io", "crd") for name in accepted}
    assert named >= OBJECTS
    assert ("deployment.apps/minio" in named) == (overlay == "minio")


@pytest.fixture
def edited(tmp_path: Path) -> Path:
    """A copy of the manifests for a user to edit."""
    return Path(shutil.copytree(CONFIG, tmp_path / "config"))


@pytest.mark.parametrize("overlay", ["aws", "azure", "gcp", "minio"])
def test_an_image_that_is_named_once_is_used_everywhere(installation: Installation, edited: Path, overlay: str) -> None:
    kustomization = edited / overlay / "Kustomization"
    text = kustomization.read_text()
    kustomization.write_text(text.replace("newName: ark/ark", "newName: mine/ark").replace("latest", "v1"))
    shown = installation.access.kubectl("kustomize", str(edited / overlay))
    assert shown.count("mine/ark:v1") >= 3
    assert "ark/ark:latest" not in shown


@pytest.mark.parametrize("overlay", ["aws", "gcp"])
def test_without_keys_no_secret_is_mounted(installation: Installation, edited: Path, overlay: str) -> None:
    mine = edited / "mine"
    mine.mkdir()
    lines = "kind: Kustomization", f"resources: [../{overlay}]", "components: [../identity]"
    (mine / "Kustomization").write_text("\n".join(("apiVersion: kustomize.config.k8s.io/v1beta1", *lines)))
    assert "cloud-credentials" not in installation.access.kubectl("kustomize", str(mine))
    installation.access.kubectl("apply", "--server-side", "--force-conflicts", "--dry-run=server", "-k", str(mine))


@pytest.mark.parametrize("overlay", ["aws", "azure", "gcp"])
def test_own_certificates_reach_server_and_agents(installation: Installation, edited: Path, overlay: str) -> None:
    mine = edited / "mine"
    mine.mkdir()
    lines = "kind: Kustomization", f"resources: [../{overlay}]", "components: [../certificates]"
    (mine / "Kustomization").write_text("\n".join(("apiVersion: kustomize.config.k8s.io/v1beta1", *lines)))
    assert installation.access.kubectl("kustomize", str(mine)).count("value: /certificates/ca.pem") == 2
    installation.access.kubectl("apply", "--server-side", "--force-conflicts", "--dry-run=server", "-k", str(mine))
