"""A maintenance Job writes itself down with its repository before it takes a lock there.

What it leaves behind is removed by the server when the Job's pod has ended; the Job itself is over by then.
"""

from __future__ import annotations

from pkg.apis.reasons import Reason
from pkg.apis.volumes import ResticRepository
from pkg.controllers.holder_records import HolderRecords
from pkg.controllers.kept_runner import KeptRunner
from pkg.kube.backoff import retry_transient
from pkg.kube.client import Client
from pkg.kube.clock import Clock
from pkg.kube.errors import KubeError
from pkg.kube.refs import RESTIC_REPOSITORIES
from pkg.kube.stop import StopToken
from pkg.restic.errors import ResticFailedError
from pkg.restic.runner import ResticRunner


def job_runner(
    inner: ResticRunner, client: Client, records: HolderRecords, *, namespace: str, name: str, clock: Clock
) -> ResticRunner:
    """The runner of the Job that works on the repository of that name."""

    def before(address: str, stop: StopToken) -> None:
        try:
            repository = retry_transient(
                lambda: client.get(RESTIC_REPOSITORIES, namespace, name, ResticRepository), stop=stop, clock=clock
            )
        except KubeError as error:
            raise ResticFailedError(
                verb="lock",
                repository=address,
                exit_code=0,
                reason=Reason.INTERNAL,
                message=f"not begun, because ResticRepository {name} cannot be read: {error}",
            ) from error
        records.record(repository, stop)

    return KeptRunner(inner, clock, before=before, left_behind=lambda child: None)
