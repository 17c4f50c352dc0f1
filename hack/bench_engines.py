"""The rows of `make bench SUITE=engines`: backup and restore of many objects, and what the daemons need of memory."""

from __future__ import annotations

import functools
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hack.bench_engines_stage import NAMES, EnginesStage, engines_stage, resident_mib
from hack.bench_figures import Row, Samples, in_turn, limit_row, row
from hack.bench_stage import NODE
from hack.bench_sync import sync_row
from pkg.apis.meta import JsonObject
from pkg.kube.errors import KubeError
from pkg.kube.refs import BACKUPS, NAMESPACES, PODS
from pkg.testing.application import Application
from pkg.testing.assets import binary
from pkg.testing.installation import NAMESPACE
from pkg.testing.processes import HarnessError

SUITE = "engines"
OBJECTS, MANY_OBJECTS = 10_000, 50_000
BACKUP_ROUNDS, RESTORE_ROUNDS, GET_ROUNDS = 5, 2, 7
BACKUP_BOUND, RESTORE_BOUND = 1.5, 0.8
GROWTH_MIB, SERVER_MIB, AGENT_IDLE_MIB, AGENT_WORK_MIB = 60, 150, 60, 80
PODS_IN_CLUSTER, KNOWN_BACKUPS = 10_000, 1_000
GET_SECONDS = 0.3
VOLUME_MIB = 256
NOTHING = Samples(values=(), references=())
Measure = Callable[[EnginesStage], Samples]


@dataclass(slots=True, kw_only=True)
class Measured:
    """What each measurement found; one that failed is missing."""

    samples: dict[str, Samples] = field(default_factory=dict)

    def of(self, name: str) -> Samples:
        """The samples of a measurement, empty when it was not done."""
        return self.samples.get(name, NOTHING)


def backup_seconds(stage: EnginesStage) -> Samples:
    """Backup beside plain lists and gzip."""
    return in_turn(stage.back_up, stage.list_and_gzip, runs=BACKUP_ROUNDS)


def restore_rates(stage: EnginesStage) -> Samples:
    """Objects per second of a restore beside plain POSTs."""
    stage.backup_named("to-restore")
    seconds = in_turn(lambda: stage.restore("to-restore"), lambda: stage.post_all(OBJECTS), runs=RESTORE_ROUNDS)
    return Samples(
        values=[OBJECTS / one for one in seconds.values], references=[OBJECTS / one for one in seconds.references]
    )


def growth(stage: EnginesStage) -> Samples:
    """The server's peak above idle."""
    return Samples(values=[stage.peak_growth_mib() for _ in range(3)], references=())


