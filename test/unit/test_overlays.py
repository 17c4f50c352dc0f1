"""The overlays of the clouds fit the base, the code and each other; what the API server says is another tier's test."""

from __future__ import annotations

import fnmatch
import json
import re
from pathlib import Path
from typing import TypeAlias

import msgspec
import pytest
import yaml

from pkg.apis import names
from pkg.apis.ark import Config
from pkg.apis.meta import JsonObject
from pkg.controllers.maintenance_job import template_of
from pkg.objectstore.location import storage_location

Yaml: TypeAlias = "dict[str, Yaml] | list[Yaml] | str | int | bool | None"
Document: TypeAlias = "dict[str, Yaml]"

CONFIG = Path(__file__).resolve().parents[2] / "config"
OVERLAYS = ("aws", "azure", "gcp", "minio")
CLOUDS = ("aws", "azure", "gcp")
SERVER_SECRET, AGENT_SECRET = "cloud-credentials", "cloud-credentials-agent"


def load(path: Path) -> Document:
    document = yaml.safe_load(path.read_text())
    assert isinstance(document, dict)
    return document


def kustomization(directory: str) -> Document:
    return load(CONFIG / directory / "Kustomization")


def texts(value: Yaml) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else []


def pod_of(document: Document) -> dict[str, Yaml]:
    spec = document["spec"]
    assert isinstance(spec, dict)
    template = spec["template"]
    assert isinstance(template, dict)
    pod = template["spec"]
    assert isinstance(pod, dict)
    return pod


def entries(value: Yaml) -> list[Document]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def patches(overlay: str) -> list[Document]:
    return [load(CONFIG / overlay / str(one["path"])) for one in entries(kustomization(overlay).get("patches"))]


@pytest.mark.parametrize("directory", ["crd", "common", "base", "identity", "certificates", *OVERLAYS])
def test_what_a_kustomization_names_is_there(directory: str) -> None:
    found = kustomization(directory)
    named = texts(found.get("resources")) + [str(one["path"]) for one in entries(found.get("patches"))]
    assert [name for name in named if not (CONFIG / directory / name).exists()] == []


@pytest.mark.parametrize("directory", ["crd", "common", "minio"])
def test_applying_a_directory_and_its_kustomization_gives_the_same(directory: str) -> None:
    named = {name for name in texts(kustomization(directory)["resources"]) if not name.startswith("..")}
    assert named == {
        path.name for pattern in ("*.yaml", "*.yml", "*.json") for path in (CONFIG / directory).glob(pattern)
    }


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_an_overlay_stands_on_the_base(overlay: str) -> None:
    assert "../base" in texts(kustomization(overlay)["resources"])


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_an_image_is_named_in_one_place(overlay: str) -> None:
    found, first = kustomization(overlay), kustomization("minio")
    assert [one["name"] for one in entries(found["images"])] == ["ark/ark"]
    assert found["replacements"] == first["replacements"]
    assert "ARK_IMAGE" in json.dumps(found["replacements"])


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_config_has_no_field_that_the_struct_lacks(overlay: str) -> None:
    raw = load(CONFIG / overlay / "10-config.yaml")
    config = msgspec.convert(raw, Config)
    again = msgspec.to_builtins(config)
    assert config.metadata.name == names.CONFIG_NAME
    assert set(raw) <= set(again)
    provider = raw["backupStorageProvider"]
    assert isinstance(provider, dict)
    assert set(provider) <= set(again["backupStorageProvider"])


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_config_names_a_provider_that_ark_knows(overlay: str) -> None:
    config = msgspec.convert(load(CONFIG / overlay / "10-config.yaml"), Config)
    assert config.backup_storage_provider is not None
    bucket = config.backup_storage_provider.bucket.lower()
    location = storage_location(msgspec.structs.replace(config.backup_storage_provider, bucket=bucket))
    assert location.provider == ("aws" if overlay == "minio" else overlay)


def test_server_and_agents_have_secrets_of_their_own() -> None:
    found = {}
    for name in ("20-deployment.yaml", "30-daemonset.yaml"):
        volumes = entries(pod_of(load(CONFIG / "common" / name))["volumes"])
        secrets = [one.get("secret") for one in volumes]
        found[name] = [one["secretName"] for one in secrets if isinstance(one, dict)]
    assert found == {"20-deployment.yaml": [SERVER_SECRET], "30-daemonset.yaml": [AGENT_SECRET]}


@pytest.mark.parametrize("path", ["minio/00-minio.yaml", "base/secrets.template.yaml"])
def test_both_secrets_are_made_or_shown(path: str) -> None:
    documents = [one for one in yaml.safe_load_all((CONFIG / path).read_text()) if one["kind"] == "Secret"]
    assert [one["metadata"]["name"] for one in documents] == [SERVER_SECRET, AGENT_SECRET]
    assert {tuple(one["stringData"]) for one in documents} == {("cloud",)}


@pytest.mark.parametrize("overlay", CLOUDS)
def test_a_readme_makes_both_secrets_and_leads_to_a_kit(overlay: str) -> None:
    text = (CONFIG / overlay / "README.md").read_text()
    for word in (SERVER_SECRET, AGENT_SECRET, f"kubectl apply -k config/{overlay}", "ark recovery-kit verify"):
        assert word in text, word


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_links_in_a_readme_lead_somewhere(overlay: str) -> None:
    text = (CONFIG / overlay / "README.md").read_text()
    targets = {target.partition("#")[0] for target in re.findall(r"\]\(([^)]+)\)", text)}
    assert {target for target in targets if not (CONFIG / overlay / target).exists()} == set()


