"""One leader at a time, by a Lease (client-go tools/leaderelection).

Clocks of others are never trusted: a candidate counts from when it last saw the record change, by its own monotonic
clock and with the duration that the record states. Whoever cannot renew within the deadline stops leading before
the lease can be taken. The identity is the pod's UID, so a restarted container takes its own lease back at once.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from prometheus_client import CollectorRegistry, Gauge

from pkg.apis.meta import ApiStruct, JsonObject, Object
from pkg.kube.client import Client
from pkg.kube.clock import Clock
from pkg.kube.errors import AlreadyExistsError, ConflictError, KubeError, NotFoundError
from pkg.kube.refs import LEASES
from pkg.kube.stop import StopToken

RELEASE_ATTEMPTS = 3

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseSettings:
    """Name and times; lease > renew deadline > retry. A call takes at most `call_seconds`."""

    namespace: str
    name: str
    identity: str
    lease_seconds: float = 15.0
    renew_seconds: float = 10.0
    retry_seconds: float = 2.0
    call_seconds: float = 5.0


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
    """Acquires, renews and releases one Lease.

    Args:
        client: Best with a connection of its own, so that nobody else's trouble delays a renewal.
        registry: Gets `leader_election_master_status`.
    """

    def __init__(
        self, client: Client, settings: LeaseSettings, clock: Clock, registry: CollectorRegistry | None = None
    ) -> None:
        self._client = Client(client.transport, timeout_seconds=settings.call_seconds)
        self._settings = settings
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: Lease | None = None
        self._seen_at = 0.0
        self._renewed_at: float | None = None
        self._lost = False
        if registry is not None:
            status = Gauge("leader_election_master_status", "1 for the leader.", ["name"], registry=registry)
            status.labels(settings.name).set_function(lambda: float(self.is_leader))

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
        announced = ""
        while not stop.cancelled:
            if self.try_acquire_or_renew():
                log.info("Became leader", identity=self._settings.identity)
                return True
            if self.leader != announced:
                announced = self.leader
                log.info("Waiting for the lease", leader=announced)
            self._clock.wait(stop, self._settings.retry_seconds * random.uniform(1.0, 2.2))
        return False

    def renew(self, stop: StopToken, on_lost: Callable[[], None]) -> None:
        """Renews until stopped; `on_lost` is called once when the lease is lost.

        The deadline is watched by a second thread: it counts also while a request hangs.
        """
        ended = stop.child()
        watchdog = threading.Thread(target=self._watch, args=(ended, on_lost), name="lease-deadline", daemon=True)
        watchdog.start()
        while not self._clock.wait(ended, self._settings.retry_seconds):
            if self.try_acquire_or_renew():
                continue
            if self.leader not in ("", self._settings.identity):
                self._lose(ended, on_lost)
        ended.cancel("no longer renewing")
        ended.detach()
        watchdog.join()

    def _watch(self, ended: StopToken, on_lost: Callable[[], None]) -> None:
        while not ended.cancelled:
            remaining = (self._renewed_at or 0.0) + self._settings.renew_seconds - self._clock.monotonic()
            if remaining <= 0:
                self._lose(ended, on_lost)
            self._clock.wait(ended, remaining)

    def _lose(self, ended: StopToken, on_lost: Callable[[], None]) -> None:
        with self._lock:
            if self._lost or ended.cancelled:
                return
            self._lost = True
            self._renewed_at = None
        ended.cancel("lost the lease")
        log.error("Lost the lease", leader=self.leader)
        on_lost()

    def release(self) -> None:
        """Gives the lease up, if it is held, so that the next leader need not wait; only when `renew` has returned."""
        if not self.is_leader:
            return
        self._renewed_at = None
        spec: JsonObject = {"holderIdentity": "", "leaseDurationSeconds": 1}
        for _ in range(RELEASE_ATTEMPTS):
            try:
                lease = self._client.get(LEASES, self._settings.namespace, self._settings.name, Lease)
                if lease.spec.holder_identity == self._settings.identity:
                    self._write(lease, spec)
                    log.info("Released the lease")
                return
            except ConflictError:
                continue
            except KubeError as error:
                log.warning("Lease not released", error=str(error))
                return

    def try_acquire_or_renew(self) -> bool:
        """One attempt; whatever goes wrong is just "not now"."""
        started = self._clock.monotonic()  # before the request: others count from when they see it, which is later
        try:
            held = self._attempt()
        except KubeError as error:
            log.debug("Lease not renewed", error=str(error))
            return False
        with self._lock:
            if not held or self._lost:
                return False
            self._renewed_at = started
            return True

    def _attempt(self) -> bool:
        seen = self._seen
        if seen is not None and self.is_leader and self.leader == self._settings.identity:
            try:
                self._note(self._write(seen, self._renewal()))
                return True
            except (ConflictError, NotFoundError):
                log.debug("Lease has changed")
        return self._read_and_decide()

    def _read_and_decide(self) -> bool:
        settings = self._settings
        try:
            lease = self._client.get(LEASES, settings.namespace, settings.name, Lease)
        except NotFoundError:
            return self._create()
        self._note(lease)
        holder = lease.spec.holder_identity or ""
        if holder not in ("", settings.identity) and not self._has_expired(lease):
            return False
        spec = self._renewal()
        if holder != settings.identity:
            spec["acquireTime"] = spec["renewTime"]
            spec["leaseTransitions"] = (lease.spec.lease_transitions or 0) + 1
        self._note(self._write(lease, spec))
        return True

    def _renewal(self) -> JsonObject:
        return {
            "holderIdentity": self._settings.identity,
            "leaseDurationSeconds": int(self._settings.lease_seconds),
            "renewTime": self._clock.now().isoformat(timespec="microseconds").replace("+00:00", "Z"),
        }

    def _create(self) -> bool:
        settings, spec = self._settings, self._renewal()
        lease: JsonObject = {
            "metadata": {"name": settings.name, "namespace": settings.namespace},
            "spec": {**spec, "acquireTime": spec["renewTime"], "leaseTransitions": 0},
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
