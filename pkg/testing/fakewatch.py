"""The watch half of the fake API server: a history of changes, and streams that replay and follow it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec

from pkg.apis.meta import JsonObject
from pkg.kube.errors import TransportError
from pkg.kube.resources import ResourceRef
from pkg.testing.fakeobjects import metadata_of, selected


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change of one object; None before a create and after a delete."""

    ref: ResourceRef
    resource_version: int
    before: JsonObject | None
    after: JsonObject | None


class FakeStream:
    """A `ByteStream` whose bytes the test or the fake server puts in."""

    def __init__(self, on_close: Callable[[FakeStream], None] = lambda stream: None) -> None:
        self._changed = threading.Condition()
        self._chunks: deque[bytes] = deque()
        self._error: TransportError | None = None
        self._ended = False
        self._on_close = on_close

    def read(self, max_bytes: int) -> bytes:
        """The next bytes; blocks until there are some, or the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._chunks or self._ended)
            if self._chunks:
                chunk = self._chunks.popleft()
                if len(chunk) > max_bytes:
                    self._chunks.appendleft(chunk[max_bytes:])
                return chunk[:max_bytes]
            if self._error is not None:
                raise self._error
            return b""

    def put(self, data: bytes) -> None:
        """Sends bytes to the reader."""
        with self._changed:
            self._chunks.append(data)
            self._changed.notify_all()

    def event(self, event_type: str, obj: JsonObject) -> None:
        """Sends one watch event."""
        self.put(msgspec.json.encode({"type": event_type, "object": obj}) + b"\n")

    def end(self, error: TransportError | None = None) -> None:
        """Ends the stream after what was put: cleanly, or with an error."""
        with self._changed:
            self._error = error
            self._ended = True
            self._changed.notify_all()

    def allow_silence(self, seconds: float) -> None:
        """Nothing: it takes any silence."""

    def shutdown(self) -> None:
        """Ends the stream at once."""
        with self._changed:
            self._chunks.clear()
            self._ended = True
            self._changed.notify_all()

    def close(self) -> None:
        """Ends the stream for the server too."""
        self.shutdown()
        self._on_close(self)


class FakeWatch(FakeStream):
    """A stream that follows one resource in one namespace (empty: all) with selectors."""

    def __init__(
        self,
        ref: ResourceRef,
        namespace: str,
        query: Mapping[str, str],
        on_close: Callable[[FakeStream], None] = lambda stream: None,
    ) -> None:
        super().__init__(on_close)
        self.ref = ref
        self.namespace = namespace
        self.query = dict(query)

    def follow(self, change: Change) -> None:
        """Sends the event that this change is to this watcher, if it is one."""
        if change.ref != self.ref:
            return
        before, after = self._seen(change.before), self._seen(change.after)
        if after:
            self.event("MODIFIED" if before else "ADDED", after)
        elif before:
            metadata = {**metadata_of(before), "resourceVersion": str(change.resource_version)}
            self.event("DELETED", {**before, "metadata": metadata})

    def bookmark(self, resource_version: int, *, initial_end: bool = False) -> None:
        """Sends a bookmark; `initial_end` says that all that was there has been sent."""
        meta: JsonObject = {"resourceVersion": str(resource_version), "creationTimestamp": None}
        meta |= {"annotations": {"k8s.io/initial-events-end": "true"}} if initial_end else {}
        self.event("BOOKMARK", {"apiVersion": self.ref.api_version, "kind": self.ref.kind, "metadata": meta})

    def _seen(self, obj: JsonObject | None) -> JsonObject | None:
        if obj is None or (self.namespace and metadata_of(obj).get("namespace") != self.namespace):
            return None
        return obj if selected(obj, self.query) else None
