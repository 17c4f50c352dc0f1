"""The commands that bring a file: what lies in the bucket, and the bundle that somebody else may see."""

from __future__ import annotations

import json
import secrets
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pkg.testing.installation import NAMESPACE, Installation

VOLUMES, SHOWN = 120, 100  # all, and those that a status holds


@pytest.fixture(scope="module")
def backup(installation: Installation) -> Iterator[str]:
    """A backup of one ConfigMap, and of a pod whose annotation names volumes that it does not have."""
    namespace = f"files-{secrets.token_hex(3)}"
    installation.access.kubectl("create", "namespace", namespace)
    installation.access.kubectl("-n", namespace, "create", "configmap", "settings", "--from-literal=color=blue")
    names = ",".join(f"volume-{number:03}" for number in range(VOLUMES))
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "web",
            "namespace": namespace,
            "annotations": {"backup.ark.heptio.com/backup-volumes": names},
        },
        "spec": {"nodeSelector": {"never": "there"}, "containers": [{"name": "web", "image": "none"}]},
    }
    installation.access.apply(pod)
    name = f"b-{namespace}"
    installation.ark("backup", "create", name, "--include-namespaces", namespace, "--wait", check=False)
    yield name
    installation.access.kubectl("-n", NAMESPACE, "delete", "secret", name, "--ignore-not-found")
    installation.access.kubectl("delete", "namespace", namespace, "--wait=false")


def test_the_objects_of_a_backup_come_as_a_tarball_that_only_its_owner_reads(
    installation: Installation, backup: str, tmp_path: Path
) -> None:
    target = tmp_path / "objects.tar.gz"
    said = installation.ark("backup", "download", backup, "-o", str(target)).stdout
    assert said == f"Backup {backup} has been successfully downloaded to {target}\n"
    assert target.stat().st_mode & 0o777 == 0o600
    namespace = backup.removeprefix("b-")
    with tarfile.open(target) as tar:
        member = tar.extractfile(f"resources/configmaps/namespaces/{namespace}/settings.json")
        assert member is not None
        assert json.load(member)["data"] == {"color": "blue"}
    again = installation.ark("backup", "download", backup, "-o", str(target), check=False)
    assert (again.returncode, "--force" in again.stderr) == (1, True)


def test_volumes_beyond_those_in_the_status_come_from_the_bucket(installation: Installation, backup: str) -> None:
    assert json.dumps(installation.get("backup", backup)["status"]).count('"reason": "UnknownVolume"') == SHOWN
    described = installation.ark("backup", "describe", backup, "--details").stdout.split("Pod volumes:")[1]
    assert [number for number in range(VOLUMES) if f"volume-{number:03}" not in described] == []
    assert backup not in json.dumps(installation.objects("downloadrequests"))


def test_the_bundle_has_what_helps_and_no_secret(installation: Installation, backup: str, tmp_path: Path) -> None:
    target, value = tmp_path / "bundle.tar.gz", secrets.token_hex(16)
    installation.access.kubectl("-n", NAMESPACE, "create", "secret", "generic", backup, f"--from-literal=key={value}")
    done = installation.ark("debug", "-o", str(target), "--backup", backup, check=False)
    assert f"Wrote {target}" in done.stdout
    with tarfile.open(target) as tar:
        files = {
            member.name.partition("/")[2]: (tar.extractfile(member) or pytest.fail(member.name)).read().decode()
            for member in tar
        }
    assert backup in files["objects/backups.json"]
    assert 'msg="Backup ends"' in files[f"logs/BackupLog-{backup}.log"]
    assert "kubernetes:" in files["versions.txt"]
    # What a stand-in node cannot give, and nothing else.
    assert [line for line in files["problems.txt"].splitlines() if not line.startswith(("logs/", "metrics/"))] == []
    everything = "".join(files.values())
    for secret in (value, *store_secrets(installation)):
        assert secret not in everything
    assert "X-Amz-Signature" not in everything


def store_secrets(installation: Installation) -> list[str]:
    lines = installation.credentials_files()[0].read_text().splitlines()
    return [line.split("=")[1].strip() for line in lines if "secret" in line]
