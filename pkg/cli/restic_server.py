"""`ark restic server`: the composition root of the agent, one on each node."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import click
import structlog
from prometheus_client import CollectorRegistry

from pkg.apis.ark import Config
from pkg.apis.core import Pod
from pkg.apis.names import NODE_LABEL
from pkg.apis.volumes import PodVolumeBackup, PodVolumeRestore, ResticRepository
from pkg.cli.cache_option import cache_option
from pkg.cli.limit_options import agent_limit_options
from pkg.cli.process import ProcessSettings, daemon_options, process_settings
from pkg.controllers.agent import Agent
from pkg.controllers.agent_bounds import AgentBounds
from pkg.controllers.agent_limits_wiring import AgentSlots, add_agent_limits
from pkg.controllers.agent_locks_wiring import LockParts, add_lock_sweeps, lock_keeping
from pkg.controllers.config import ConfigReconciler, Settings
from pkg.controllers.holder_records import own_identity
from pkg.controllers.limits import NodeLimits
from pkg.controllers.pod_volume_backup import BackupKind
from pkg.controllers.pod_volume_restore import RestoreKind
from pkg.controllers.solitude import Solitude
from pkg.controllers.volume_wiring import VolumeWiring
from pkg.informers.informer import SharedInformer
from pkg.kube.client import Client
from pkg.kube.clock import REAL_CLOCK
from pkg.kube.errors import KubeError
from pkg.kube.refs import CONFIGS, POD_VOLUME_BACKUPS, POD_VOLUME_RESTORES, PODS, RESTIC_REPOSITORIES
from pkg.kube.stop import StopToken
from pkg.kube.transport import load_transport
from pkg.manager import gc_policy
from pkg.manager.errors import ManagerError
from pkg.manager.logs import configure_logs
from pkg.manager.manager import Manager
from pkg.manager.shutdown import install_signals
from pkg.objectstore.region import Regions
from pkg.objectstore.store import ObjectStore
from pkg.restic.bandwidth import LimitedRunner
from pkg.restic.cache import DEFAULT_LIMIT_BYTES
from pkg.restic.errors import ResticError
from pkg.restic.preflight import check_version, keeps_labels
from pkg.restic.runner import ResticRunner, Runner
from pkg.volumes.naming import label_value

GRACE_SECONDS = 110.0
CHILD_NICENESS = 10

log = structlog.get_logger()


@click.command("server")
@daemon_options
@agent_limit_options
@cache_option
def command(
    log_level: str,
    log_format: str,
    metrics_address: str,
    kubeconfig: str,
    namespace: str,
    limits: NodeLimits,
    cache_bytes: int,
) -> None:
    """Run the agent of this node: back up and restore the volumes of its pods."""
    configure_logs(log_level, log_format)
    node = os.environ.get("NODE_NAME", "")
    if not node:
        raise click.ClickException("NODE_NAME is not set; the DaemonSet of config/ sets it to spec.nodeName")
    stop = StopToken()
    install_signals(stop)
    try:
        settings = process_settings(namespace, os.environ)
        sys.exit(run_agent(settings, node, metrics_address, kubeconfig, stop, limits, cache_bytes))
    except (KubeError, ManagerError, ResticError) as error:
        raise click.ClickException(str(error)) from error


def run_agent(
    settings: ProcessSettings,
    node: str,
    metrics_address: str,
    kubeconfig: str,
    stop: StopToken,
    flags: NodeLimits,
    cache_bytes: int = DEFAULT_LIMIT_BYTES,
) -> int:
    """Wires the agent and runs it; returns the exit code."""
    gc_policy.apply()
    client, runner = Client(load_transport(kubeconfig)), Runner(base=settings.environ, nice=CHILD_NICENESS)
    version = check_version(runner, stop)
    log.info("Agent starting", node=node, namespace=settings.namespace, restic=version)
    registry = CollectorRegistry()
    manager = Manager(
        client,
        metrics_address=metrics_address,
        grace_seconds=GRACE_SECONDS,
        registry=registry,
        clock=REAL_CLOCK,
        component="ark-agent",
    )
    bounds = AgentBounds(manager, registry, runner, settings.scratch_dir, cache_bytes=cache_bytes)
    ceiling = bounds.ceiling(own_pod(manager, settings, node))
    limits, slots = add_agent_limits(manager, flags, registry, namespace=settings.namespace, node=node, ceiling=ceiling)
    bounds.slots = lambda: limits.current().backup_slots
    _wire(
        manager,
        client,
        settings,
        node,
        bounds.runner(LimitedRunner(runner, limits.bandwidth)),
        slots,
        running=lambda: {child.pid for child in runner.running()},
        solitude=bounds.solitude,
        keep_labels=keeps_labels(version),
    )
    manager.add_runnable("freeze-caches", gc_policy.freeze_caches)
    return manager.run(stop)


def _wire(
    manager: Manager,
    client: Client,
    settings: ProcessSettings,
    node: str,
    runner: ResticRunner,
    slots: AgentSlots,
    *,
    running: Callable[[], set[int]],
    solitude: Solitude,
    keep_labels: bool,
) -> None:
    factory, namespace = manager.factory, settings.namespace
    repositories = factory.informer(RESTIC_REPOSITORIES, ResticRepository, namespace=namespace)
    configs = factory.informer(CONFIGS, Config, namespace=namespace)
    locks = _lock_parts(client, settings, runner, running, repositories)
    keeping = lock_keeping(locks)
    agent = Agent(
        node=node,
        namespace=namespace,
        holder=settings.holder,
        pods_dir=Path(settings.environ.get("ARK_HOST_PODS") or "/host_pods"),
        scratch_dir=settings.scratch_dir,
        client=client,
        clock=REAL_CLOCK,
        runner=keeping.runner(runner),
        locks=keeping,
        pods=pods_of(manager, node).lister,
        repositories=repositories.lister,
        config=ConfigReconciler(configs.lister, settings.environ, namespace, regions=Regions()),
        pod_name=settings.pod_name,
        keep_labels=keep_labels,
        solitude=solitude,
    )
    add_lock_sweeps(manager, agent, keeping, locks)
    _add_volumes(manager, agent, node, slots)


def _add_volumes(manager: Manager, agent: Agent, node: str, slots: AgentSlots) -> None:
    factory, namespace = manager.factory, agent.namespace
    own = f"{NODE_LABEL}={label_value(node)}"
    backups = factory.informer(POD_VOLUME_BACKUPS, PodVolumeBackup, namespace=namespace, label_selector=own)
    restores = factory.informer(POD_VOLUME_RESTORES, PodVolumeRestore, namespace=namespace, label_selector=own)
    wiring = VolumeWiring(manager, agent, pods_of(manager, node))
    wiring.add("pod-volume-backup", BackupKind(agent), backups, slots=slots.backups)
    wiring.add("pod-volume-restore", RestoreKind(agent), restores, slots=slots.restores)
    manager.health.add_ready_check("pods-directory", lambda: _readable(agent.pods_dir))


def _lock_parts(
    client: Client,
    settings: ProcessSettings,
    runner: ResticRunner,
    running: Callable[[], set[int]],
    repositories: SharedInformer[ResticRepository],
) -> LockParts:
    return LockParts(
        client=client,
        namespace=settings.namespace,
        clock=REAL_CLOCK,
        identity=own_identity(settings.environ, pod_uid=settings.pod_uid, clock=REAL_CLOCK),
        runner=runner,
        running=running,
        repositories=repositories,
        open_store=_restic_store,
    )


def _restic_store(settings: Settings) -> ObjectStore:
    from pkg.objectstore.cloud import open_restic_store  # 4 MB that an agent without a dead child never needs

    return open_restic_store(settings.location, settings.credentials)


def pods_of(manager: Manager, node: str) -> SharedInformer[Pod]:
    """The pods of this node, this agent's own among them."""
    return manager.factory.informer(PODS, Pod, field_selector=f"spec.nodeName={node}")


def own_pod(manager: Manager, settings: ProcessSettings, node: str) -> Callable[[], Pod | None]:
    """Finds this agent's own pod in the cache."""
    pods = pods_of(manager, node).lister
    return lambda: pods.get(settings.namespace, settings.pod_name)


def _readable(directory: Path) -> str | None:
    return None if directory.is_dir() else f"{directory} is not there; the DaemonSet mounts the kubelet's pods there"
