#!/usr/bin/env python3
"""Print the figures of Ark, each beside a reference of the same run, and write build/bench.json.

    SUITE=cli       what a person or a script waits for: `ark --help`, and a tiny volume
    SUITE=runtime   informers and queue beside client-go's
    SUITE=engines   backup and restore of many objects, and the daemons' memory
    SUITE=restic    volumes beside bare restic on the same data, requests and memory
    SUITE=all       every suite that exists (also without SUITE)

Ends with 0 only if every figure was measured and is within its bound.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # it runs from anywhere, not installed

from hack.bench_cli import help_row
from hack.bench_engines import ENGINES
from hack.bench_figures import Row, as_json, table
from hack.bench_restic import RESTIC
from hack.bench_runtime_suite import RUNTIME
from hack.bench_volume import tiny_volume_row

ROOT = Path(__file__).resolve().parent.parent
REPORT = ROOT / "build" / "bench.json"
USAGE = 64
SUITES: Mapping[str, tuple[Callable[[], Row], ...]] = {
    "cli": (help_row, tiny_volume_row),
    "runtime": RUNTIME,
    "engines": ENGINES,
    "restic": RESTIC,
}


def main(
    environ: Mapping[str, str] = os.environ,
    suites: Mapping[str, tuple[Callable[[], Row], ...]] = SUITES,
    report: Path = REPORT,
) -> int:
    """Measures the suites that were asked for; returns the exit code."""
    asked = environ.get("SUITE") or "all"
    if asked != "all" and asked not in suites:
        print(f"SUITE={asked} is no suite: {', '.join((*suites, 'all'))}", file=sys.stderr)
        return USAGE
    rows = [measure() for name, measures in suites.items() if asked in ("all", name) for measure in measures]
    report.parent.mkdir(exist_ok=True)
    report.write_text(json.dumps(as_json(rows), indent=2) + "\n")
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print(table(rows))
    return 0 if all(one.ok for one in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
