"""A cluster that is gone: the bucket, the recovery kit and docs/recovery.md bring everything back in a new one.

The page's own commands are run. Both clusters have the same addresses, so the object store, which runs in the network
of whichever cluster is up and keeps its data outside both, has the same address for both.
"""

from __future__ import annotations

import re
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from pkg.testing import images
from pkg.testing.assets import REPOSITORY, binary
from pkg.testing.cluster import Cluster
from pkg.testing.images import APPLICATION_IMAGE
from pkg.testing.minio import Minio

PAGE = REPOSITORY / "docs" / "recovery.md"
BUCKET, PORT, ADDRESS = "backups", 29000, "10.99.0.1"
FILL = (
    "umask 022; mkdir -p /data/deep; printf kept > /data/deep/file; chmod 0640 /data/deep/file; "
    "chown 12:34 /data/deep; head -c 3000000 /dev/urandom > /data/blob; "
    "ln -s deep/file /data/link; echo scratch > /scratch/file"
)
LIST = (
    "cd / && find data scratch -printf '%p %y %m %U:%G %s %l\\n' | sort && "
    "sha256sum data/blob data/deep/file scratch/file"
)


def commands(title: str) -> list[str]:
    """The blocks that are meant to be typed in a section of the page."""
    section = PAGE.read_text().split(f"\n## {title}", 1)[1].split("\n## ")[0]
    return re.findall(r"^```sh\n(.*?)^```$", section, re.M | re.S)


class Shell:
    """A person's working directory, which outlives clusters, with `kubectl` and `ark` for the one that is up."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._programs = directory / "bin"
        self._programs.mkdir(parents=True)
        (directory / "config").symlink_to(REPOSITORY / "config")

    def use(self, cluster: Cluster, minio: Minio) -> None:
        """Turns to another cluster."""
        self._cluster = cluster
        programs = {"kubectl": f"{binary('kubectl')}", "ark": f"{sys.executable} {REPOSITORY / 'cmd' / 'ark.py'}"}
        for name, command in programs.items():
            (self._programs / name).write_text(f'#!/bin/sh\nexec {command} "$@"\n')
            (self._programs / name).chmod(0o755)
        for who in ("server", "agent"):
            minio.write_credentials_file(self.directory / f"credentials-{who}")

    def run(self, script: str, *, timeout_seconds: float = 240) -> str:
        """Runs a script, stopping at the first command that fails; returns what it said."""
        environment = f"PATH={self._programs}:/usr/bin:/bin:/usr/sbin:/sbin"
        command = ["env", f"--chdir={self.directory}", environment, "bash", "-ec", script]
        done = self._cluster.run(*command, timeout_seconds=timeout_seconds)
        assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}\n{self._why()}"
        return done.stdout

    def _why(self) -> str:
        logs = ["logs", "-n", "heptio-ark", "deployment/ark", "--tail=60"]
        state = ["get", "backups,restores,podvolumerestores,resticrepositories,pods", "-A", "-o", "wide"]
        found = [self._cluster.run(binary("kubectl"), *asked) for asked in (state, logs)]
        return "\n".join(done.stdout + done.stderr for done in found)


@contextmanager
def cluster_with_store(place: Path, store: Path) -> Iterator[tuple[Cluster, Minio]]:
    with Cluster(place, image_names=(images.APPLICATION, images.ARK)) as cluster:
        minio = Minio(store, ADDRESS, cluster.prefix, port=PORT)
        minio.make_bucket(BUCKET)
        with minio:
            yield cluster, minio


def install(shell: Shell) -> None:
    config = {
        "apiVersion": "ark.heptio.com/v1",
        "kind": "Config",
        "metadata": {"name": "default", "namespace": "heptio-ark"},
        "backupStorageProvider": {
            "name": "aws",
            "bucket": BUCKET,
            "config": {"region": "minio", "s3ForcePathStyle": "true", "s3Url": f"http://{ADDRESS}:{PORT}"},
        },
    }
    (shell.directory / "config.yaml").write_text(yaml.safe_dump(config))
    prepare, start, *_ = commands("After: the new cluster")
    shell.run(prepare.replace("ark recovery-kit import ark-recovery-kit.yaml --config", "kubectl apply -f config.yaml"))
    shell.run(start)


def deploy_application(shell: Shell) -> None:
    pod = {
        "containers": [
            {
                "name": "shop",
                "image": APPLICATION_IMAGE,
                "command": ["sleep", "3600"],
                "volumeMounts": [{"name": name, "mountPath": f"/{name}"} for name in ("data", "scratch")],
            }
        ],
        "terminationGracePeriodSeconds": 1,
        "volumes": [
            {"name": "data", "persistentVolumeClaim": {"claimName": "data"}},
            {"name": "scratch", "emptyDir": {}},
        ],
    }
    labels = {"app": "shop"}
    annotations = {"backup.ark.heptio.com/backup-volumes": "data,scratch"}
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    template = {"metadata": {"labels": labels, "annotations": annotations}, "spec": pod}
    objects = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}},
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"}, "spec": claim},
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "shop"},
            "spec": {"selector": {"matchLabels": labels}, "template": template},
        },
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "keys"},
            "stringData": {"key": secrets.token_hex(8)},
        },
    ]
    (shell.directory / "shop.yaml").write_text(yaml.safe_dump_all(objects))
    shell.run("kubectl create namespace shop; kubectl -n shop apply -f shop.yaml; " + running())


def running() -> str:
    return "kubectl -n shop rollout status deployment/shop --timeout=2m"


def contents(shell: Shell) -> str:
    """What the application has: files with owners and modes, and its Secret."""
    files = shell.run(f'kubectl -n shop exec deployment/shop -- sh -c "{LIST}"')
    return files + shell.run("kubectl -n shop get secret keys -o jsonpath='{.data}'")


def condition(shell: Shell, backup: str) -> str:
    path = "jsonpath={.status.conditions[?(@.type=='RecoveryKitUnverified')].reason}"
    return shell.run(f'kubectl -n heptio-ark get backup {backup} -o "{path}"')


def bucket_files(store: Path) -> set[str]:
    root = store / "data" / BUCKET
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


@pytest.mark.timeout(600)  # three minutes on a machine that does nothing else
def test_what_a_lost_cluster_backed_up_is_restored_in_a_new_one(cluster_workdir: Path, tmp_path: Path) -> None:
    store, shell = tmp_path / "store", Shell(tmp_path / "person")
    with cluster_with_store(cluster_workdir / "lost", store) as (cluster, minio):
        shell.use(cluster, minio)
        install(shell)
        deploy_application(shell)
        shell.run(f"kubectl -n shop exec deployment/shop -- sh -c '{FILL}'")
        before = contents(shell)
        shell.run("ark backup create shop-first --include-namespaces shop --wait")
        assert condition(shell, "shop-first") == "NeverVerified"
        for block in commands("Before: save the kit"):
            shell.run(block)
        shell.run("ark backup create shop-daily --include-namespaces shop --wait")
        assert condition(shell, "shop-daily") == ""
    kept = bucket_files(store)

    with cluster_with_store(cluster_workdir / "new", store) as (cluster, minio):
        shell.use(cluster, minio)
        *bring_back, go_on = commands("After: the new cluster")
        for block in bring_back:
            shell.run(block)
        shell.run(running())
        assert contents(shell) == before
        assert bucket_files(store) == kept, "a cluster that only restores wrote to the bucket"
        shell.run(go_on)
