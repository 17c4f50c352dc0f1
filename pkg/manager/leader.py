"""One leader at a time, by a Lease (client-go tools/leaderelection).

Clocks of others are never trusted: a candidate counts from when it last saw the record change, by its own monotonic
clock and with the duration that the record states. Whoever cannot renew within the deadline stops leading before
the lease can be taken. The identity is the pod's UID, so a restarted container takes its own lease back at once.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from pkg.apis.meta import ApiStruct, JsonObject, Object
from pkg.kube.client import Client
from pkg.kube.clock import Clock
from pkg.kube.errors import AlreadyExistsError, KubeError, NotFoundError
from pkg.kube.refs import LEASES
from pkg.kube.stop import StopToken

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseSettings:
    """Name and times; lease > deadline > retry."""

    namespace: str
    name: str
    identity: str
    lease_seconds: float = 15.0
    renew_seconds: float = 10.0
    retry_seconds: float = 2.0


class LeaseSpec(ApiStruct, frozen=True, kw_only=True):
    """coordination.k8s.io/v1 LeaseSpec."""

    holder_identity: str | None = None
    lease_duration_seconds: int | None = None
    lease_transitions: int | None = None
    acquire_time: str | None = None
    renew_time: str | None = None


class Lease(Object, frozen=True, kw_only=True):
    """coordination.k8s.io/v1 Lease."""

    spec: LeaseSpec = LeaseSpec()


class LeaderElector:
    """Acquires, renews and releases one Lease; `run` blocks."""

    def __init__(self, client: Client, settings: LeaseSettings, clock: Clock) -> None:
        self._client = client
        self._settings = settings
        self._clock = clock
        self._seen: Lease | None = None
        self._seen_at = 0.0
        self._renewed_at: float | None = None

    @property
    def is_leader(self) -> bool:
        """Whether the lease is held and was renewed within its time."""
        renewed = self._renewed_at
        return renewed is not None and self._clock.monotonic() - renewed < self._settings.lease_seconds

    @property
    def leader(self) -> str:
        """The identity last seen in the lease."""
        return (self._seen.spec.holder_identity or "") if self._seen is not None else ""

    def acquire(self, stop: StopToken) -> bool:
        """Blocks until the lease is held; False when stopped first."""
        while not stop.cancelled:
            if self.try_acquire_or_renew():
                log.info("Became leader", identity=self._settings.identity)
                return True
            self._clock.wait(stop, self._settings.retry_seconds * random.uniform(1.0, 2.2))
        return False

    def renew(self, stop: StopToken, on_lost: Callable[[], None]) -> None:
        """Renews until stopped; calls `on_lost` and returns when the deadline passes without a renewal."""
        while not self._clock.wait(stop, self._settings.retry_seconds):
            if self.try_acquire_or_renew():
                continue
            renewed = self._renewed_at
            taken = bool(self.leader) and self.leader != self._settings.identity
            if taken or renewed is None or self._clock.monotonic() - renewed >= self._settings.renew_seconds:
                self._renewed_at = None
                log.error("Lost the lease", leader=self.leader)
                on_lost()
                return

    def release(self) -> None:
        """Gives the lease up, if it is held, so that the next leader need not wait."""
        if not self.is_leader or self._seen is None:
            return
        self._renewed_at = None
        spec: JsonObject = {"holderIdentity": "", "leaseDurationSeconds": 1}
        try:
            self._write(self._seen, spec)
        except KubeError as error:
            log.warning("Lease not released", error=str(error))

    def try_acquire_or_renew(self) -> bool:
        """One attempt; whatever goes wrong is just "not now"."""
        started = self._clock.monotonic()
        try:
            held = self._attempt()
        except KubeError as error:
            log.debug("Lease not renewed", error=str(error))
            return False
        if held:
            self._renewed_at = started
        return held

    def _attempt(self) -> bool:
        settings = self._settings
        try:
            lease = self._client.get(LEASES, settings.namespace, settings.name, Lease)
        except NotFoundError:
            return self._create()
        self._note(lease)
        holder = lease.spec.holder_identity or ""
        if holder not in ("", settings.identity) and not self._has_expired(lease):
            return False
        takes_over = holder != settings.identity
        now = self._clock.now().isoformat(timespec="microseconds").replace("+00:00", "Z")
        spec: JsonObject = {
            "holderIdentity": settings.identity,
            "leaseDurationSeconds": int(settings.lease_seconds),
            "renewTime": now,
        }
        if takes_over:
            spec["acquireTime"] = now
            spec["leaseTransitions"] = (lease.spec.lease_transitions or 0) + 1
        self._note(self._write(lease, spec))
        return True

    def _create(self) -> bool:
        settings = self._settings
        now = self._clock.now().isoformat(timespec="microseconds").replace("+00:00", "Z")
        lease: JsonObject = {
            "metadata": {"name": settings.name, "namespace": settings.namespace},
            "spec": {
                "holderIdentity": settings.identity,
                "leaseDurationSeconds": int(settings.lease_seconds),
                "acquireTime": now,
                "renewTime": now,
                "leaseTransitions": 0,
            },
        }
        try:
            self._note(self._client.create(LEASES, settings.namespace, lease, Lease))
        except AlreadyExistsError:
            return False
        return True

    def _write(self, lease: Lease, spec: JsonObject) -> Lease:
        patch: JsonObject = {"metadata": {"resourceVersion": lease.metadata.resource_version}, "spec": spec}
        return self._client.patch(LEASES, self._settings.namespace, self._settings.name, patch, Lease)

    def _note(self, lease: Lease) -> None:
        if self._seen is None or lease.spec != self._seen.spec:
            self._seen_at = self._clock.monotonic()
        self._seen = lease

    def _has_expired(self, lease: Lease) -> bool:
        duration = lease.spec.lease_duration_seconds or self._settings.lease_seconds
        return self._clock.monotonic() - self._seen_at >= duration
