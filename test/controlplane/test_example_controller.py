"""The example of docs/informers.md, as a process on a real API server."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from pkg.apis.meta import JsonObject, Object
from pkg.kube.client import Client
from pkg.kube.refs import CONFIG_MAPS
from pkg.kube.transport import load_transport
from pkg.testing.access import ClusterAccess
from pkg.testing.ports import free_port
from pkg.testing.processes import Process, wait_until

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "hack" / "examples" / "example_controller.py"
WAIT_SECONDS = 30.0


class World:
    def __init__(self, access: ClusterAccess, namespace: str, workdir: Path) -> None:
        self.client = Client(load_transport(str(access.kubeconfig)))
        self.namespace = namespace
        self.port = free_port()
        environment = {
            **os.environ,
            "KUBECONFIG": str(access.kubeconfig),
            "METRICS_ADDRESS": f"127.0.0.1:{self.port}",
            "PYTHONPATH": str(ROOT),
        }
        argv: list[str | Path] = [sys.executable, EXAMPLE, namespace]
        self.process = Process("example", argv, log=workdir / "example.log", environment=environment)

    def create(self, name: str, **data: str) -> None:
        obj: JsonObject = {"metadata": {"name": name, "labels": {"checksum": "yes"}}, "data": {**data}}
        self.client.create_raw(CONFIG_MAPS, self.namespace, obj)

    def change(self, name: str, **data: str) -> None:
        self.client.patch_raw(CONFIG_MAPS, self.namespace, name, {"data": {**data}})

    def wait_for(self, name: str, **data: str) -> None:
        text = json.dumps(data, sort_keys=True, separators=(",", ":"))
        expected = hashlib.sha256(text.encode()).hexdigest()

        def written() -> bool:
            found = self.client.get(CONFIG_MAPS, self.namespace, name, Object)
            return found.metadata.annotation("example.com/checksum") == expected

        wait_until(written, timeout_seconds=WAIT_SECONDS, what=f"the checksum of {name}", watched=[self.process])

    def page(self, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
            return str(answer.read().decode())


@pytest.fixture
def world(control_plane: ClusterAccess, namespace: str, tmp_path: Path) -> Iterator[World]:
    made = World(control_plane, namespace, tmp_path)
    yield made
    made.process.stop()


def test_it_fits_on_a_page() -> None:
    assert len(EXAMPLE.read_text().splitlines()) < 80


def test_it_writes_what_is_missing_follows_changes_and_ends_when_asked(world: World) -> None:
    world.create("before", a="1")
    world.process.start()
    world.wait_for("before", a="1")
    world.create("after", b="2", a="1")
    world.wait_for("after", a="1", b="2")
    world.change("before", a="3")
    world.wait_for("before", a="3")
    assert world.page("/readyz?verbose") == "[+]informers ok\nok\n"
    assert 'controller_runtime_reconcile_total{controller="checksum",result="success"}' in world.page("/metrics")
    world.process.signal(signal.SIGTERM)
    assert world.process.wait(WAIT_SECONDS) == 0


def test_it_rests_when_everything_is_as_it_should_be(world: World) -> None:
    world.create("one", a="1")
    world.process.start()
    world.wait_for("one", a="1")
    version = world.client.get(CONFIG_MAPS, world.namespace, "one", Object).metadata.resource_version
    world.create("two", a="2")
    world.wait_for("two", a="2")
    assert world.client.get(CONFIG_MAPS, world.namespace, "one", Object).metadata.resource_version == version
