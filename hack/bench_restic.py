"""The rows of `make bench SUITE=restic`: volumes through Ark beside restic by hand on the same data."""

from __future__ import annotations

import functools
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from hack.bench_figures import Row, Samples, in_turn, limit_row, row
from hack.bench_restic_memory import peak_mib
from hack.bench_restic_requests import MEASURED_VOLUMES, Requests, requests_per_volume
from hack.bench_restic_stage import (
    ResticStage,
    backup_and_list_by_hand,
    backup_by_hand,
    name_of,
    restic_stage,
    snapshot_of,
    spec_of,
)
from hack.bench_volume import tiny_volume_row
from pkg.kube.errors import KubeError
from pkg.testing.application import Application
from pkg.testing.processes import HarnessError

SUITE = "restic"
LARGE_RUNS, FILES_RUNS = 4, 4
MANY_VOLUMES, BY_HAND_VOLUMES = 200, 20
TINY = "seq 20 | split -l 1 -a 2 - f"
LARGE = "for i in $(seq 64); do head -c 16M /dev/urandom > f$i; done"
MANY_FILES = 'for i in $(seq 100); do mkdir "d$i"; (cd "d$i"; seq 1000 | split -l 1 -a 3 - f); done'
SAME_SPEED, UNCHANGED_BOUND, TINY_BOUND, MANY_BOUND = 1.05, 1.1, 0.6, 0.2
API_WRITES, STORE_REQUESTS = 4, 20
CONCURRENT, CONCURRENT_MIB = 4, 2048
NOTHING = Samples(values=(), references=())
Measure = Callable[[ResticStage], Samples]


def first_backup(stage: ResticStage) -> Samples:
    """1 GiB that no repository has seen, into two repositories of the same kind."""
    application = stage.application("large", LARGE)
    _, (capture,) = stage.back_up("large")
    spec = {name: value for name, value in spec_of(capture).items() if name != "parentSnapshotID"}
    restic, directory = stage.new_by_hand(), application.directory("data")
    return in_turn(
        lambda: stage.capture(spec),
        lambda: backup_by_hand(restic, directory),
        runs=LARGE_RUNS,
        before=lambda: application.shell("data", LARGE),
    )


def restored(stage: ResticStage) -> Samples:
    """The same 1 GiB restored; by hand from the same snapshot into an empty directory."""
    name, (capture,) = stage.back_up("large")
    restic = stage.by_hand(str(spec_of(capture)["repoIdentifier"]))
    return in_turn(
        lambda: stage.restore(name, "large"),
        lambda: stage.restore_by_hand(restic, snapshot_of(capture)),
        runs=LARGE_RUNS,
    )


def unchanged(stage: ResticStage) -> Samples:
    """100,000 files of a pod that was made anew; by hand with the parent that the server found."""
    application = stage.application("files", MANY_FILES)
    _, (first,) = stage.back_up("files")
    restic = stage.by_hand(str(spec_of(first)["repoIdentifier"]))

    def through_ark() -> float:
        _, (capture,) = stage.back_up("files")
        if not spec_of(capture).get("parentSnapshotID"):
            raise HarnessError("the server found no parent snapshot")
        return stage.seconds(stage.captures, name_of(capture))

    return in_turn(
        through_ark,
        lambda: backup_by_hand(restic, application.directory("data"), parent=snapshot_of(first)),
        runs=FILES_RUNS,
        before=lambda: anew(stage, application),
    )


def anew(stage: ResticStage, application: Application) -> None:
    """Replaces a pod by another with the same claim."""
    stage.installation.access.kubectl("delete", "pod", "web", "-n", application.namespace, "--timeout=60s")
    application.deploy()


