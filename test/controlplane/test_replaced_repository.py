"""A repository that somebody wiped: told with its id, not made anew by itself, and given up by a word that names it."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import msgspec
import pytest

from pkg.apis.ark import Config
from pkg.apis.names import REPLACE_ANNOTATION
from pkg.controllers.config import settings_from
from pkg.objectstore.cloud import open_restic_store
from pkg.objectstore.store import ObjectStore
from pkg.testing.application import Application
from pkg.testing.installation import NAMESPACE, Installation
from pkg.testing.processes import wait_until


@pytest.fixture
def application(installation: Installation) -> Iterator[Application]:
    annotations = {"backup.ark.heptio.com/backup-volumes": "data"}
    name = f"wiped-{secrets.token_hex(3)}"
    made = Application(installation.access, installation.nodes["node1"], name, annotations=annotations)
    made.deploy()
    yield made
    installation.access.kubectl("delete", "namespace", made.namespace, "--wait=false")


def restic_store(installation: Installation) -> ObjectStore:
    files = {"AWS_SHARED_CREDENTIALS_FILE": str(installation.credentials_files()[0])}
    config = msgspec.convert(installation.get("config.ark.heptio.com", "default"), Config)
    settings = settings_from(config, files, NAMESPACE)
    return open_restic_store(settings.location, settings.credentials)


def back_up(installation: Installation, namespace: str) -> tuple[int, str]:
    name = f"b-{secrets.token_hex(3)}"
    words = ("backup", "create", name, "--include-namespaces", namespace, "--wait", "--timeout", "120s")
    return installation.ark(*words, check=False).returncode, name


def status_of(installation: Installation, namespace: str) -> dict[str, object]:
    status = installation.get("resticrepository", namespace)["status"]
    assert isinstance(status, dict)
    return status


def await_phase(installation: Installation, namespace: str, phase: str) -> dict[str, object]:
    what = f"the repository to be {phase}"
    wait_until(lambda: status_of(installation, namespace)["phase"] == phase, timeout_seconds=90, what=what)
    return status_of(installation, namespace)


def test_a_repository_that_was_wiped_is_given_up_by_its_id(
    installation: Installation, application: Application
) -> None:
    namespace = application.namespace
    application.shell("data", "echo precious > file")
    assert back_up(installation, namespace)[0] == 0
    old = str(status_of(installation, namespace)["repositoryID"])
    store = restic_store(installation)
    store.delete([info.key for info in store.list(namespace)])

    assert back_up(installation, namespace)[0] == 2
    told = await_phase(installation, namespace, "NotReady")
    assert (told["reason"], told["repositoryID"]) == ("RepositoryMissing", old)
    assert f"{REPLACE_ANNOTATION}={old}" in str(told["message"])
    assert [info.key for info in store.list(namespace)] == [], "nothing was made by itself"

    installation.access.kubectl(
        *("annotate", "resticrepository", namespace, "-n", NAMESPACE, f"{REPLACE_ANNOTATION}={old}")
    )
    made = await_phase(installation, namespace, "Ready")
    assert made["repositoryID"] != old
    (before,) = msgspec.convert(made["replaced"], list[dict[str, str]])
    assert before["id"] == old
    assert back_up(installation, namespace)[0] == 0
