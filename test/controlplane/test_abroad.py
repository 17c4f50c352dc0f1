"""Everything that Ark asks of its store goes through the proxy and trusts the company's certificates."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest

from pkg.testing.application import Application
from pkg.testing.backends import Backends
from pkg.testing.installation import NAMESPACE, Installation


@pytest.fixture
def application(installation: Installation) -> Iterator[Application]:
    annotations = {"backup.ark.heptio.com/backup-volumes": "data"}
    name = f"abroad-{secrets.token_hex(3)}"
    made = Application(installation.access, installation.nodes["node1"], name, annotations=annotations)
    made.deploy()
    yield made
    installation.access.kubectl("delete", "namespace", made.namespace, "--wait=false")


@pytest.mark.parametrize("name", ["gcs"])
def test_backup_restore_maintenance_and_deletion_get_out_by_the_proxy_alone(
    name: str, backends: Backends, installation: Installation, application: Application
) -> None:
    backend, front = backends[name], backends.fronts[name]
    bucket = backend.make_bucket(f"test-{secrets.token_hex(4)}")
    application.shell("data", "echo precious > file")
    backup = f"b-{application.namespace}"
    with installation.elsewhere(
        {**backend.environ, "NO_PROXY": "127.0.0.1"}, name=backend.provider, bucket=bucket, config=dict(backend.config)
    ):

        def ark(*words: str) -> None:
            asked = len(front.asked)  # its name leads there by the proxy only
            installation.ark(*words, "--wait", "--timeout", "120s")
            assert len(front.asked) > asked, f"{words[0]} {words[1]} asked for nothing"

        ark("backup", "create", backup, "--include-namespaces", application.namespace)
        application.delete_namespace()
        ark("restore", "create", f"r-{backup}", "--from-backup", backup)
        application.wait_running()
        assert application.shell("data", "cat file").strip() == "precious"
        ark("backup", "delete", backup, "--confirm")
        ark("restic", "repo", "maintain", application.namespace)
        installation.access.kubectl("delete", "resticrepository", application.namespace, "-n", NAMESPACE)
    left = [key for key in backends.gcs.buckets.bucket(bucket) if "/snapshots/" in key or backup in key]
    assert left == []
