"""A peer that vanishes without a word is noticed; a peer that has nothing to say is left alone."""

from __future__ import annotations

import functools
import json
import os
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pkg.testing.assets import REPOSITORY
from pkg.testing.netns import Machine
from pkg.testing.processes import Process, wait_until

PORT = 8080
NOTICED_SECONDS, STALL_SECONDS = 25.0, 15.0  # what is promised, and what the machine of the test may add
CUT, KEPT = "10.99.1", "10.99.2"  # the two cables; addresses exist in the test's own namespaces only

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root for network namespaces"),
    pytest.mark.skipif(shutil.which("ip") is None, reason="needs ip (iproute2)"),
]


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[tuple[Machine, Machine]]:
    """A server's and a client's machine with two cables between them."""
    server, client = Machine("server", tmp_path), Machine("client", tmp_path)
    try:
        server.start()
        client.start()
        for number, network in enumerate((CUT, KEPT)):
            server.connect(client, interface=f"s{number}", other_interface=f"c{number}")
            for machine, interface, host in ((server, f"s{number}", 1), (client, f"c{number}", 2)):
                machine.run("ip", "address", "add", f"{network}.{host}/24", "dev", interface)
                machine.run("ip", "link", "set", interface, "up")
        yield server, client
    finally:
        client.stop()
        server.stop()


def python(name: str, machine: Machine, *arguments: str, log: Path) -> Process:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "PYTHONUNBUFFERED": "1"}
    return Process(
        name, [sys.executable, "-m", *arguments], log=log, prefix=machine.network_prefix, environment=environment
    )


def kubeconfig(path: Path, address: str) -> Path:
    content = {
        "current-context": "test",
        "contexts": [{"name": "test", "context": {"cluster": "test"}}],
        "clusters": [{"name": "test", "cluster": {"server": f"http://{address}:{PORT}"}}],
    }
    path.write_text(json.dumps(content))
    return path


def says(process: Process, word: str) -> bool:
    return process.log.exists() and any(line.startswith(word) for line in process.log.read_text().splitlines())


def test_a_cut_watch_is_noticed_and_a_quiet_one_stays_open(machines: tuple[Machine, Machine], tmp_path: Path) -> None:
    server, client = machines
    quiet = python("server", server, "pkg.testing.quiet_server", "0.0.0.0", str(PORT), log=tmp_path / "server.log")
    probes = [
        python(name, client, "pkg.testing.watch_probe", str(config), log=tmp_path / f"{name}.log")
        for name, config in (
            ("cut", kubeconfig(tmp_path / "cut.json", f"{CUT}.1")),
            ("kept", kubeconfig(tmp_path / "kept.json", f"{KEPT}.1")),
        )
    ]
    cut, kept = probes
    with quiet:
        wait_until(lambda: says(quiet, "listening"), timeout_seconds=60, what="the server", watched=[quiet])
        with cut, kept:
            for probe in probes:
                wait_until(
                    functools.partial(says, probe, "watching"), timeout_seconds=60, what="a watch", watched=[probe]
                )
            server.run("ip", "link", "set", "s0", "down")
            began = time.monotonic()
            wait_until(lambda: says(cut, "ended"), timeout_seconds=NOTICED_SECONDS + 30, what="the end of the watch")
            seconds = time.monotonic() - began
            assert seconds < NOTICED_SECONDS + STALL_SECONDS, f"it took {seconds:.1f} s"
            assert kept.is_running, "silence is not an end"
            assert not says(kept, "ended")