def many_volumes(stage: ResticStage) -> Samples:
    """One backup of many tiny volumes; by hand one after the other, extrapolated from a few."""
    application = stage.application("many", TINY, scratch_volumes=MANY_VOLUMES)
    name, captures = stage.back_up("many")
    if len(captures) != MANY_VOLUMES:
        raise HarnessError(f"{len(captures)} captures")
    restic = stage.by_hand(str(spec_of(captures[0])["repoIdentifier"]))
    seconds = [
        backup_and_list_by_hand(restic, application.directory(f"v{number}")) for number in range(BY_HAND_VOLUMES)
    ]
    by_hand = sum(seconds) / BY_HAND_VOLUMES * MANY_VOLUMES
    return Samples(values=[stage.seconds(stage.backups, name)], references=[by_hand])


def memory(stage: ResticStage) -> Samples:
    """Agent and children while four volumes of 256 MiB are captured."""
    return Samples(values=[peak_mib(stage, CONCURRENT)], references=())


MEASURES: Mapping[str, Measure] = {
    "first backup": first_backup,
    "restore": restored,
    "unchanged": unchanged,
    "many volumes": many_volumes,
    "memory": memory,
}


@functools.cache
def measured() -> Mapping[str, Samples]:
    """Measures everything on one stage; what failed is missing."""
    found: dict[str, Samples] = {}
    try:
        with tempfile.TemporaryDirectory(prefix="ark-bench-") as workdir, restic_stage(Path(workdir)) as stage:
            for name, measure in MEASURES.items():
                print(f"restic: {name} ...", file=sys.stderr, flush=True)
                try:
                    found[name] = measure(stage)
                except (HarnessError, KubeError, TimeoutError) as error:
                    print(f"{name}: not measured: {error}", file=sys.stderr)
    except HarnessError as error:
        print(f"restic: not measured: {error}", file=sys.stderr)
    return found


@functools.cache
def counted() -> Requests | None:
    """Counts requests on a stage with a proxy before the store."""
    print("restic: requests ...", file=sys.stderr, flush=True)
    try:
        with tempfile.TemporaryDirectory(prefix="ark-bench-") as workdir:
            return requests_per_volume(Path(workdir))
    except (HarnessError, KubeError, TimeoutError) as error:
        print(f"requests: not measured: {error}", file=sys.stderr)
        return None


def _beside_restic(measure: str, name: str, bound: float, reference: str = "bare restic backup") -> Row:
    return row(SUITE, name, measured().get(measure, NOTHING), reference=reference, bound=bound)


def _limit(name: str, values: tuple[float, ...], limit: float, unit: str) -> Row:
    return limit_row(SUITE, name, Samples(values=values, references=()), limit=limit, unit=unit)


def writes_row() -> Row:
    """What a tiny volume costs the API server."""
    found = counted()
    values = () if found is None else (found.api_writes,)
    return _limit(f"API writes per tiny volume, of {MEASURED_VOLUMES}", values, API_WRITES, "requests")


def requests_row() -> Row:
    """What a tiny volume costs at the store."""
    found = counted()
    values = () if found is None else (found.store_requests,)
    return _limit(f"store requests per tiny volume, of {MEASURED_VOLUMES}", values, STORE_REQUESTS, "requests")


def memory_row() -> Row:
    """What four volumes at once need."""
    values = tuple(measured().get("memory", NOTHING).values)
    return _limit(f"agent and children, {CONCURRENT} volumes at once", values, CONCURRENT_MIB, "MiB")


RESTIC: tuple[Callable[[], Row], ...] = (
    lambda: _beside_restic("first backup", "1 GiB, first backup", SAME_SPEED),
    lambda: tiny_volume_row(SUITE, TINY_BOUND),
    lambda: _beside_restic(
        "many volumes", f"{MANY_VOLUMES} tiny volumes", MANY_BOUND, "restic backup, restic snapshots, in a row"
    ),
    lambda: _beside_restic("unchanged", "100,000 unchanged files, another pod", UNCHANGED_BOUND),
    lambda: _beside_restic("restore", "1 GiB, restore", SAME_SPEED, "bare restic restore"),
    writes_row,
    requests_row,
    memory_row,
)
