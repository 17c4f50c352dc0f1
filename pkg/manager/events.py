"""Kubernetes Events for people who look with kubectl; recording never blocks and never fails a reconcile.

As client-go's recorder: equal events of one object are counted on one Event by patch, an object that says too much
is silenced, and when the queue of what is to be sent is full, events are dropped.
"""

from __future__ import annotations

import secrets
import threading
from collections import deque
from dataclasses import dataclass

import structlog
from cachetools import LRUCache

from pkg.apis.meta import JsonObject, Object
from pkg.kube import refs
from pkg.kube.backoff import retry_transient
from pkg.kube.client import Client
from pkg.kube.clock import Clock
from pkg.kube.errors import KubeError, NotFoundError, TransportError
from pkg.kube.refs import EVENTS
from pkg.kube.resources import ResourceRef
from pkg.kube.stop import StopToken

QUEUE_LIMIT = 1000
REMEMBERED = 4096
MESSAGE_LIMIT = 1024
BURST = 25
REFILL_SECONDS = 300.0
SEND_ATTEMPTS = 4
FLUSH_LIMIT = 100
API_VERSIONS = {ref.kind: ref.api_version for ref in vars(refs).values() if isinstance(ref, ResourceRef)}

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What is said about which object."""

    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str
    type: str
    reason: str
    message: str


class EventRecorder:
    """Records events about objects; `run` sends them."""

    def __init__(self, client: Client, component: str, clock: Clock) -> None:
        self._client = client
        self._component = component
        self._clock = clock
        self._filled = threading.Condition()
        self._queue: deque[Event] = deque()
        self._sent: LRUCache[Event, tuple[str, int]] = LRUCache(maxsize=REMEMBERED)
        self._tokens: LRUCache[str, tuple[float, float]] = LRUCache(maxsize=REMEMBERED)
        self.dropped = 0

    def event(
        self,
        obj: Object,
        reason: str,
        message: str,
        *,
        kind: str = "",
        api_version: str = "",
        warning: bool = False,
    ) -> None:
        """Says something about an object; dropped when too much is said.

        Objects of a list carry no kind; then the struct's name says it.
        """
        meta = obj.metadata
        kind = kind or obj.kind or type(obj).__name__
        event = Event(
            api_version=api_version or obj.api_version or API_VERSIONS.get(kind, "v1"),
            kind=kind,
            namespace=meta.namespace,
            name=meta.name,
            uid=meta.uid,
            type="Warning" if warning else "Normal",
            reason=reason,
            message=message[:MESSAGE_LIMIT],
        )
        with self._filled:
            if len(self._queue) >= QUEUE_LIMIT:
                self.dropped += 1
                return
            self._queue.append(event)
            self._filled.notify()

    def run(self, stop: StopToken) -> None:
        """Sends events until stopped, and then what is queued, each with one try and only while the server answers."""
        unregister = stop.on_cancel(self._wake)
        while (event := self._next(stop)) is not None:
            self._deliver(event, stop)
        unregister()
        for _ in range(FLUSH_LIMIT):
            with self._filled:
                if not self._queue:
                    return
                event = self._queue.popleft()
            if not self._deliver(event, stop):
                return

    def send(self, event: Event) -> None:
        """Creates the Event, or counts it on the one that says the same."""
        now = self._clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
        namespace = event.namespace or "default"
        name, count = self._sent.get(event, ("", 0))
        if name:
            patch: JsonObject = {"count": count + 1, "lastTimestamp": now}
            try:
                self._client.patch_raw(EVENTS, namespace, name, patch)
            except NotFoundError:
                name = ""
        if not name:
            name, count = f"{event.name[:200]}.{secrets.token_hex(8)}", 0
            self._client.create_raw(EVENTS, namespace, self._object(event, namespace, name, now))
        self._sent[event] = (name, count + 1)

    def _next(self, stop: StopToken) -> Event | None:
        with self._filled:
            self._filled.wait_for(lambda: self._queue or stop.cancelled)
            return None if stop.cancelled else self._queue.popleft()

    def _wake(self) -> None:
        with self._filled:
            self._filled.notify_all()

    def _deliver(self, event: Event, stop: StopToken) -> bool:
        if not self._may_speak(event):
            self.dropped += 1
            return True
        try:
            retry_transient(lambda: self.send(event), stop=stop, attempts=SEND_ATTEMPTS, clock=self._clock)
        except KubeError as error:
            log.debug("Event not recorded", reason=event.reason, object=event.name, error=str(error))
            return not isinstance(error, TransportError)
        return True

    def _may_speak(self, event: Event) -> bool:
        """A bucket of tokens for each object: 25 at first, one more every five minutes."""
        now = self._clock.monotonic()
        who = event.uid or f"{event.kind}/{event.namespace}/{event.name}"
        tokens, since = self._tokens.get(who, (float(BURST), now))
        tokens = min(BURST, tokens + (now - since) / REFILL_SECONDS)
        allowed = tokens >= 1
        self._tokens[who] = (tokens - 1 if allowed else tokens, now)
        return allowed

    def _object(self, event: Event, namespace: str, name: str, now: str) -> JsonObject:
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": namespace},
            "involvedObject": {
                "apiVersion": event.api_version,
                "kind": event.kind,
                "namespace": event.namespace,
                "name": event.name,
                "uid": event.uid,
            },
            "type": event.type,
            "reason": event.reason,
            "message": event.message,
            "source": {"component": self._component},
            "reportingComponent": self._component,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