@pytest.mark.parametrize("overlay", ["azure", "gcp", "identity", "certificates"])
def test_a_patch_fits_the_container_and_the_variable_that_the_base_has(overlay: str) -> None:
    for patch in patches(overlay):
        name = {"Deployment": "20-deployment.yaml", "DaemonSet": "30-daemonset.yaml"}[str(patch["kind"])]
        base = load(CONFIG / "common" / name)
        metadata = base["metadata"]
        assert isinstance(metadata, dict)
        assert patch["metadata"] == {key: metadata[key] for key in ("name", "namespace")}
        (changed,), (there,) = entries(pod_of(patch)["containers"]), entries(pod_of(base)["containers"])
        assert changed["name"] == there["name"]
        gone = {str(one["name"]) for one in entries(changed["env"]) if one.get("$patch") == "delete"}
        assert gone <= {str(one["name"]) for one in entries(there["env"])} | {"GOOGLE_APPLICATION_CREDENTIALS"}


def test_own_certificates_reach_server_agents_and_the_maintenance_jobs() -> None:
    for patch in patches("certificates"):
        (container,) = entries(pod_of(patch)["containers"])
        (variable,), (mounted,), (volume,) = (
            entries(found) for found in (container["env"], container["volumeMounts"], pod_of(patch)["volumes"])
        )
        assert str(variable["value"]).startswith(f"{mounted['mountPath']}/")
        assert mounted["name"] == volume["name"]
        deployment: JsonObject = json.loads(json.dumps(patch))
        template = template_of(deployment)
        assert template.container["env"] == container["env"]
        assert template.pod["volumes"] == pod_of(patch)["volumes"]


def test_on_azure_each_process_reads_its_own_secret() -> None:
    found = [entries(pod_of(patch)["containers"])[0]["envFrom"] for patch in patches("azure")]
    assert found == [[{"secretRef": {"name": SERVER_SECRET}}], [{"secretRef": {"name": AGENT_SECRET}}]]


def allowed(policy: str, action: str, resource: str) -> bool:
    """A reading of AWS's policy language that is enough for these: no Deny, no NotAction, conditions left aside."""
    document = json.loads((CONFIG / "aws" / f"policy-{policy}.json").read_text())
    for statement in document["Statement"]:
        assert statement["Effect"] == "Allow"
        actions, where = statement["Action"], statement["Resource"]
        if action in ([actions] if isinstance(actions, str) else actions) and fnmatch.fnmatch(resource, where):
            return True
    return False


BUCKET = "arn:aws:s3:::YOUR-BUCKET"
POLICY = {
    "the agent reads a repository": ("agent", "s3:GetObject", "restic/shop/data/00/00ff", True),
    "the agent adds to a repository": ("agent", "s3:PutObject", "restic/shop/index/ab", True),
    "the agent takes its lock back": ("agent", "s3:DeleteObject", "restic/shop/locks/ab", True),
    "the agent deletes no data": ("agent", "s3:DeleteObject", "restic/shop/data/00/00ff", False),
    "the agent deletes no snapshot": ("agent", "s3:DeleteObject", "restic/shop/snapshots/ab", False),
    "the agent deletes nothing of a namespace locks": ("agent", "s3:DeleteObject", "restic/locks/data/00", False),
    "the agent reads no tarball": ("agent", "s3:GetObject", "daily/daily.tar.gz", False),
    "the agent writes no backup": ("agent", "s3:PutObject", "daily/ark-backup.json", False),
    "the server deletes a backup": ("server", "s3:DeleteObject", "daily/ark-backup.json", True),
    "the server deletes data": ("server", "s3:DeleteObject", "restic/shop/data/00/00ff", True),
    "who only restores reads": ("restore-only", "s3:GetObject", "daily/daily.tar.gz", True),
    "who only restores writes nothing": ("restore-only", "s3:PutObject", "restic/shop/locks/ab", False),
    "who only restores deletes nothing": ("restore-only", "s3:DeleteObject", "restic/shop/locks/ab", False),
}


@pytest.mark.parametrize("row", POLICY)
def test_the_policies_for_amazon(row: str) -> None:
    policy, action, key, expected = POLICY[row]
    assert allowed(policy, action, f"{BUCKET}/{key}") is expected


def test_no_agent_may_delete_by_its_role_on_google() -> None:
    assert "storage.objects.delete" not in texts(load(CONFIG / "gcp" / "role-agent.yaml")["includedPermissions"])
    assert texts(load(CONFIG / "gcp" / "role-agent-locks.yaml")["includedPermissions"]) == ["storage.objects.delete"]
    assert "/locks/" in str(load(CONFIG / "gcp" / "condition-locks.yaml")["expression"])


def test_on_azure_the_agents_deletions_are_under_a_condition() -> None:
    condition = (CONFIG / "azure" / "condition-agent.txt").read_text()
    assert re.search(
        r"blobs/delete'\}\)\)\s+OR\s+\(@Resource\[[^]]+blobs:path\] StringLike 'restic/\*/locks/\*'\)", condition
    )
    assert condition.count("(") == condition.count(")")
