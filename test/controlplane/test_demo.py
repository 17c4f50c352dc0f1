"""The demo where there is no kubelet: it says so, and a damage makes it fail."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DEMO_SECONDS = 240


@pytest.mark.timeout(DEMO_SECONDS + 60)
def test_a_damaged_restore_makes_the_demo_fail_and_it_does_not_call_itself_a_cluster_run() -> None:
    environment = {**os.environ, "DEMO_DAMAGE": "root", "TIER": "controlplane", "ARK_TEST_EXISTING_CLUSTER": ""}
    command = [sys.executable, str(ROOT / "hack" / "demo.py")]
    done = subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=DEMO_SECONDS
    )
    assert done.returncode == 1, done.stdout
    assert "1 DIFFERENCES" in done.stdout, done.stdout
    assert "root: '.': drwxr-s--- → drwxrwsrwx" in done.stdout, done.stdout
    assert done.stdout.rstrip().splitlines()[-1].startswith("NOT A CLUSTER RUN"), done.stdout
