"""The captures of one backup: created when admitted, adopted when they exist, watched until each has a result.

All state is in the API objects, whose names are derived; a server that starts again asks for the same captures and
finds them running or finished.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import structlog

from pkg.apis.ark import Backup
from pkg.apis.meta import JsonObject
from pkg.apis.names import API_VERSION, BACKUP_NAME_LABEL, BACKUP_UID_LABEL, NODE_LABEL, PVC_UID_LABEL
from pkg.apis.reasons import Reason, VolumePhase
from pkg.apis.volumes import PodVolumeBackup, PodVolumeBackupSpec, PodVolumeBackupStatus
from pkg.controllers.admission import Candidate
from pkg.controllers.admission_desk import AdmissionDesk
from pkg.controllers.capture_plan import TERMINAL, CapturePlan, Wanted, failed, plan_captures
from pkg.controllers.change_signal import ChangeSignal
from pkg.controllers.maintenance_gate import MaintenanceGate
from pkg.controllers.nodes import NodeAgents
from pkg.controllers.status import patch_status, timestamp, to_json
from pkg.informers.lister import Lister
from pkg.kube.client import Client
from pkg.kube.clock import Clock
from pkg.kube.errors import AlreadyExistsError, ConflictError, NotFoundError
from pkg.kube.refs import POD_VOLUME_BACKUPS
from pkg.kube.stop import StopToken
from pkg.volumes.naming import label_value

LOOK_AGAIN_SECONDS = 5.0
CANCEL_WAIT_SECONDS = 60.0
WAITING_FOR_RESTORE = "WaitingForRestore"  # reason of an Event

log = structlog.get_logger()

OnWaiting = Callable[[str, str], None]
OnStatuses = Callable[[Mapping[str, PodVolumeBackupStatus]], None]


class Captures:
    """Carries out `plan_captures` for one backup.

    Args:
        desk: Where all backups ask what they may create.
        gate: Keeps captures out of a repository that maintenance has.
        on_waiting: Told once, with a reason and a sentence, for what a repository's captures wait.
    """

    def __init__(
        self,
        backup: Backup,
        client: Client,
        lister: Lister[PodVolumeBackup],
        *,
        agents: NodeAgents,
        changes: ChangeSignal,
        clock: Clock,
        desk: AdmissionDesk,
        gate: MaintenanceGate | None = None,
        on_waiting: OnWaiting = lambda reason, message: None,
    ) -> None:
        self._backup = backup
        self._namespace = backup.metadata.namespace
        self._client = client
        self._lister = lister
        self._agents = agents
        self._changes = changes
        self._clock = clock
        self._gate = gate or MaintenanceGate(clock, busy=lambda name: False, changed=lambda: None)
        self._desk = desk
        self._on_waiting = on_waiting
        self._waits_for_restore: set[str] = set()
        self._wanted: dict[str, Wanted] = {}
        self._created: set[str] = set()
        self._results: dict[str, PodVolumeBackupStatus] = {}

    def want(self, name: str, spec: PodVolumeBackupSpec) -> None:
        """Asks for a capture; it is created when `wait` admits it."""
        self._wanted[name] = Wanted(name=name, spec=spec, backup=self._backup.metadata.uid)

    def release(self, names: Iterable[str]) -> None:
        """Lets captures that were asked for with `hold` run: their pod is frozen."""
        self._patch_specs(names, {"hold": False})

    def cancel(self, names: Iterable[str], reason: Reason) -> None:
        """Ends captures for a reason of the server's."""
        self._patch_specs(names, {"cancel": True, "cancelReason": reason.value})

    def wait(self, stop: StopToken, on_change: OnStatuses) -> dict[str, PodVolumeBackupStatus]:
        """Blocks until every capture has a result; cancels them when stopped for `Canceled`."""
        try:
            return self._wait(stop, on_change)
        finally:
            self._desk.leave(self._backup.metadata.uid)

    def _wait(self, stop: StopToken, on_change: OnStatuses) -> dict[str, PodVolumeBackupStatus]:
        while len(self._results) < len(self._wanted):
            if stop.cancelled:
                return self._stopped(stop)
            version = self._changes.version
            seen = self._seen()
            self._act(self._plan(seen))
            on_change({**{name: obj.status for name, obj in seen.items()}, **self._results})
            if len(self._results) < len(self._wanted):
                self._changes.wait(stop, version, LOOK_AGAIN_SECONDS)
        return dict(self._results)

    def _seen(self) -> dict[str, PodVolumeBackup]:
        """The captures in the cache; one that is not ours meets `_create`, which tells."""
        named = {obj.metadata.name: obj for obj in self._lister.list(self._namespace)}
        found = {name: (named[name], want) for name, want in self._wanted.items() if name in named}
        return {name: obj for name, (obj, want) in found.items() if is_ours(obj, self._backup, want)}

    def _plan(self, seen: Mapping[str, PodVolumeBackup]) -> CapturePlan:
        open_ = [want for name, want in self._wanted.items() if name not in self._results]
        return plan_captures(open_, seen, frozenset(self._created), self._agents.verdict, self._admission)

    def _admission(self, waiting: Sequence[Candidate], running: Sequence[Candidate]) -> frozenset[str]:
        admitted = self._desk.ask(self._backup.metadata.uid, waiting, running)
        for repository in sorted(admitted.restoring - self._waits_for_restore):
            message = f"volumes of repository {repository} are backed up when its restores are done"
            log.info("Volume backups wait", backup=self._backup.metadata.key, repository=repository, message=message)
            self._on_waiting(WAITING_FOR_RESTORE, message)
        self._waits_for_restore |= admitted.restoring
        return admitted.names

    def _act(self, plan: CapturePlan) -> None:
        self._results.update(plan.finished)
        for name, (reason, message) in plan.abandon.items():
            self._abandon(name, reason, message)
        for name in plan.unseen:
            self._look(name)
        for want in plan.create:
            with self._gate.entering(want.spec.repository, anyway=self._has_begun(want)) as allowed:
                if allowed:
                    self._create(want)

    def _has_begun(self, want: Wanted) -> bool:
        """Whether another capture of its group was created, so that its pod may be frozen already."""
        group = want.candidate.group
        return bool(group) and any(
            other.candidate.group == group and (name in self._created or self._lister.get(self._namespace, name))
            for name, other in self._wanted.items()
        )

    def _create(self, want: Wanted) -> None:
        body = capture_object(self._backup, want)
        try:
            self._client.create(POD_VOLUME_BACKUPS, self._namespace, body, PodVolumeBackup)
        except AlreadyExistsError:
            self._adopt(want)
            return
        self._created.add(want.name)
        log.info("Volume backup created", name=want.name, node=want.spec.node, volume=want.spec.volume)

    def _adopt(self, want: Wanted) -> None:
        try:
            existing = self._client.get(POD_VOLUME_BACKUPS, self._namespace, want.name, PodVolumeBackup)
        except NotFoundError:
            return  # gone between the two calls: created in the next round
        if is_ours(existing, self._backup, want):
            self._created.add(want.name)
            return
        self._results[want.name] = failed(
            Reason.INTERNAL, f"PodVolumeBackup {want.name} exists and is not this backup's; delete it and back up again"
        )

    def _look(self, name: str) -> None:
        """Tells an object that the cache has not got yet from one that somebody deleted."""
        try:
            self._client.get(POD_VOLUME_BACKUPS, self._namespace, name, PodVolumeBackup)
        except NotFoundError:
            self._results[name] = failed(Reason.CANCELED, f"PodVolumeBackup {name} was deleted")

    def _abandon(self, name: str, reason: Reason, message: str) -> None:
        obj = self._lister.get(self._namespace, name)
        if obj is None:
            return
        change: JsonObject = {
            "phase": VolumePhase.FAILED.value,
            "reason": reason.value,
            "message": message,
            "completionTimestamp": timestamp(self._clock.now()),
        }
        try:
            patch_status(self._client, POD_VOLUME_BACKUPS, obj, change)
        except (ConflictError, NotFoundError):
            log.debug("Volume backup moved on meanwhile", name=name)

    def _stopped(self, stop: StopToken) -> dict[str, PodVolumeBackupStatus]:
        if stop.reason == Reason.CANCELED:
            self._cancel_created()
        seen = self._seen()
        for name in self._wanted:
            obj = seen.get(name)
            done = obj is not None and obj.status.phase in TERMINAL
            if obj is not None and done:
                self._results[name] = obj.status
            else:
                self._results.setdefault(name, failed(Reason.CANCELED, "the backup was canceled"))
        return dict(self._results)

    def _cancel_created(self) -> None:
        self._patch_specs(set(self._created) | set(self._seen()), {"cancel": True})
        self._await_terminal(CANCEL_WAIT_SECONDS)

    def _patch_specs(self, names: Iterable[str], change: JsonObject) -> None:
        for name in sorted(names):
            try:
                self._client.patch(POD_VOLUME_BACKUPS, self._namespace, name, {"spec": change}, PodVolumeBackup)
            except NotFoundError:
                log.debug("Volume backup was gone", name=name)

    def _await_terminal(self, timeout_seconds: float) -> None:
        deadline = self._clock.monotonic() + timeout_seconds
        never = StopToken()
        while self._clock.monotonic() < deadline:
            version = self._changes.version
            if all(obj.status.phase in TERMINAL for obj in self._seen().values()):
                return
            self._changes.wait(never, version, 1.0)


