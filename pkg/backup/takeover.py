"""What a new server does first: it thaws the pods that a server before it may have left frozen.

Only then comes anything else. Captures that were under way are given up, for they would have read on after the thaw,
and so are those of the same pod that had ended: the volumes of a pod are captured in one freeze or in another.
Nothing of what they had uploaded is sent again.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import structlog.typing

from pkg.apis.ark import Backup, OpenHook
from pkg.apis.meta import JsonObject
from pkg.apis.names import BACKUP_UID_LABEL
from pkg.apis.reasons import Reason
from pkg.apis.volumes import PodVolumeBackup
from pkg.backup.hook_runner import Execute, HookRunner
from pkg.backup.hooks import HookedPod
from pkg.backup.open_hooks import OpenHooks
from pkg.backup.podvolumes import FINISHED
from pkg.kube.backoff import retry_transient
from pkg.kube.client import Client
from pkg.kube.clock import Clock
from pkg.kube.errors import NotFoundError
from pkg.kube.refs import POD_VOLUME_BACKUPS
from pkg.kube.stop import StopToken

THREADS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Thawed:
    """What the thaw came to.

    Attributes:
        errors: Post hooks that failed, one sentence each.
        frozen_seconds: The longest time that a pod stood still.
    """

    errors: tuple[str, ...] = ()
    warnings: int = 0
    frozen_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Takeover:
    """One Backup, as this process has just claimed it."""

    backup: Backup
    client: Client
    execute: Execute
    clock: Clock
    log: structlog.typing.FilteringBoundLogger

    def thaw(self) -> Thawed:
        """Runs the post hooks that are missing; blocks until they ended, whatever stops meanwhile.

        Raises:
            KubeError: the API server does not answer; what is open stays written down.
            BackupError: the Backup is another process's now.
        """
        left = self.backup.status.open_hooks or ()
        if not left:
            return Thawed()
        with ThreadPoolExecutor(THREADS, thread_name_prefix="backup-thaw") as pool:
            done = list(pool.map(self._thaw, left))
        return Thawed(
            errors=tuple(error for one in done for error in one.errors),
            warnings=sum(one.warnings for one in done),
            frozen_seconds=max(one.frozen_seconds for one in done),
        )

    def _thaw(self, hook: OpenHook) -> Thawed:
        pod = HookedPod(namespace=hook.namespace, name=hook.pod, uid=hook.pod_uid)
        self.log.warning("Pod was left between its hooks, its post hook is run now", pod=pod.key, since=hook.since)
        captures = self._captures(pod)
        runner = HookRunner(self.client, self.execute, self.backup.spec.hooks, clock=self.clock, log=self.log)
        report = runner.post(pod)
        seconds = self._seconds_since(hook.since)
        if _were_under_way(captures):
            self._give_up(captures)
        OpenHooks(self.client, self.backup, self.clock).remove(pod.uid, seconds)
        return Thawed(errors=report.errors, warnings=report.warnings, frozen_seconds=seconds)

    def _captures(self, pod: HookedPod) -> Sequence[PodVolumeBackup]:
        own = self.backup.metadata
        found = retry_transient(
            lambda: self.client.list(
                POD_VOLUME_BACKUPS, own.namespace, PodVolumeBackup, label_selector=f"{BACKUP_UID_LABEL}={own.uid}"
            ),
            stop=StopToken(),
            clock=self.clock,
        )
        return [one for one in found if one.spec.pod.uid == pod.uid]

    def _give_up(self, captures: Sequence[PodVolumeBackup]) -> None:
        patch: JsonObject = {"spec": {"cancel": True, "cancelReason": Reason.THAWED.value}}
        for one in captures:
            try:
                self.client.patch(POD_VOLUME_BACKUPS, one.metadata.namespace, one.metadata.name, patch, PodVolumeBackup)
            except NotFoundError:
                self.log.info("Volume backup was gone", name=one.metadata.name)

    def _seconds_since(self, moment: datetime.datetime | None) -> float:
        return max(0.0, (self.clock.now() - moment).total_seconds()) if moment else 0.0


def _were_under_way(captures: Sequence[PodVolumeBackup]) -> bool:
    """Whether one of them may have read while the pod was thawed; one that is held reads nothing."""
    return any(one.status.phase not in FINISHED and not one.spec.hold for one in captures)
