#!/usr/bin/env python3
"""Run everything that tells whether this checkout is good: the checks and the three tiers of tests.

    python hack/test.py                    make check, unit, controlplane, cluster
    python hack/test.py unit controlplane  only these tiers, without the checks

What a tier needs is installed and built first, in sight. As root on Linux the cluster tier must run; where it
cannot, ARK_SKIP_CLUSTER=<reason> says so. The last line is `N passed, N failed, N skipped`.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # it runs from anywhere, not installed

from hack import tiers
from hack.tiers import Outcome
from hack.toolchain_catalogue import GROUPS_OF_TIERS

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ("pause", "base", "minio", "ark")


def run(command: Sequence[str]) -> int:
    """Run a command in the repository with its output in sight and return its exit code."""
    print(f"\n$ {shlex.join(command)}", flush=True)
    started = time.monotonic()
    status = subprocess.run(command, cwd=ROOT).returncode
    print(f"  {'ok' if status == 0 else f'exit code {status}'} after {time.monotonic() - started:.0f} s", flush=True)
    return status


def check() -> Outcome:
    """Format, lint, types, layers, sizes and generated files, counted as one test."""
    status = run(["make", "--no-print-directory", "check"])
    return Outcome(tier="check", passed=int(status == 0), failed=int(status != 0))


def preparations(tier: str) -> list[list[str]]:
    """The commands that install and build what a tier needs; each does nothing where all is there."""
    toolchain = [sys.executable, "hack/toolchain.py"]
    steps = [[*toolchain, "packages", group] for group in GROUPS_OF_TIERS[tier]] + [
        [*toolchain, "build", *GROUPS_OF_TIERS[tier]]
    ]
    if tier == "cluster":
        steps.append([sys.executable, "hack/image/build.py", "archives", *IMAGES])
    return [] if tier == "unit" else steps


def arrangement(tier: str) -> list[str]:
    """How pytest goes through a tier's tests.

    Tiers with servers share them for a whole run, and a node that one file adds would take another file's pods: files
    are gone through in order. The control plane's tests mostly wait, so two workers take a file each and have servers
    of their own, unless all share a cluster that exists already.
    """
    if tier == "unit":
        return []
    shared = tier == "cluster" or os.environ.get("ARK_TEST_EXISTING_CLUSTER") == "1"
    return ["-p", "no:randomly", *([] if shared else ["-n", "2", "--dist", "loadfile"])]


def run_tier(tier: str) -> Outcome:
    """Prepare one tier and run its tests."""
    excuse = tiers.why_not(
        tier,
        is_root=os.geteuid() == 0,
        is_linux=sys.platform == "linux",
        skip_reason=os.environ.get("ARK_SKIP_CLUSTER", ""),
    )
    if excuse:
        return tiers.did_not_run(tier, excuse[0], excused=excuse[1])
    for step in preparations(tier):
        if run(step):
            return tiers.did_not_run(tier, f"{shlex.join(step[1:])} failed", excused=False)
    report = ROOT / "build" / f"junit-{tier}.xml"
    report.parent.mkdir(exist_ok=True)
    report.unlink(missing_ok=True)
    status = run([sys.executable, "-m", "pytest", f"test/{tier}", *arrangement(tier), f"--junit-xml={report}"])
    return tiers.outcome_of(tier, report, status)


def main(argv: Sequence[str] | None = None) -> int:
    """Run what was asked for, print the table and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tiers", nargs="*", metavar="TIER", help=", ".join(tiers.TIERS))
    chosen = parser.parse_args(argv).tiers
    if unknown := set(chosen) - set(tiers.TIERS):
        parser.error(f"unknown tier: {', '.join(sorted(unknown))} (known: {', '.join(tiers.TIERS)})")
    outcomes = [] if chosen else [check()]
    outcomes += [run_tier(tier) for tier in chosen or tiers.TIERS]
    print(f"\n{tiers.table(outcomes)}", flush=True)
    return 0 if tiers.is_good(outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