def is_ours(existing: PodVolumeBackup, backup: Backup, want: Wanted) -> bool:
    """Whether an object of the derived name is this backup's capture of this pod."""
    owners = {owner.uid for owner in existing.metadata.owner_references or ()}
    return (
        backup.metadata.uid in owners
        and existing.spec.pod.uid == want.spec.pod.uid
        and existing.metadata.deletion_timestamp is None
    )


def capture_object(backup: Backup, want: Wanted) -> JsonObject:
    """The PodVolumeBackup to create; owned by its Backup, found by the agent through the node label."""
    labels = {
        BACKUP_NAME_LABEL: label_value(backup.metadata.name),
        BACKUP_UID_LABEL: backup.metadata.uid,
        NODE_LABEL: label_value(want.spec.node),
    }
    if want.spec.source.claim_uid:
        labels[PVC_UID_LABEL] = want.spec.source.claim_uid
    return {
        "apiVersion": API_VERSION,
        "kind": "PodVolumeBackup",
        "metadata": {
            "name": want.name,
            "namespace": backup.metadata.namespace,
            "labels": dict(labels),
            "ownerReferences": [
                {
                    "apiVersion": API_VERSION,
                    "kind": "Backup",
                    "name": backup.metadata.name,
                    "uid": backup.metadata.uid,
                    "controller": True,
                }
            ],
        },
        "spec": to_json(want.spec),
    }
