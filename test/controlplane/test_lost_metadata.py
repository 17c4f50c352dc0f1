"""A node whose storage lets nobody set owners, as NFS with root squash does: a warning, or on demand a failure."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any

import pytest

from pkg.testing.installation import Installation
from pkg.testing.workload import Workload, claim, from_claim, pod, pod_template

PARTIALLY_FAILED = 2
NODE = "node1"


@pytest.fixture
def workload(installation: Installation) -> Iterator[Workload]:
    made = Workload(installation.access, installation.nodes[NODE], f"owners-{secrets.token_hex(3)}")
    made.create(claim("data"), pod("one", pod_template(from_claim("data", "data"))))
    made.wait_running(1)
    yield made
    installation.access.kubectl("delete", "namespace", made.namespace, "--wait=false", "--ignore-not-found")


@pytest.fixture
def no_owners(installation: Installation) -> Iterator[None]:
    try:
        installation.replace_agent(NODE, without="chown")
        yield
    finally:
        installation.replace_agent(NODE)


@pytest.mark.usefixtures("no_owners")
def test_owners_that_cannot_be_set_warn_and_on_demand_fail(installation: Installation, workload: Workload) -> None:
    (one,) = workload.pods()
    workload.shell(one, "data", "echo content > file; chown 70:70 file .")
    backup = f"b-{workload.namespace}"
    installation.ark("backup", "create", backup, "--include-namespaces", workload.namespace, "--wait")

    (made,) = installation.objects("podvolumebackups", selector=f"ark.heptio.com/backup-name={backup}")

    workload.delete()
    installation.ark("restore", "create", f"r-{backup}", "--from-backup", backup, "--wait")
    (again,) = workload.wait_running(1)
    assert workload.shell(again, "data", "cat file") == "content\n"
    described = installation.ark("restore", "describe", f"r-{backup}", "--details").stdout
    sentence = f"Pod {workload.namespace}/one, volume data: its contents are restored, but owner, times or attributes"
    assert f"{sentence} of 2 files could not be set, first /: owner 70:70: Operation not permitted" in described
    (filled,) = installation.objects("podvolumerestores", selector=f"ark.heptio.com/restore-name=r-{backup}")
    assert field(filled, "spec", "size") == {"files": 1, "bytes": 8, "usedBytes": field(made, "status", "usedBytes")}
    assert field(filled, "status", "snapshotID") == field(made, "status", "snapshotID")
    assert f"MetadataLost in {workload.namespace}/one, data, first paths:\n      /\n      /file\n" in described

    workload.delete()
    strict = ("restore", "create", f"s-{backup}", "--from-backup", backup, "--strict-metadata", "--wait")
    assert installation.ark(*strict, check=False).returncode == PARTIALLY_FAILED
    described = installation.ark("restore", "describe", f"s-{backup}").stdout
    assert f"Pod {workload.namespace}/one, volume data: not restored: MetadataLost: owner, times or" in described


def field(obj: Any, *path: str) -> Any:
    for key in path:
        obj = obj[key]
    return obj
