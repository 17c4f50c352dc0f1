"""What must be known before a Job is made and costs requests: whose the store is, how large the index, who is inside.

It runs as an operation, after the gate was closed: what it does not see then cannot begin any more.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field

from pkg.apis.reasons import Reason
from pkg.apis.volumes import PodVolumeBackup, PodVolumeRestore, ResticRepository
from pkg.controllers.agent import VolumeFailure
from pkg.controllers.capture_plan import TERMINAL
from pkg.controllers.config import SettingsError
from pkg.controllers.maintenance_gate import MaintenanceGate
from pkg.controllers.maintenance_job import JobOptions, JobTemplate, template_of
from pkg.controllers.maintenance_memory import index_bytes, predicted_bytes, too_low
from pkg.controllers.maintenance_options import read_options
from pkg.controllers.maintenance_plan import Decision, in_use_by
from pkg.controllers.repositories import in_place
from pkg.controllers.stores import StoreFailure, Stores, store_reason
from pkg.controllers.verification import measure
from pkg.controllers.verification_plan import NOTHING, Measure, parse_part
from pkg.kube.client import Client
from pkg.kube.errors import KubeError, NotFoundError
from pkg.kube.refs import POD_VOLUME_BACKUPS, POD_VOLUME_RESTORES
from pkg.kube.resources import ResourceRef
from pkg.kube.stop import StopToken
from pkg.objectstore.errors import StoreError

DEPLOYMENTS = ResourceRef(group="apps", plural="deployments", kind="Deployment")
SERVER_DEPLOYMENT = "ark"
QUIET_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """What was found; a reason says why there must be no Job.

    Attributes:
        in_use: A capture or restore has begun after all; nothing is wrong.
        exclusive: Whether it was prepared for somebody who needs the repository for itself.
        measure: What is to be read of the data.
    """

    template: JobTemplate = field(default_factory=JobTemplate)
    options: JobOptions = field(default_factory=JobOptions)
    in_use: bool = False
    reason: str = ""
    message: str = ""
    exclusive: bool = True
    measure: Measure = NOTHING

    def is_for(self, decision: Decision) -> bool:
        """Whether it was made for what is decided now."""
        return self.exclusive == decision.exclusive and self.measure.part == decision.part


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparer:
    """Prepares Jobs."""

    client: Client
    namespace: str
    stores: Stores
    gate: MaintenanceGate
    fallback: Callable[[], JobTemplate]

    def prepare(self, repository: ResticRepository, decision: Decision, stop: StopToken) -> Preparation:
        """Looks at everything; blocks."""
        found = self._looked(repository, decision, stop)
        measured = dataclasses.replace(found.measure, part=decision.part)
        return dataclasses.replace(found, exclusive=decision.exclusive, measure=measured)

    def _looked(self, repository: ResticRepository, decision: Decision, stop: StopToken) -> Preparation:
        try:
            return self._prepare(repository, decision, stop)
        except (StoreFailure, SettingsError, VolumeFailure) as error:
            return Preparation(reason=error.reason.value, message=error.message)
        except StoreError as error:
            return Preparation(reason=store_reason(error).value, message=str(error))
        except ValueError as error:
            return Preparation(reason=Reason.CONFIG_INVALID.value, message=str(error))
        except KubeError as error:
            return Preparation(reason=Reason.INTERNAL.value, message=str(error))

    def _prepare(self, repository: ResticRepository, decision: Decision, stop: StopToken) -> Preparation:
        if decision.exclusive:
            quiet = self.gate.wait_quiet(repository.metadata.name, stop, QUIET_SECONDS)
            if not quiet or self._in_use(repository):
                return Preparation(in_use=True)
        stores = self.stores.owned()
        in_place(repository, stores.settings.location)
        options = read_options(self.client, self.namespace)
        needed = predicted_bytes(index_bytes(stores.restic, repository.volume_namespace))
        problem = too_low(options.memory_limit, needed)
        if problem is not None:
            return Preparation(reason=Reason.MEMORY_LIMIT_TOO_LOW.value, message=problem)
        directory = repository.volume_namespace
        found = measure(stores.restic, directory, parse_part(decision.part)) if decision.part else Measure()
        return Preparation(template=self._template(), options=options, measure=found)

    def _in_use(self, repository: ResticRepository) -> bool:
        """Asks the API, not the cache: what was created a moment ago counts."""
        captures = self.client.list(POD_VOLUME_BACKUPS, self.namespace, PodVolumeBackup)
        fillings = self.client.list(POD_VOLUME_RESTORES, self.namespace, PodVolumeRestore)
        return is_in_use(repository, [*captures, *fillings])

    def _template(self) -> JobTemplate:
        try:
            return template_of(self.client.get_raw(DEPLOYMENTS, self.namespace, SERVER_DEPLOYMENT))
        except NotFoundError:
            return self.fallback()


def is_in_use(repository: ResticRepository, objects: list[PodVolumeBackup | PodVolumeRestore]) -> bool:
    """Whether one of these works in the repository and has no result yet."""
    return any(
        one.status.phase not in TERMINAL and in_use_by(repository, one.spec.repository, one.spec.repo_identifier)
        for one in objects
    )
