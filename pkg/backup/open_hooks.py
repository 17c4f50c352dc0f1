"""`status.openHooks` of a Backup: the pods that may be frozen now, written down before anything freezes them.

A server that dies between a pod's hooks cannot run the second one; the next server reads here that it must, and does
it before anything else. Every write is a compare-and-set under the claim of this run.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import msgspec

from pkg.apis.ark import Backup, BackupStatus, OpenHook
from pkg.apis.meta import JsonObject
from pkg.backup.errors import BackupGoneError, ClaimLostError
from pkg.backup.hooks import HookedPod
from pkg.kube.backoff import retry_on_conflict, retry_transient
from pkg.kube.client import Client
from pkg.kube.clock import Clock
from pkg.kube.errors import NotFoundError
from pkg.kube.refs import BACKUPS
from pkg.kube.stop import StopToken

CONFLICTS = 12

_Change = Callable[[BackupStatus], BackupStatus]


class OpenHooks:
    """The list of one run; may be used by several threads."""

    def __init__(self, client: Client, backup: Backup, clock: Clock) -> None:
        self._client = client
        self._backup = backup
        self._clock = clock

    def add(self, pod: HookedPod, stop: StopToken) -> None:
        """Writes down that a pod is about to be frozen.

        Raises:
            BackupGoneError: the Backup is gone.
            ClaimLostError: another server works on it.
            KubeError: it cannot be written; nothing may be frozen.
        """
        now = self._clock.now().replace(microsecond=0)
        one = OpenHook(namespace=pod.namespace, pod=pod.name, pod_uid=pod.uid, since=now)

        def added(status: BackupStatus) -> BackupStatus:
            others = tuple(hook for hook in status.open_hooks or () if hook.pod_uid != pod.uid)
            return msgspec.structs.replace(status, open_hooks=(*others, one))

        try:
            self._change(added, stop)
        except NotFoundError as error:
            raise BackupGoneError("the Backup was deleted") from error

    def remove(self, pod_uid: str, frozen_seconds: float) -> None:
        """Writes down that a pod is thawed, and how long it was not; a Backup that is gone needs no record."""

        def removed(status: BackupStatus) -> BackupStatus:
            others = tuple(hook for hook in status.open_hooks or () if hook.pod_uid != pod_uid)
            longest = max(status.frozen_seconds, math.ceil(frozen_seconds))
            return msgspec.structs.replace(status, open_hooks=others or None, frozen_seconds=longest)

        try:
            self._change(removed, StopToken())
        except NotFoundError:
            return

    def _change(self, change: _Change, stop: StopToken) -> None:
        def once() -> None:
            retry_on_conflict(lambda: self._write(change), stop=stop, attempts=CONFLICTS, clock=self._clock)

        retry_transient(once, stop=stop, clock=self._clock)

    def _write(self, change: _Change) -> None:
        own = self._backup
        live = self._client.get(BACKUPS, own.metadata.namespace, own.metadata.name, Backup)
        if live.metadata.uid != own.metadata.uid or live.status.claim != own.status.claim:
            raise ClaimLostError("the Backup is another process's now")
        changed = change(live.status)
        patch: JsonObject = {
            "metadata": {"uid": live.metadata.uid, "resourceVersion": live.metadata.resource_version},
            "status": {
                "openHooks": msgspec.to_builtins(changed.open_hooks),
                "frozenSeconds": changed.frozen_seconds,
            },
        }
        self._client.patch(BACKUPS, own.metadata.namespace, own.metadata.name, patch, Backup, subresource="status")
