"""Where the programs are that tests run: hack/toolchain.py knows, and builds what is missing."""

import functools
import subprocess
import sys
from pathlib import Path

from pkg.testing.processes import HarnessError

REPOSITORY = Path(__file__).resolve().parents[2]
TOOLCHAIN = REPOSITORY / "hack" / "toolchain.py"


@functools.cache
def binary(name: str) -> Path:
    """Return the path of a program of the toolchain, after building it if it is missing (minutes)."""
    asked = subprocess.run([sys.executable, TOOLCHAIN, "path", name], stdout=subprocess.PIPE, text=True)
    if asked.returncode:
        raise HarnessError(f"no {name}: hack/toolchain.py path {name} ended with {asked.returncode}")
    return Path(asked.stdout.strip())
