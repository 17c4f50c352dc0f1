"""`ark restic maintenance`: the composition root of a maintenance Job.

People ask for one by `ark restic repo maintain`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click
import structlog

from pkg.cli.process import LOG_LEVELS, ProcessSettings, process_settings
from pkg.controllers.config import Settings
from pkg.controllers.holder_records import HolderRecords, own_identity
from pkg.controllers.job_locks import job_runner
from pkg.controllers.maintenance_plan import RunPhase, Verb
from pkg.controllers.maintenance_report import Report
from pkg.controllers.maintenance_work import MaintenanceWork
from pkg.kube.client import Client
from pkg.kube.clock import REAL_CLOCK
from pkg.kube.errors import KubeError
from pkg.kube.stop import StopToken
from pkg.kube.transport import load_transport
from pkg.manager.logs import configure_logs
from pkg.manager.shutdown import install_signals
from pkg.objectstore.cloud import open_restic_store
from pkg.objectstore.preflight import preflight
from pkg.objectstore.region import Regions
from pkg.restic.errors import ResticError
from pkg.restic.preflight import check_version
from pkg.restic.runner import Runner

TERMINATION_LOG_VARIABLE = "ARK_TERMINATION_LOG"
TERMINATION_LOG = "/dev/termination-log"

log = structlog.get_logger()


@click.command("maintenance", hidden=True)
@click.argument("repository")
@click.option("--uid", default="", help="UID of the ResticRepository that is meant.")
@click.option("--do", "verbs", default="forget,prune,check", show_default=True, help="What to do.")
@click.option("--part", default="", help="What of the data verify reads, such as 7/100.")
@click.option("--log-level", type=click.Choice(LOG_LEVELS), default="info", show_default=True)
@click.option("--log-format", type=click.Choice(["logfmt", "json"]), default="logfmt", show_default=True)
@click.option("--kubeconfig", default="", help="Kubernetes configuration file; default: the pod's own account.")
@click.option("--namespace", "-n", default="", help="Ark's namespace; default: HEPTIO_ARK_NAMESPACE.")
def command(
    repository: str, uid: str, verbs: str, part: str, log_level: str, log_format: str, kubeconfig: str, namespace: str
) -> None:
    """Forget, prune, check and verify one restic repository; run by the server as a Job."""
    configure_logs(log_level, log_format)
    unknown = sorted(set(verbs.split(",")) - {verb.value for verb in Verb})
    if unknown:
        raise click.UsageError(f"--do: there is no {unknown[0]!r}, there are {', '.join(Verb)}")
    if Verb.VERIFY in verbs.split(",") and not part:
        raise click.UsageError("--do=verify needs --part")
    stop = StopToken()
    install_signals(stop)
    wanted = [Verb(word) for word in verbs.split(",")]
    try:
        report = run_maintenance(
            process_settings(namespace, os.environ), kubeconfig, repository, uid, wanted, part, stop
        )
    except (KubeError, ResticError) as error:
        raise click.ClickException(str(error)) from error
    write_report(report)
    sys.exit(0 if all(one.phase == RunPhase.COMPLETED for one in report.results) else 1)


def run_maintenance(
    settings: ProcessSettings,
    kubeconfig: str,
    repository: str,
    uid: str,
    verbs: list[Verb],
    part: str,
    stop: StopToken,
) -> Report:
    """Wires the work and does it."""
    runner, client = Runner(base=settings.environ), Client(load_transport(kubeconfig))
    log.info("Maintenance starting", repository=repository, verbs=",".join(verbs), restic=check_version(runner, stop))
    identity = own_identity(settings.environ, pod_uid=settings.pod_uid, clock=REAL_CLOCK)
    records = HolderRecords(client=client, clock=REAL_CLOCK, identity=identity)
    work = MaintenanceWork(
        client=client,
        namespace=settings.namespace,
        name=repository,
        uid=uid,
        runner=job_runner(runner, client, records, namespace=settings.namespace, name=repository, clock=REAL_CLOCK),
        clock=REAL_CLOCK,
        scratch_dir=settings.scratch_dir,
        environ=settings.environ,
        preflight=_preflight,
        part=part,
        regions=Regions(),
    )
    return work.run(verbs, stop)


def write_report(report: Report) -> None:
    """Leaves the report where the kubelet finds it; the log has it anyway."""
    path = Path(os.environ.get(TERMINATION_LOG_VARIABLE) or TERMINATION_LOG)
    try:
        path.write_bytes(report.to_bytes())
    except OSError as error:
        log.warning("Termination message not written", path=str(path), error=str(error))


def _preflight(settings: Settings) -> None:
    preflight(open_restic_store(settings.location, settings.credentials))
