"""Restores of volumes as people meet them: under another name, and beside what is there."""

from __future__ import annotations

import secrets

import pytest

from pkg.testing.application import Application
from pkg.testing.installation import Installation

PARTIALLY_FAILED = 2


@pytest.fixture
def application(installation: Installation) -> Application:
    """An application with some files, backed up as `b-<namespace>`."""
    made = Application(installation.access, installation.nodes["node1"], f"app-{secrets.token_hex(3)}")
    made.deploy()
    made.shell("data", "echo precious > file; chmod 0640 file; chmod 0750 .")
    name = f"b-{made.namespace}"
    installation.ark("backup", "create", name, "--include-namespaces", made.namespace, "--wait")
    return made


def restore_arguments(application: Application, name: str, *more: str) -> tuple[str, ...]:
    return ("restore", "create", name, "--from-backup", f"b-{application.namespace}", "--wait", *more)


def test_a_copy_is_made_under_another_name(installation: Installation, application: Application) -> None:
    target = f"{application.namespace}-copy"
    mapping = f"{application.namespace}:{target}"
    done = installation.ark(*restore_arguments(application, f"r-{target}", "--namespace-mappings", mapping))
    assert "Completed" in done.stdout
    copied = Application(installation.access, installation.nodes["node1"], target)
    copied.wait_running()
    assert copied.listing("data") == application.listing("data")
    copied.shell("data", "echo other > file")
    assert application.shell("data", "cat file") == "precious\n"


def test_a_pod_that_is_there_is_left_alone_and_counted(installation: Installation, application: Application) -> None:
    application.shell("data", "echo newer > file")
    name = f"r-{application.namespace}"
    done = installation.ark(*restore_arguments(application, name), check=False)
    assert done.returncode == PARTIALLY_FAILED
    assert "1 pod existed already, so the volumes were not restored" in done.stderr
    assert application.shell("data", "cat file") == "newer\n"
    described = installation.ark("restore", "describe", name).stdout
    assert "Reason:     PodExists" in described
    assert f"pods {application.namespace}/web: existed already" in described
    assert 'msg="Restore ended"' in installation.ark("restore", "logs", name).stdout


def test_only_the_claim_and_the_pod_come_back_into_a_living_namespace(
    installation: Installation, application: Application
) -> None:
    access, namespace = installation.access, application.namespace
    access.kubectl("-n", namespace, "delete", "pod", "web", "--timeout=60s", timeout_seconds=70)
    access.kubectl("-n", namespace, "delete", "pvc", "data", "--timeout=60s", timeout_seconds=70)
    done = installation.ark(*restore_arguments(application, f"r-{namespace}"))
    assert "Completed" in done.stdout
    application.wait_running()
    assert application.shell("data", "cat file") == "precious\n"


def test_a_claim_that_is_still_there_is_filled_again_with_a_warning(
    installation: Installation, application: Application
) -> None:
    access, namespace = installation.access, application.namespace
    application.shell("data", "echo broken > file")
    access.kubectl("-n", namespace, "delete", "pod", "web", "--timeout=60s", timeout_seconds=70)
    name = f"r-{namespace}"
    assert "Completed" in installation.ark(*restore_arguments(application, name)).stdout
    application.wait_running()
    assert application.shell("data", "cat file") == "precious\n"
    warning = f"PersistentVolumeClaim {namespace}/data existed before this restore and is filled"
    assert warning in installation.ark("restore", "describe", name).stdout
