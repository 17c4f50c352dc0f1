"""Starts the server that replays and the two programs that read from it, one of them at a time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from hack.bench_figures import Samples
from pkg.testing.assets import REPOSITORY, binary
from pkg.testing.processes import HarnessError, Process, wait_until

T = TypeVar("T")

ROUNDS = 3
RUN_SECONDS = 240.0
START_SECONDS = 60.0
OURS = (sys.executable, "-m", "hack.bench_runtime_ours")


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What one program printed."""

    figures: dict[str, float | list[float]]

    def number(self, name: str) -> float:
        """A figure; HarnessError when it was not printed."""
        found = self.figures.get(name)
        if not isinstance(found, int | float):
            raise HarnessError(f"no figure {name} in {sorted(self.figures)}")
        return float(found)

    def percentile(self, name: str, percent: int) -> float:
        """Of a figure that is many numbers."""
        found = self.figures.get(name)
        if not isinstance(found, list) or not found:
            raise HarnessError(f"no figures {name} in {sorted(self.figures)}")
        return sorted(found)[min(len(found) - 1, len(found) * percent // 100)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Runs:
    """What both printed; both are empty where a run failed, so that no figure looks measured."""

    ours: Sequence[Run] = ()
    theirs: Sequence[Run] = ()

    def samples(self, figure: Callable[[Run], float]) -> Samples:
        """One figure of all runs."""
        return Samples(values=[figure(one) for one in self.ours], references=[figure(one) for one in self.theirs])


def both(arguments: Sequence[str], *, rounds: int = ROUNDS, stream: bool = False) -> Runs:
    """Runs both in turn after one unmeasured round; `stream` lists by WatchList in the place of pages."""
    ours: list[Run] = []
    theirs: list[Run] = []
    for number in range(rounds + 1):
        pair: list[tuple[list[Run], Callable[[], Run]]] = [
            (ours, lambda: run([*OURS, *arguments, *([] if stream else ["--paged"])])),
            (theirs, lambda: run([str(binary("bench-client-go")), *arguments], watch_list=stream)),
        ]
        for runs, measure in reversed(pair) if number % 2 else pair:
            runs.append(measure())
    return Runs(ours=ours[1:], theirs=theirs[1:])


def run(command: Sequence[str], *, watch_list: bool = False) -> Run:
    """Runs one program to its end; HarnessError with its output when it fails."""
    try:
        done = subprocess.run(command, env=environment(watch_list), capture_output=True, text=True, timeout=RUN_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise HarnessError(f"{' '.join(command)}: not done in {RUN_SECONDS:g} s") from error
    if done.returncode:
        raise HarnessError(f"{' '.join(command)}: exit code {done.returncode}\n{done.stderr[-2000:]}")
    return Run(figures=json.loads(done.stdout))


def environment(watch_list: bool = False) -> dict[str, str]:
    """The environment of a program; client-go learns from it how to list."""
    gate = {"KUBE_FEATURE_WatchListClient": "true" if watch_list else "false"}
    return {**os.environ, **gate, "PYTHONPATH": str(REPOSITORY)}


def measured(what: str, measure: Callable[[], T], failed: T) -> T:
    """What was measured, or the other when it could not be, with the reason on stderr."""
    try:
        return measure()
    except (HarnessError, OSError) as error:
        print(f"{what}: not measured: {error}", file=sys.stderr)
        return failed


@contextmanager
def replay(*arguments: str) -> Iterator[str]:
    """The address of a server that replays."""
    with tempfile.TemporaryDirectory(prefix="ark-bench-") as directory:
        log = Path(directory) / "replay.log"
        command = [sys.executable, "-m", "hack.bench_runtime_replay", *arguments]
        with Process("replay", command, log=log, environment=environment()) as server:
            yield wait_until(lambda: _address(log), timeout_seconds=START_SECONDS, what="the replay", watched=[server])


def _address(log: Path) -> str | None:
    lines = log.read_text().splitlines() if log.exists() else []
    return next((line for line in lines if line.startswith("http://")), None)
