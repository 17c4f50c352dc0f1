"""How long a person or a script waits for `ark --help`: what starting costs every command."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from hack.bench_figures import Row, Samples, in_turn, row

ROOT = Path(__file__).resolve().parent.parent
RUNS = 20
HELP_BOUND = 2.5
# The installed console script does the same; the environment of a checkout has none.
ENTRY_POINT = "import sys; from pkg.cli.ark import main; sys.argv = ['ark', '--help']; main()"
CLICK = "import click"


def help_row() -> Row:
    """`ark --help` beside the import of click alone, both with their bytecode at hand as after an installation."""
    with tempfile.TemporaryDirectory(prefix="ark-bench-") as bytecode:
        environment = environment_with_bytecode(os.environ, Path(bytecode))
        try:
            samples = in_turn(
                lambda: seconds_of([sys.executable, "-c", ENTRY_POINT], environment),
                lambda: seconds_of([sys.executable, "-c", CLICK], environment),
                runs=RUNS,
            )
        except subprocess.CalledProcessError as error:
            print(f"ark --help: not measured: {error}\n{error.stderr}", file=sys.stderr)
            samples = Samples(values=(), references=())
    return row("cli", "ark --help", samples, reference="python -c 'import click'", bound=HELP_BOUND)


def environment_with_bytecode(environ: Mapping[str, str], directory: Path) -> dict[str, str]:
    """An environment in which Python keeps its bytecode, in a directory of its own."""
    kept = {name: value for name, value in environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPYCACHEPREFIX": str(directory), "PYTHONPATH": str(ROOT)}


def seconds_of(command: Sequence[str], environment: Mapping[str, str]) -> float:
    """How long a command takes; it must succeed."""
    started = time.monotonic()
    subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return time.monotonic() - started
