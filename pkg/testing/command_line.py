"""Ark's command line as a person has it who reaches the API of a test cluster."""

import sys

from pkg.testing.assets import REPOSITORY
from pkg.testing.cluster import Cluster

PROGRAM = REPOSITORY / "cmd" / "ark.py"


def ark(cluster: Cluster, *arguments: str, timeout_seconds: float = 120) -> str:
    """Runs a command; returns what it said, and fails with it unless it succeeds."""
    done = cluster.run(sys.executable, PROGRAM, *arguments, timeout_seconds=timeout_seconds)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
