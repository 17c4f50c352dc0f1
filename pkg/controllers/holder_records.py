"""Writes down who we are in a repository's status, before restic takes its first lock there.

Once in the life of a process and for each repository, by server-side apply of one key that nobody else writes. Where
that cannot be written restic is not started: a lock that nobody can claim is a lock that nobody can remove.
"""

from __future__ import annotations

import datetime
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

import structlog

from pkg.apis.holders import LockHolder
from pkg.apis.meta import JsonObject
from pkg.apis.reasons import Reason
from pkg.apis.volumes import ResticRepository
from pkg.kube.backoff import retry_transient
from pkg.kube.client import Client
from pkg.kube.clock import Clock
from pkg.kube.errors import KubeError
from pkg.kube.refs import RESTIC_REPOSITORIES
from pkg.kube.stop import StopToken
from pkg.restic.errors import ResticFailedError

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who this process is.

    Attributes:
        host: What restic writes into its locks.
        started_at: Before any of its children began.
    """

    pod: str
    pod_uid: str
    node: str
    host: str
    started_at: datetime.datetime

    def holder(self) -> LockHolder:
        """The record of it."""
        return LockHolder(pod=self.pod, node=self.node, host=self.host, started_at=self.started_at)


def own_identity(environ: Mapping[str, str], *, pod_uid: str, clock: Clock) -> Identity:
    """The identity of this process, asked when it starts.

    Only the manifests tell a pod's name: one that was guessed could make a shared host look like a pod's own.
    """
    return Identity(
        pod=environ.get("POD_NAME", ""),
        pod_uid=pod_uid,
        node=environ.get("NODE_NAME", ""),
        host=os.uname().nodename,
        started_at=clock.now(),
    )


@dataclass(slots=True, kw_only=True)
class HolderRecords:
    """Records this process with repositories."""

    client: Client
    clock: Clock
    identity: Identity
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)
    _recorded: set[str] = field(default_factory=set, init=False)

    def is_recorded(self, repository: ResticRepository) -> bool:
        """Whether this process has written itself down with that very object."""
        with self._lock:
            return repository.metadata.uid in self._recorded

    def record(self, repository: ResticRepository, stop: StopToken) -> None:
        """Makes sure that the record is there.

        Raises:
            ResticFailedError: it cannot be written.
        """
        if self.is_recorded(repository):
            return
        try:
            retry_transient(lambda: self._apply(repository), stop=stop, clock=self.clock)
        except KubeError as error:
            raise ResticFailedError(
                verb="lock",
                repository=repository.spec.restic_identifier,
                exit_code=0,
                reason=Reason.INTERNAL,
                message=f"not begun, because status.holders cannot be written: {error}",
            ) from error
        with self._lock:
            self._recorded.add(repository.metadata.uid)
        log.debug("Recorded as a holder of locks", repository=repository.metadata.key)

    def _apply(self, repository: ResticRepository) -> None:
        identity, meta = self.identity, repository.metadata
        entry: JsonObject = {
            "pod": identity.pod,
            "node": identity.node,
            "host": identity.host,
            "startedAt": identity.started_at.isoformat().replace("+00:00", "Z"),
        }
        body: JsonObject = {"metadata": {"uid": meta.uid}, "status": {"holders": {identity.pod_uid: entry}}}
        manager = f"ark-holder-{identity.pod_uid}"
        self.client.apply(
            RESTIC_REPOSITORIES, meta.namespace, meta.name, body, field_manager=manager, subresource="status"
        )
