"""The demo as a person runs it, on a whole cluster of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DEMO_SECONDS = 600


@pytest.mark.timeout(DEMO_SECONDS + 60)
def test_the_demo_restores_everything_and_sees_each_damage() -> None:
    if os.geteuid() != 0:
        pytest.skip("a cluster with nodes needs root: it makes namespaces, mounts and control groups")
    environment = {**os.environ, "DEMO_DAMAGE": "all", "TIER": "cluster", "KEEP": ""}
    command = [sys.executable, str(ROOT / "hack" / "demo.py")]
    done = subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=DEMO_SECONDS
    )
    assert done.returncode == 0, done.stdout
    assert done.stdout.rstrip().endswith("Everything came back as it was."), done.stdout
