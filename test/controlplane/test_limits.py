"""Limits are changed while volumes are backed up: what waits begins, what runs goes on as it began."""

from __future__ import annotations

import functools
import json
import secrets
import urllib.request
from collections.abc import Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from pkg.apis.names import LIMITS_CONFIG_MAP, SLOTS_LABEL
from pkg.testing.application import Application
from pkg.testing.installation import NAMESPACE, Installation
from pkg.testing.processes import wait_until

CANCEL = '{"spec":{"cancel":true}}'
SIXTEEN_MIB = "head -c 16777216 /dev/urandom > big"


@pytest.fixture
def limits(installation: Installation) -> Iterator[None]:
    """Take every limit away again."""
    yield
    installation.access.kubectl("delete", "configmap", LIMITS_CONFIG_MAP, "-n", NAMESPACE, "--ignore-not-found")
    installation.access.kubectl("label", "node", "node1", f"{SLOTS_LABEL}-")


def configure(installation: Installation, **data: str) -> None:
    installation.access.apply(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": LIMITS_CONFIG_MAP, "namespace": NAMESPACE},
            "data": dict(data),
        }
    )


def metric(installation: Installation, name: str) -> float:
    """What the agent of node1 says of its backups."""
    address = installation.metrics_address(installation.agents["node1"])
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return next(one.value for one in samples if one.name == name and one.labels.get("kind") == "backup")


def is_metric(installation: Installation, name: str, value: float) -> bool:
    return metric(installation, name) == value


def phases(installation: Installation, backup: str) -> list[str]:
    found = installation.objects("podvolumebackups", selector=f"ark.heptio.com/backup-name={backup}")
    statuses = [one.get("status") or {} for one in found]
    return sorted(str(status.get("phase", "")) for status in statuses if isinstance(status, dict))


def told(installation: Installation) -> bool:
    found = installation.objects("events")
    return any(one.get("reason") == "LimitsInvalid" and "twenty" in json.dumps(one) for one in found)


@pytest.mark.usefixtures("limits")
def test_limits_change_while_volumes_run(installation: Installation) -> None:
    application = Application(installation.access, installation.nodes["node1"], f"limits-{secrets.token_hex(3)}")
    application.deploy()
    for volume in ("data", "scratch"):
        application.shell(volume, SIXTEEN_MIB)
    slots = functools.partial(is_metric, installation, "ark_agent_slots")
    configure(installation, backupSlots="1", limitUploadKiB="32")
    wait_until(lambda: slots(1), timeout_seconds=60, what="one slot")

    backup = f"b-{application.namespace}"
    installation.ark("backup", "create", backup, "--include-namespaces", application.namespace)
    waiting = functools.partial(is_metric, installation, "ark_agent_slots_waiting", 1)
    wait_until(waiting, timeout_seconds=60, what="one volume to wait for the other")
    assert metric(installation, "ark_agent_slots_in_use") == 1

    configure(installation, backupSlots="2")  # and no bandwidth any more
    expected = ["Completed", "InProgress"]  # nine minutes at 32 KiB/s, seconds without a limit
    wait_until(
        lambda: phases(installation, backup) == expected,
        timeout_seconds=60,
        what="the waiting volume to overtake the one that began with a limit",
    )

    configure(installation, backupSlots="twenty")
    wait_until(lambda: told(installation), timeout_seconds=60, what="the Event about a bad limit")
    assert metric(installation, "ark_agent_slots") == 2
    installation.access.kubectl("label", "node", "node1", f"{SLOTS_LABEL}=3")
    wait_until(lambda: slots(3), timeout_seconds=60, what="the node's label to count")
    assert phases(installation, backup) == expected  # nobody ended what runs
    installation.access.kubectl("patch", "backup", backup, "-n", NAMESPACE, "--type=merge", "-p", CANCEL)
    done = ["Completed", "Failed"]
    wait_until(lambda: phases(installation, backup) == done, timeout_seconds=90, what="the slow volume to be canceled")
    application.delete_namespace()


def test_a_backup_waits_while_its_repository_is_restored(installation: Installation) -> None:
    application = Application(installation.access, installation.nodes["node1"], f"first-{secrets.token_hex(3)}")
    application.deploy()
    backup, restore = f"b-{application.namespace}", f"r-{application.namespace}"
    installation.access.apply(
        {
            "apiVersion": "ark.heptio.com/v1",
            "kind": "PodVolumeRestore",
            "metadata": {"name": restore, "namespace": NAMESPACE},
            "spec": {"node": "node1", "repository": application.namespace, "volume": "data"},
        }
    )
    installation.ark("backup", "create", backup, "--include-namespaces", application.namespace)
    wait_until(
        lambda: any(
            (one.get("reason"), name_of(one)) == ("WaitingForRestore", backup) for one in installation.objects("events")
        ),
        timeout_seconds=60,
        what="the Backup to say that it waits",
    )
    assert phases(installation, backup) == []
    installation.access.kubectl("delete", "podvolumerestore", restore, "-n", NAMESPACE)
    done = ["Completed", "Completed"]
    wait_until(lambda: phases(installation, backup) == done, timeout_seconds=60, what="the volumes to be backed up")
    application.delete_namespace()


def name_of(event: dict[str, object]) -> str:
    """Name of the object that an Event is about."""
    involved = event["involvedObject"]
    assert isinstance(involved, dict)
    return str(involved["name"])
