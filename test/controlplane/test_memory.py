"""The server's memory does not grow with what it backs up."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pkg.apis.meta import JsonObject
from pkg.kube.client import Client
from pkg.kube.refs import CONFIG_MAPS
from pkg.kube.transport import load_transport
from pkg.testing.installation import Installation
from pkg.testing.processes import Process

OBJECTS, OBJECT_BYTES = 5000, 20 * 1024
CREATORS = 8
ALLOWED_GROWTH_KIB = 100 * 1024
RESET_PEAK = "5"


def resident_kib(process: Process, field: str) -> int:
    """VmRSS (now) or VmHWM (the highest since the peak was reset), as the kernel counts it."""
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(f"{field}:")).split()[1])


@pytest.fixture
def crowded(installation: Installation) -> Iterator[str]:
    """A namespace with 5,000 ConfigMaps of 20 KiB."""
    access, namespace = installation.access, f"crowd-{secrets.token_hex(3)}"
    access.kubectl("create", "namespace", namespace)
    client = Client(load_transport(str(access.kubeconfig)))

    def create(number: int) -> None:
        text = secrets.token_hex(OBJECT_BYTES // 2)
        body: JsonObject = {"metadata": {"name": f"settings-{number}"}, "data": {"text": text}}
        client.create_raw(CONFIG_MAPS, namespace, body)

    with ThreadPoolExecutor(CREATORS) as pool:
        for _ in pool.map(create, range(OBJECTS)):
            pass
    yield namespace
    access.kubectl("delete", "namespace", namespace, "--wait=false")


def test_a_namespace_of_5000_config_maps_takes_no_more_than_100_mib(installation: Installation, crowded: str) -> None:
    server = installation.server
    server.stop()
    server.start()
    installation.wait_ready()
    idle = resident_kib(server, "VmRSS")
    Path(f"/proc/{server.pid}/clear_refs").write_text(RESET_PEAK)
    name = f"b-{crowded}"
    done = installation.ark("backup", "create", name, "--include-namespaces", crowded, "--wait")
    assert "Completed" in done.stdout
    progress = installation.get("backup", name)["status"]["progress"]  # type: ignore[index] # JSON
    assert progress["itemsDone"] >= OBJECTS
    peak = resident_kib(server, "VmHWM")
    assert peak - idle < ALLOWED_GROWTH_KIB, f"idle {idle} KiB, highest {peak} KiB"
