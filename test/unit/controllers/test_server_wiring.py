"""Everything that a server adds fits together: names, metrics, informers."""

from __future__ import annotations

from pathlib import Path

from prometheus_client import CollectorRegistry

from pkg.controllers.server_wiring import ServerWiring, Surroundings
from pkg.kube.clock import REAL_CLOCK
from pkg.kube.exec import ExecResult
from pkg.kube.stop import StopToken
from pkg.manager.manager import Manager
from pkg.restic.runner import Runner
from pkg.testing.fakeapi import FakeApi


def nothing_to_execute(
    namespace: str,
    pod: str,
    container: str,
    command: tuple[str, ...],
    timeout_seconds: float,
    *,
    stop: StopToken | None,
) -> ExecResult:
    raise AssertionError("no hook runs here")


def test_all_controllers_can_be_added(tmp_path: Path) -> None:
    api, registry = FakeApi(), CollectorRegistry()
    manager = Manager(api.client, metrics_address="127.0.0.1:0", grace_seconds=1.0, registry=registry, clock=REAL_CLOCK)
    given = Surroundings(
        namespace="heptio-ark",
        cluster_id="cluster-1",
        holder="pod/1",
        pod_name="pod",
        helper_image="ark:latest",
        scratch_dir=tmp_path,
        environ={},
        runner=Runner(base={}),
        registry=registry,
        clock=REAL_CLOCK,
        fast_keys=False,
        execute=nothing_to_execute,
    )
    ServerWiring(manager, api.client, given).add_all()
    families = {family.name for family in registry.collect()}
    assert {"ark_backup_sync", "ark_maintenance_runs", "ark_orphans"} <= families
