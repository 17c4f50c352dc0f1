"""PodVolumeRestore on the node of its pod: fill the volume, then let the pod go on.

The pod waits in restic-wait for one marker per volume, which lies in an emptyDir of its own and never in user data
(operators.md 11). The marker is written last, and a marker that is there already means that the data is, so an
agent that died between marker and status only records.
"""

from __future__ import annotations

import structlog

from pkg.apis.reasons import Reason
from pkg.apis.volumes import PodVolumeRestore, VolumeProgress
from pkg.controllers.agent import Agent, VolumeFailure, VolumeStatus
from pkg.controllers.out_of_memory import failure_text, runs_alone_next
from pkg.controllers.status import patch_progress, timestamp, to_json
from pkg.controllers.volume_filling import VolumeFiller, with_next_step
from pkg.controllers.volume_plan import VolumeView, Work, is_open
from pkg.controllers.volume_reconciler import VolumeOutcome, failed_status
from pkg.controllers.volume_time import seconds_left
from pkg.kube.errors import KubeError
from pkg.kube.refs import POD_VOLUME_RESTORES
from pkg.kube.stop import StopToken
from pkg.restic.errors import CancelledError, ResticError
from pkg.volumes.hostpath import VolumePathError
from pkg.volumes.marker import MarkerError, write_failed

log = structlog.get_logger()


class RestoreKind:
    """Fills volumes."""

    ref = POD_VOLUME_RESTORES

    def __init__(self, agent: Agent, filler: VolumeFiller | None = None) -> None:
        self._agent = agent
        self._filler = filler or VolumeFiller(agent)

    def view(self, obj: PodVolumeRestore, work: Work) -> VolumeView:
        """What the decision rests on."""
        pod = obj.spec.pod
        return VolumeView(
            phase=obj.status.phase,
            attempts=obj.status.attempts,
            next_run=self._agent.next_run(obj.status),
            work=work,
            cancel=obj.spec.cancel,
            pod=self._agent.pod(pod.namespace, pod.name, pod.uid) if is_open(obj.status.phase) else None,
            pod_uid=pod.uid,
            pod_key=f"{pod.namespace}/{pod.name}",
            seconds_left=seconds_left(obj.spec.timeout, obj.status.slot_at, self._agent.clock.now()),
            needs_wait=True,
        )

    def status(self, obj: PodVolumeRestore) -> VolumeStatus:
        """What became of it so far."""
        return obj.status

    def group(self, obj: PodVolumeRestore) -> str:
        """The pod's namespace."""
        return obj.spec.pod.namespace

    def last_seconds(self, obj: PodVolumeRestore) -> float | None:
        """Nothing: a restore's slots are its own, and none is kept."""
        return None

    def before_failure(self, obj: PodVolumeRestore, reason: Reason, message: str) -> None:
        """Tells the waiting pod, so that it does not wait for ever."""
        try:
            write_failed(self._agent.pods_dir, obj.spec, f"{reason.value}: {message}")
        except MarkerError as error:
            log.warning("Failure marker not written", key=obj.metadata.key, error=str(error))

    def run(self, obj: PodVolumeRestore, stop: StopToken) -> VolumeOutcome:
        """Fills the volume; blocks."""
        try:
            return VolumeOutcome(
                status=self._filler.fill(obj, stop, lambda progress: self._write_progress(obj, progress))
            )
        except VolumeFailure as error:
            return self._failed(obj, error.reason, error.message)
        except VolumePathError as error:
            return self._failed(obj, error.reason, str(error))
        except MarkerError as error:
            return self._failed(obj, Reason.TARGET_UNUSABLE, str(error))
        except CancelledError as error:
            if not stop.cancelled:
                return VolumeOutcome(status=None, again=f"somebody else ended restic: {error.message}")
            if not isinstance(stop.reason, Reason):
                return VolumeOutcome(status=None)
            return self._failed(obj, stop.reason, "stopped before it was complete")
        except ResticError as error:
            if runs_alone_next(error, obj.status):
                return VolumeOutcome(status=None, again=str(error), alone=True)
            return self._failed(obj, error.reason, failure_text(error, obj.status))

    def _failed(self, obj: PodVolumeRestore, reason: Reason, message: str) -> VolumeOutcome:
        message = with_next_step(reason, message)
        self.before_failure(obj, reason, message)
        return VolumeOutcome(status=failed_status(reason, message, timestamp(self._agent.clock.now())))

    def _write_progress(self, obj: PodVolumeRestore, progress: VolumeProgress) -> None:
        try:
            patch_progress(self._agent.client, self.ref, obj, {"progress": to_json(progress)})
        except KubeError as error:
            log.debug("Progress not written", key=obj.metadata.key, error=str(error))
