"""What a tiny volume costs in requests: the difference between a backup of many volumes and a backup of one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from hack.bench_restic_stage import ResticStage, restic_stage
from pkg.testing.countingproxy import CountingProxy
from pkg.testing.processes import HarnessError

FEW, MANY = 1, 21
MEASURED_VOLUMES = MANY - FEW
CONTENTS = "seq 20 | split -l 1 -a 2 - f"
_WRITES = re.compile(
    r'^apiserver_request_total\{(?=.*verb="(?:POST|PUT|PATCH|DELETE|APPLY)").*resource="(\w*)".*\} (\S+)$'
)
# The control plane's own, and who may do what; they come with time and with connections, not with volumes.
_NOT_OURS = frozenset({"leases", "tokenreviews", "subjectaccessreviews", "serviceaccounts"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Requests:
    """Per volume."""

    api_writes: float
    store_requests: float


def requests_per_volume(workdir: Path) -> Requests:
    """Backs up many volumes and one, the second time each, so that nothing is made for the first time."""
    with restic_stage(workdir, counted=True) as stage:
        proxy = stage.proxy
        if proxy is None:
            raise HarnessError("there is no proxy")
        costs = {}
        for volumes in (FEW, MANY):
            namespace = f"counted-{volumes}"
            stage.application(namespace, CONTENTS, scratch_volumes=volumes)
            stage.back_up(namespace)
            costs[volumes] = _cost(stage, proxy, namespace)
        more = [many - few for many, few in zip(costs[MANY], costs[FEW], strict=True)]
        return Requests(api_writes=more[0] / MEASURED_VOLUMES, store_requests=more[1] / MEASURED_VOLUMES)


def _cost(stage: ResticStage, proxy: CountingProxy, namespace: str) -> tuple[float, float]:
    writes, requests = api_writes(stage), proxy.counts.total()
    stage.back_up(namespace)
    return api_writes(stage) - writes, proxy.counts.total() - requests


def api_writes(stage: ResticStage) -> float:
    """How many objects were written so far, by the API server's own count."""
    return writes_of(stage.installation.access.kubectl("get", "--raw", "/metrics"))


def writes_of(metrics: str) -> float:
    """The writing requests in an API server's metrics, without those of the control plane itself."""
    found = (_WRITES.match(line) for line in metrics.splitlines())
    return sum(float(one[2]) for one in found if one and one[1] not in _NOT_OURS)
