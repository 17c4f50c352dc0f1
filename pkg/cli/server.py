"""`ark server`: the composition root of the server."""

from __future__ import annotations

import functools
import os
import sys

import click
import structlog
from prometheus_client import CollectorRegistry

from pkg.apis.core import Namespace
from pkg.cli.limit_options import server_limit_options
from pkg.cli.process import ProcessSettings, daemon_options, process_settings
from pkg.controllers.definitions import drift
from pkg.controllers.limits import DEFAULT_LIMITS, ClusterLimits
from pkg.controllers.server_cache import keep_cache_small
from pkg.controllers.server_wiring import ServerWiring, Surroundings
from pkg.kube.client import Client
from pkg.kube.clock import REAL_CLOCK
from pkg.kube.discovery import discover
from pkg.kube.errors import KubeError, NotFoundError
from pkg.kube.exec import exec_in_pod
from pkg.kube.refs import ARK_KINDS, NAMESPACES
from pkg.kube.stop import StopToken
from pkg.kube.transport import KubeTransport, load_transport
from pkg.manager import gc_policy
from pkg.manager.errors import ManagerError
from pkg.manager.leader import LeaderElector, LeaseSettings
from pkg.manager.logs import configure_logs
from pkg.manager.manager import Manager
from pkg.manager.shutdown import install_signals
from pkg.restic.errors import ResticError
from pkg.restic.preflight import check_version
from pkg.restic.runner import Runner

GRACE_SECONDS = 50.0
LEASE_NAME = "ark-server"

log = structlog.get_logger()


@click.command("server")
@daemon_options
@server_limit_options
@click.option("--fast-key/--no-fast-key", default=True, help="A cheap second key for repositories with our password.")
@click.option("--plugin-dir", default="/plugins", hidden=True, help="Accepted as in 0.9; there are no plug-ins.")
def command(
    log_level: str,
    log_format: str,
    metrics_address: str,
    kubeconfig: str,
    namespace: str,
    fast_key: bool,
    plugin_dir: str,
    limits: ClusterLimits,
) -> None:
    """Run the Ark server: backups, restores, repositories and downloads."""
    configure_logs(log_level, log_format)
    stop = StopToken()
    install_signals(stop)
    try:
        settings = process_settings(namespace, os.environ)
        sys.exit(run_server(settings, metrics_address, kubeconfig, stop, fast_keys=fast_key, limits=limits))
    except (KubeError, ManagerError, ResticError) as error:
        raise click.ClickException(str(error)) from error


def run_server(
    settings: ProcessSettings,
    metrics_address: str,
    kubeconfig: str,
    stop: StopToken,
    *,
    fast_keys: bool = True,
    limits: ClusterLimits = DEFAULT_LIMITS,
) -> int:
    """Wires the server and runs it; returns the exit code."""
    gc_policy.apply()
    transport = load_transport(kubeconfig)
    client = Client(transport)
    cluster_id = check_cluster(client, settings.namespace)
    runner = Runner(base=settings.environ)
    log.info("Server starting", namespace=settings.namespace, cluster=cluster_id, restic=check_version(runner, stop))
    registry = CollectorRegistry()
    manager = _manager(transport, settings, metrics_address, registry)
    given = Surroundings(
        namespace=settings.namespace,
        cluster_id=cluster_id,
        holder=settings.holder,
        pod_name=settings.pod_name,
        helper_image=settings.environ.get("ARK_IMAGE", ""),
        scratch_dir=settings.scratch_dir,
        environ=settings.environ,
        runner=runner,
        registry=registry,
        clock=REAL_CLOCK,
        fast_keys=fast_keys,
        limits=limits,
        execute=functools.partial(exec_in_pod, transport),
    )
    ServerWiring(manager, client, given).add_all()
    manager.add_runnable("freeze-caches", gc_policy.freeze_caches)
    manager.add_runnable("restic-cache", functools.partial(keep_cache_small, settings.scratch_dir, REAL_CLOCK))
    _watch_definitions(manager, client)
    return manager.run(stop)


def _manager(
    transport: KubeTransport, settings: ProcessSettings, metrics_address: str, registry: CollectorRegistry
) -> Manager:
    """A manager whose lease has a connection of its own, which no other request can hold up."""
    lease = LeaseSettings(namespace=settings.namespace, name=LEASE_NAME, identity=settings.pod_uid)
    return Manager(
        Client(transport),
        metrics_address=metrics_address,
        grace_seconds=GRACE_SECONDS,
        registry=registry,
        clock=REAL_CLOCK,
        elector=LeaderElector(Client(transport.new_connection()), lease, REAL_CLOCK, registry),
        component="ark-server",
    )


def _watch_definitions(manager: Manager, client: Client) -> None:
    """The server is not Ready while the cluster's definitions are other ones than those of this version."""
    drifted = drift(client)
    if drifted:
        log.error("Definitions differ", message=drifted)
    manager.health.add_ready_check("definitions", lambda: drifted)


def check_cluster(client: Client, namespace: str) -> str:
    """The cluster's identity, after its namespace and Ark's kinds were found.

    Raises:
        click.ClickException: something of the installation is missing; the message says what to apply.
    """
    try:
        client.get(NAMESPACES, "", namespace, Namespace)
    except NotFoundError as error:
        raise click.ClickException(f"namespace {namespace} does not exist: kubectl apply -f config/common") from error
    discovery = discover(client)
    missing = [ref.kind for ref in ARK_KINDS if discovery.for_kind(ref.api_version, ref.kind) is None]
    if missing:
        raise click.ClickException(
            f"custom resources {', '.join(missing)} not found in the API group: kubectl apply -f config/crd"
        )
    return client.get(NAMESPACES, "", "kube-system", Namespace).metadata.uid
