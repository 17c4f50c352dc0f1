"""Kubernetes Events for people who look with kubectl; recording never blocks and never fails a reconcile.

Equal events of one object are counted on one Event by patch, as client-go's correlator does; when the queue of
what is to be sent is full, events are dropped.
"""

from __future__ import annotations

import queue
import secrets
from dataclasses import dataclass

import structlog
from cachetools import LRUCache

from pkg.apis.meta import JsonObject, Object
from pkg.kube.client import Client
from pkg.kube.clock import Clock
from pkg.kube.errors import KubeError, NotFoundError
from pkg.kube.refs import EVENTS
from pkg.kube.stop import StopToken

QUEUE_LIMIT = 1000
REMEMBERED = 4096
MESSAGE_LIMIT = 1024

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Event:
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
        self._queue: queue.Queue[_Event] = queue.Queue(QUEUE_LIMIT)
        self._sent: LRUCache[_Event, tuple[str, int]] = LRUCache(maxsize=REMEMBERED)
        self.dropped = 0

    def event(
        self, obj: Object, reason: str, message: str, *, kind: str, api_version: str, warning: bool = False
    ) -> None:
        """Says something about an object; dropped when too much is said."""
        meta = obj.metadata
        event = _Event(
            api_version=api_version,
            kind=kind,
            namespace=meta.namespace or "default",
            name=meta.name,
            uid=meta.uid,
            type="Warning" if warning else "Normal",
            reason=reason,
            message=message[:MESSAGE_LIMIT],
        )
        try:
            self._queue.put_nowait(event)
        except queue.Full:
            self.dropped += 1

    def run(self, stop: StopToken) -> None:
        """Sends events until stopped."""
        while not stop.cancelled:
            try:
                event = self._queue.get(timeout=0.5)
            except queue.Empty:
                continue
            try:
                self.send(event)
            except KubeError as error:
                log.debug("Event not recorded", reason=event.reason, object=event.name, error=str(error))

    def send(self, event: _Event) -> None:
        """Creates the Event, or counts it on the one that says the same."""
        now = self._clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
        name, count = self._sent.get(event, ("", 0))
        if name:
            patch: JsonObject = {"count": count + 1, "lastTimestamp": now}
            try:
                self._client.patch_raw(EVENTS, event.namespace, name, patch)
            except NotFoundError:
                name = ""
        if not name:
            name, count = f"{event.name}.{secrets.token_hex(8)}", 0
            self._client.create_raw(EVENTS, event.namespace, self._object(event, name, now))
        self._sent[event] = (name, count + 1)

    def _object(self, event: _Event, name: str, now: str) -> JsonObject:
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": event.namespace},
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
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