def growth_of_many(stage: EnginesStage) -> Samples:
    """The same with five times as many objects."""
    stage.fill(OBJECTS // len(NAMES), MANY_OBJECTS // len(NAMES))
    return growth(stage)


def agent_memory(stage: EnginesStage) -> Samples:
    """The agent's RSS at rest, and its highest while it captures a volume (values, references)."""
    agent = stage.installation.agents[NODE]
    idle = resident_mib(agent, "VmRSS")
    Path(f"/proc/{agent.pid}/clear_refs").write_text("5")
    annotations = {"backup.ark.heptio.com/backup-volumes": "data"}
    application = Application(
        stage.installation.access, stage.installation.nodes[NODE], "volume", annotations=annotations
    )
    application.deploy()
    application.shell("data", f"head -c {VOLUME_MIB}M /dev/urandom > blob")
    stage.installation.ark("backup", "create", "volume", "--include-namespaces", "volume", "--wait")
    return Samples(values=[resident_mib(agent, "VmHWM")], references=[idle])


def server_memory(stage: EnginesStage) -> Samples:
    """The server's RSS, started anew among many pods."""
    stage.client.create_raw(NAMESPACES, "", {"metadata": {"name": "pods"}})
    stage.installation.access.kubectl("create", "serviceaccount", "nobody", "-n", "pods")
    stage.create_many(lambda number: stage.client.create_raw(PODS, "pods", _pod(number)), PODS_IN_CLUSTER)
    server = stage.installation.server
    server.stop()
    server.start()
    stage.installation.wait_ready()
    return Samples(values=[resident_mib(server, "VmRSS")], references=())


def _pod(number: int) -> JsonObject:
    """A pod that nobody schedules."""
    spec: JsonObject = {
        "schedulerName": "nobody",
        "serviceAccountName": "nobody",
        "containers": [
            {"name": "app", "image": "app", "env": [{"name": f"E{n}", "value": "v" * 50} for n in range(20)]}
        ],
    }
    return {"metadata": {"name": f"p-{number}", "labels": {"app": "many"}}, "spec": spec}


def get_seconds(stage: EnginesStage) -> Samples:
    """`ark backup get` beside `kubectl get backups` of the same list."""
    access = stage.installation.access
    there = len(stage.installation.objects("backups"))
    stage.create_many(_known_backup(stage), KNOWN_BACKUPS - there)
    kubectl = [str(binary("kubectl")), "--kubeconfig", str(access.kubeconfig), "get", "backups", "-n", NAMESPACE]

    def ours() -> float:
        started = time.monotonic()
        stage.installation.ark("backup", "get")
        return time.monotonic() - started

    def theirs() -> float:
        started = time.monotonic()
        subprocess.run(kubectl, check=True, capture_output=True)
        return time.monotonic() - started

    return in_turn(ours, theirs, runs=GET_ROUNDS)


def _known_backup(stage: EnginesStage) -> Callable[[int], object]:
    def create(number: int) -> object:
        name = f"known-{number}"
        imported: JsonObject = {"ark.heptio.com/imported": "true"}
        return stage.client.create_raw(BACKUPS, NAMESPACE, {"metadata": {"name": name, "annotations": imported}})

    return create


MEASURES: Mapping[str, Measure] = {
    "backup": backup_seconds,
    "restore": restore_rates,
    "growth": growth,
    "agent": agent_memory,
    "get": get_seconds,
    "growth of many": growth_of_many,
    "server": server_memory,
}


@functools.cache
def measured() -> Measured:
    """Measures everything on one stage."""
    found = Measured()
    try:
        with tempfile.TemporaryDirectory(prefix="ark-bench-") as workdir, engines_stage(Path(workdir)) as stage:
            stage.fill(0, OBJECTS // len(NAMES))
            for name, measure in MEASURES.items():
                print(f"engines: {name} ...", file=sys.stderr, flush=True)
                try:
                    found.samples[name] = measure(stage)
                except (HarnessError, KubeError, TimeoutError, subprocess.CalledProcessError) as error:
                    print(f"{name}: not measured: {error}", file=sys.stderr)
    except HarnessError as error:
        print(f"engines: not measured: {error}", file=sys.stderr)
    return found


def backup_row() -> Row:
    """Time of a backup."""
    name = f"backup of {OBJECTS:,} ConfigMaps"
    return row(SUITE, name, measured().of("backup"), reference="paged lists and gzip", bound=BACKUP_BOUND)


def restore_row() -> Row:
    """Rate of a restore."""
    return row(
        SUITE,
        f"restore of {OBJECTS:,} ConfigMaps",
        measured().of("restore"),
        reference="POSTs of 8 threads",
        bound=RESTORE_BOUND,
        unit="/s",
        at_least=True,
    )


def growth_row() -> Row:
    """Memory of a backup."""
    return _limit(f"server's peak above idle, {OBJECTS:,} objects", measured().of("growth").values, GROWTH_MIB)


def growth_of_many_row() -> Row:
    """Memory of a larger backup."""
    values = measured().of("growth of many").values
    return _limit(f"server's peak above idle, {MANY_OBJECTS:,} objects", values, GROWTH_MIB)


def server_row() -> Row:
    """Memory of the server in a full cluster."""
    return _limit(f"server's RSS, {PODS_IN_CLUSTER:,} pods", measured().of("server").values, SERVER_MIB)


def agent_idle_row() -> Row:
    """Memory of an agent at rest."""
    return _limit("agent's RSS, idle", measured().of("agent").references, AGENT_IDLE_MIB)


def agent_work_row() -> Row:
    """Memory of an agent at work."""
    return _limit("agent's RSS, at work", measured().of("agent").values, AGENT_WORK_MIB)


def get_row() -> Row:
    """What `ark backup get` takes longer than kubectl."""
    samples = measured().of("get")
    beside = zip(samples.values, samples.references, strict=True)
    longer = Samples(values=[ours - theirs for ours, theirs in beside], references=samples.references)
    name = f"ark backup get, {KNOWN_BACKUPS:,} backups, longer"
    return limit_row(SUITE, name, longer, limit=GET_SECONDS, beside="kubectl get backups")


def _limit(name: str, values: Sequence[float], limit: float) -> Row:
    return limit_row(SUITE, name, Samples(values=values, references=()), limit=limit, unit="MiB")


ENGINES: tuple[Callable[[], Row], ...] = (
    backup_row,
    growth_row,
    growth_of_many_row,
    restore_row,
    server_row,
    agent_idle_row,
    agent_work_row,
    get_row,
    sync_row,
)
