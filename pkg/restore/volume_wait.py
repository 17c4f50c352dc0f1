"""Brings restored pods their data: starts what can be started, records what ended, gives up what does not move.

`pump` never blocks and may be called at any time; `finish` waits for the end of all volumes. Every volume ends: filled,
failed, or given up with a sentence that names what was waited for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import msgspec
import structlog

from pkg.apis.ark import VolumeCounts, VolumeEntry
from pkg.apis.core import PersistentVolume, PersistentVolumeClaim, Pod, Volume
from pkg.apis.meta import ObjectReference
from pkg.apis.reasons import Reason, VolumePhase
from pkg.apis.volumes import PodVolumeRestoreStatus, VolumeSource
from pkg.kube.clock import Clock
from pkg.kube.errors import ApiStatusError, NotFoundError, ServerError, ThrottledError, TransportError
from pkg.kube.refs import PODS, PVCS, PVS
from pkg.kube.stop import StopToken
from pkg.restore.captures import PodVolume
from pkg.restore.errors import RestoreInterruptedError
from pkg.restore.fields import text_at
from pkg.restore.job import CANCELED, RestoreApi, VolumeRestorer
from pkg.restore.podvolumes import restore_labels, restore_spec, why_waiting
from pkg.restore.repositories import Repositories, Repository, RepositoryFailure
from pkg.restore.volume_plan import Filling, PodsByUid, Start, Statuses, next_starts, signature
from pkg.volumes.naming import restore_volume_name
from pkg.volumes.selection import Rejected
from pkg.volumes.source import volume_source

log = structlog.get_logger()

POLL_SECONDS = 2.0
MISSING_SECONDS = 5.0
_ENTRIES_LIMIT = 100
_LOST = frozenset({Reason.POD_DELETED, Reason.POD_GONE})
_AFTER_A_LOSS = (
    "a controller that is there already deletes pods that are too many for it, and those that it makes do not wait; "
    "delete the controller and the claim, and restore again"
)
_PATHS_SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitSettings:
    """What a wait needs to know about its restore."""

    restore_name: str
    restore_uid: str
    timeout_seconds: float
    strict_metadata: bool = False


class VolumeWait:
    """The volumes of one restore that are to be filled; used by one thread.

    Args:
        report: Takes the namespace and the text of each failure, once.
        warn: Takes the same of each volume that is filled and lacks something of its files' metadata.
        tell: Takes a volume given up and, by volume, every reason of its pod so far.

    Attributes:
        progressed: Called when counts may have changed.
    """

    def __init__(
        self,
        settings: WaitSettings,
        *,
        api: RestoreApi,
        agents: VolumeRestorer,
        repositories: Repositories,
        clock: Clock,
        report: Callable[[str, str], None],
        warn: Callable[[str, str], None],
        tell: Callable[[Filling, Mapping[str, str]], None],
    ) -> None:
        self._settings = settings
        self._api = api
        self._agents = agents
        self._repositories = repositories
        self._clock = clock
        self._report = report
        self._warn = warn
        self._tell = tell
        self.progressed: Callable[[], None] = lambda: None
        self._fillings: dict[str, Filling] = {}
        self._failed: dict[str, str] = {}
        self._done: set[str] = set()
        self._started: set[str] = set()
        self._missing_since: dict[str, float] = {}
        self._moved_at = clock.monotonic()
        self._signature: tuple[object, ...] = ()

    def add(self, namespace: str, pod: str, pod_uid: str, volumes: Sequence[PodVolume]) -> None:
        """Takes on the volumes of a restored pod."""
        for volume in volumes:
            name = restore_volume_name(
                self._settings.restore_uid, pod_uid, volume.volume, restore_name=self._settings.restore_name
            )
            self._fillings[name] = Filling(name=name, namespace=namespace, pod=pod, pod_uid=pod_uid, volume=volume)
        self._moved_at = self._clock.monotonic()

    def pump(self) -> bool:
        """One round without waiting; returns whether every volume has ended."""
        left = self._left()
        if not left:
            return True
        pods = {pod.metadata.uid: pod for pod in self._agents.pods(self._settings.restore_uid)}
        statuses = self._agents.status()
        self._record_ends(left, statuses)
        self._give_up_lost_pods(self._left(), pods)
        self._give_up_without_agent(self._left(), statuses, pods)
        ended = self._done | self._failed.keys()
        everything = self._fillings.values()
        for start in next_starts(everything, statuses=statuses, started=self._started, ended=ended, pods=pods):
            self._start(start, pods[start.filling.pod_uid])
        self._give_up_stuck(statuses, pods)
        self.progressed()
        return not self._left()

    def finish(self, stop: StopToken) -> bool:
        """Waits until every volume has ended, or the Restore is cancelled; returns whether it was.

        Raises:
            RestoreInterruptedError: the process ends; the volumes go on by themselves.
        """
        while not self.pump():
            if self._agents.wait_changed(stop, POLL_SECONDS) or stop.cancelled:
                if stop.reason != CANCELED:
                    raise RestoreInterruptedError(stop.reason)
                self.give_up(Reason.CANCELED, "the Restore was cancelled")
                return True
        return False

    def give_up(self, reason: Reason, message: str) -> None:
        """Ends the wait for every volume that has not ended."""
        for filling in self._left():
            self._fail(filling, reason, message)

    def counts(self) -> VolumeCounts:
        """The volumes in numbers."""
        statuses = self._agents.status() if self._fillings else {}
        progress = [statuses[name].progress for name in self._fillings if name in statuses]
        failed = [self._entry(name, text) for name, text in self._failed.items()]
        return VolumeCounts(
            expected=len(self._fillings),
            captured=len(self._done),
            failed=len(self._failed),
            bytes_done=sum(one.bytes_done for one in progress if one is not None),
            total_bytes=sum(one.volume.capture.bytes for one in self._fillings.values()),
            entries=tuple(failed[:_ENTRIES_LIMIT]) or None,
        )

    @property
    def unfilled_claims(self) -> frozenset[tuple[str, str]]:
        """(namespace, claim) of the claims whose contents are not there yet, or will not come."""
        wanted = {one.target: one for one in self._fillings.values() if one.volume.claim}
        filled = {self._fillings[name].target for name in self._done}
        return frozenset((one.namespace, one.volume.claim) for key, one in wanted.items() if key not in filled)

    @property
    def failed_pods(self) -> Mapping[str, str]:
        """By the UID of a pod, why a volume of it was not filled."""
        return {self._fillings[name].pod_uid: text for name, text in self._failed.items()}

    def _left(self) -> list[Filling]:
        return [one for one in self._fillings.values() if one.name not in self._done and one.name not in self._failed]

    def _record_ends(self, left: Sequence[Filling], statuses: Statuses) -> None:
        for filling in left:
            status = statuses.get(filling.name)
            if status is not None and status.phase == VolumePhase.COMPLETED:
                self._done.add(filling.name)
                if status.metadata_failures:
                    self._warn(filling.namespace, metadata_text(filling, status))
            elif status is not None and status.phase == VolumePhase.FAILED:
                self._fail(filling, status.reason or Reason.INTERNAL, status.message)

    def _give_up_lost_pods(self, left: Sequence[Filling], pods: PodsByUid) -> None:
        now = self._clock.monotonic()
        for filling in left:
            pod = pods.get(filling.pod_uid)
            if pod is not None:
                self._missing_since.pop(filling.pod_uid, None)
                if pod.status.phase == "Failed":
                    self._fail(filling, Reason.POD_FINISHED, f"the pod failed: {pod.status.reason}")
            elif now - self._missing_since.setdefault(filling.pod_uid, now) >= MISSING_SECONDS:
                self._confirm_lost(filling, now)

    def _confirm_lost(self, filling: Filling, now: float) -> None:
        """The view may lag behind, so only the API's own answer counts."""
        self._missing_since[filling.pod_uid] = now
        try:
            live = self._api.get_raw(PODS, filling.namespace, filling.pod)
        except NotFoundError:
            self._fail(filling, Reason.POD_DELETED, "the pod was deleted before its data was restored")
            return
        if text_at(live, "metadata", "uid") != filling.pod_uid:
            self._fail(filling, Reason.POD_DELETED, "the pod was replaced before its data was restored")

    def _give_up_without_agent(self, left: Sequence[Filling], statuses: Statuses, pods: PodsByUid) -> None:
        for filling in left:
            pod = pods.get(filling.pod_uid)
            status = statuses.get(filling.name)
            untouched = status is None or status.phase in ("", VolumePhase.NEW)
            if pod is not None and pod.spec.node_name and untouched:
                verdict = self._agents.agent_verdict(pod.spec.node_name)
                if verdict is not None:
                    self._fail(filling, *verdict)

    def _start(self, start: Start, pod: Pod) -> None:
        filling = start.filling
        repository = self._repositories.poll(filling.volume.capture.namespace)
        if isinstance(repository, RepositoryFailure):
            self._fail(filling, Reason.REPOSITORY_NOT_READY, repository.message)
            return
        try:
            source = self._source(filling, pod)
        except ApiStatusError as error:
            self._fail(filling, Reason.INTERNAL, f"its claim cannot be read: {error}")
            return
        if isinstance(source, Rejected):
            if source.reason is not Reason.NOT_RUNNING:
                self._fail(filling, source.reason, source.message)
        elif source is not None and repository is not None:
            self._create(start, pod, source, repository)

    def _create(self, start: Start, pod: Pod, source: VolumeSource, repository: Repository) -> None:
        filling, node = start.filling, pod.spec.node_name
        spec = restore_spec(
            ObjectReference(kind="Pod", namespace=filling.namespace, name=filling.pod, uid=filling.pod_uid),
            filling.volume,
            source,
            node=node,
            restore_uid=self._settings.restore_uid,
            repo_identifier=repository.identifier,
            repository=repository.name,
            repository_id=repository.repository_id,
            strict_metadata=self._settings.strict_metadata,
            marker_only=start.marker_only,
        )
        labels = restore_labels(
            self._settings.restore_name, self._settings.restore_uid, pod_uid=filling.pod_uid, node=node
        )
        try:
            refusal = self._agents.start(filling.name, spec, labels)
        except (TransportError, ThrottledError, ServerError) as error:
            log.debug("Volume restore not created yet", name=filling.name, error=str(error))
        except ApiStatusError as error:
            self._fail(filling, Reason.INTERNAL, f"its PodVolumeRestore is refused: {error}")
        else:
            if refusal:
                self._fail(filling, Reason.TARGET_UNUSABLE, refusal)
                return
            self._started.add(filling.name)
            self._moved_at = self._clock.monotonic()

    def _source(self, filling: Filling, pod: Pod) -> VolumeSource | Rejected | None:
        """Where the volume lies; None while its claim is not there yet."""
        volumes = {volume.name: volume for volume in pod.spec.volumes or ()}
        volume = volumes.get(filling.volume.volume, Volume(name=filling.volume.volume))
        if not filling.volume.claim:
            return volume_source(pod, volume, None, None)
        try:
            raw_claim = self._api.get_raw(PVCS, filling.namespace, filling.volume.claim)
            claim = msgspec.convert(raw_claim, PersistentVolumeClaim)
            if not claim.spec.volume_name:
                return None
            raw_volume = self._api.get_raw(PVS, "", claim.spec.volume_name)
        except NotFoundError:
            return None
        return volume_source(pod, volume, claim, msgspec.convert(raw_volume, PersistentVolume))

    def _give_up_stuck(self, statuses: Statuses, pods: PodsByUid) -> None:
        now = self._clock.monotonic()
        current = signature(self._fillings.values(), statuses, pods)
        if current != self._signature:
            self._signature, self._moved_at = current, now
        if now - self._moved_at >= self._settings.timeout_seconds:
            for filling in self._left():
                self._fail(filling, Reason.NO_PROGRESS, self._stuck_text(filling, statuses, pods))

    def _stuck_text(self, filling: Filling, statuses: Statuses, pods: PodsByUid) -> str:
        waited = f"nothing moved for {self._settings.timeout_seconds / 60:.0f} min"
        try:
            detail = why_waiting(self._api.get_raw(PODS, filling.namespace, filling.pod))
        except ApiStatusError as error:
            detail = str(error)
        pod, status = pods.get(filling.pod_uid), statuses.get(filling.name)
        if pod is None or not pod.spec.node_name:
            return f"{waited}; waited for the pod to be scheduled; {detail or 'it says nothing'}"
        what = f"PodVolumeRestore {filling.name} is {status.phase or 'New'}" if status else "its volume to be bound"
        return f"{waited}; waited for node {pod.spec.node_name}: {what}" + (f"; {detail}" if detail else "")

    def _fail(self, filling: Filling, reason: str, message: str) -> None:
        if filling.name in self._failed:
            return
        if reason in _LOST:
            message = f"{message}: {_AFTER_A_LOSS}"
        self._failed[filling.name] = f"{reason}: {message}" if message else str(reason)
        self._report(filling.namespace, f"{filling.text}: not restored: {self._failed[filling.name]}")
        beside = (one for one in self._fillings.values() if one.pod_uid == filling.pod_uid and one.name in self._failed)
        self._tell(filling, {one.volume.volume: self._failed[one.name] for one in beside})

    def _entry(self, name: str, text: str) -> VolumeEntry:
        filling = self._fillings[name]
        reason, _, message = text.partition(": ")
        return VolumeEntry(
            namespace=filling.namespace,
            pod=filling.pod,
            volume=filling.volume.volume,
            claim_name=filling.volume.claim,
            phase=VolumePhase.FAILED,
            reason=reason,
            message=message,
            snapshot_id=filling.volume.capture.snapshot_id,
        )


def metadata_text(filling: Filling, status: PodVolumeRestoreStatus) -> str:
    """What a filled volume lacks, with the first paths."""
    paths = status.metadata_paths or ()
    more = ", …" if status.metadata_failures > _PATHS_SHOWN else ""
    shown = f" ({', '.join(paths[:_PATHS_SHOWN])}{more})" if len(paths) > 1 else ""
    return f"{filling.text}: its contents are restored, but {status.message}{shown}"
