"""Archives of the images that a test cluster runs: hack/image/build.py makes them, and knows when it need not."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from pkg.testing.assets import REPOSITORY
from pkg.testing.processes import HarnessError

BUILD = REPOSITORY / "hack" / "image" / "build.py"
APPLICATION_IMAGE = os.environ.get("ARK_TEST_APPLICATION_IMAGE") or "localhost/ark-base:bookworm"
"""Debian with bash, find, sha256sum, stat, getfattr, setfattr and python3: what tests and demo run in pods.

A cluster of the user's own needs an image of his that has them, named by the variable.
"""
SANDBOX = "pause"
APPLICATION = "base"
MINIO = "minio"
ARK = "ark"


def image_archives(names: Sequence[str]) -> list[Path]:
    """Return the archives of images (pause, base, minio, ark), after making what is missing (minutes, once)."""
    command = [sys.executable, str(BUILD), "archives", *names]
    asked = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if asked.returncode:
        raise HarnessError(f"no images: {' '.join(command[1:])} ended with {asked.returncode}")
    return [Path(line) for line in asked.stdout.split()]
