"""An API server in memory: a `Transport` with which unit tests run the real `Client` and the real informers.

It keeps what clients build upon: one resourceVersion that grows with each change, compare-and-set, create conflicts,
the status subresource, finalizers, uid preconditions, selectors, pages, and watches that resume or are told 410.
It does not validate, default, admit or collect garbage. `test/controlplane` runs the same cases against a real one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from pkg.apis.meta import JsonObject
from pkg.kube import refs
from pkg.kube.client import Client
from pkg.kube.clock import REAL_CLOCK, Clock
from pkg.kube.errors import KubeError, TransportError, status_error
from pkg.kube.resources import ResourceRef
from pkg.kube.stop import StopToken
from pkg.kube.wire import JSON_TYPE, REQUEST_SECONDS, ByteStream, Response
from pkg.testing.fakerequests import Request, discovery_answer, parse_request
from pkg.testing.fakestate import FakeState
from pkg.testing.fakewatch import FakeStream, FakeWatch

RESOURCES: tuple[ResourceRef, ...] = tuple(value for value in vars(refs).values() if isinstance(value, ResourceRef))


@dataclass(frozen=True, slots=True)
class _Fault:
    matches: Callable[[Request], bool]
    error: KubeError


class FakeApi:
    """The server; hand it to `Client` as its transport, or take `client`.

    Attributes:
        requests: Everything that was asked for, in order; streams too.
        state: The objects, for tests that look behind the API.
        streams_lists: Whether it serves lists as the beginning of a watch; False answers 422.
    """

    def __init__(self, resources: Iterable[ResourceRef] = RESOURCES, *, clock: Clock = REAL_CLOCK) -> None:
        self.resources = tuple(resources)
        self.requests: list[Request] = []
        self.streams_lists = True
        self.client = Client(self)
        self._lock = threading.RLock()
        self._watches: list[FakeWatch] = []
        self._faults: list[_Fault] = []
        self.state = FakeState(clock, self._publish)

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        content_type: str = JSON_TYPE,
        accept: str = JSON_TYPE,
        timeout_seconds: float = REQUEST_SECONDS,
    ) -> Response:
        """Answers a request as `Transport.request` does."""
        with self._lock:
            if method == "GET" and (found := discovery_answer(path, self.resources)) is not None:
                return Response(status=200, headers={}, body=found)
            asked = parse_request(method, path, self.resources, query or {}, body, content_type)
            self._take(asked)
            return Response(status=200, headers={}, body=self.state.answer(asked))

    def until(self, stop: StopToken) -> FakeApi:
        """Itself: it never lets a request wait."""
        return self

    def open_stream(
        self,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        read_timeout_seconds: float,
        accept: str = JSON_TYPE,
    ) -> ByteStream:
        """Opens a watch; raises ExpiredError when its resourceVersion was forgotten."""
        with self._lock:
            asked = parse_request("WATCH", path, self.resources, query or {}, None, JSON_TYPE)
            self._take(asked)
            since = int(asked.query.get("resourceVersion") or 0)
            if since and since < self.state.forgotten:
                raise status_error(f"too old resource version: {since}", code=410, reason="Expired")
            watch = FakeWatch(asked.ref, asked.namespace, asked.query, self._forget)
            if "sendInitialEvents" in asked.query:
                self._send_initial(watch)
            else:
                self._send_history(watch, since)
            self._watches.append(watch)
            return watch

    def add(self, ref: ResourceRef, obj: JsonObject) -> JsonObject:
        """Puts an object in as it is, status included, as if it had been there; returns what is stored."""
        with self._lock:
            return self.state.add(ref, obj)

    def get(self, ref: ResourceRef, namespace: str, name: str) -> JsonObject | None:
        """The stored object, or None; not counted as a request."""
        with self._lock:
            return self.state.get(ref, namespace, name)

    def list(self, ref: ResourceRef, namespace: str = "") -> list[JsonObject]:
        """The stored objects; not counted as a request."""
        with self._lock:
            return self.state.list(ref, namespace, {})

    def remove(self, ref: ResourceRef, namespace: str, name: str) -> None:
        """Deletes an object whatever its finalizers."""
        with self._lock:
            self.state.remove(ref, namespace, name)

    def fail_next(self, error: KubeError, *, method: str = "", ref: ResourceRef | None = None, name: str = "") -> None:
        """Lets the next request that fits fail; method is the HTTP method, or WATCH."""

        def fits(asked: Request) -> bool:
            return method in ("", asked.method) and ref in (None, asked.ref) and name in ("", asked.name)

        with self._lock:
            self._faults.append(_Fault(fits, error))

    def count(self, method: str = "", ref: ResourceRef | None = None) -> int:
        """How many requests of this kind came."""
        with self._lock:
            return sum(method in ("", asked.method) and ref in (None, asked.ref) for asked in self.requests)

    def forget_history(self) -> None:
        """Makes each resourceVersion before now too old for a watch, as etcd's compaction does."""
        with self._lock:
            self.state.forget_history()

    def end_watches(self, error: TransportError | None = None) -> None:
        """Ends all open watches, cleanly or with an error."""
        with self._lock:
            watches, self._watches = self._watches, []
        for watch in watches:
            watch.end(error)

    @property
    def watches(self) -> tuple[FakeWatch, ...]:
        """The open watches; a test may put bytes, bookmarks and errors into them."""
        with self._lock:
            return tuple(self._watches)

    def _send_history(self, watch: FakeWatch, since: int) -> None:
        for change in self.state.changes:
            if change.resource_version > since:
                watch.follow(change)

    def _send_initial(self, watch: FakeWatch) -> None:
        if not self.streams_lists:
            raise status_error("sendInitialEvents: Forbidden: the gate WatchList is off", code=422, reason="Invalid")
        for obj in self.state.list(watch.ref, watch.namespace, watch.query):
            watch.event("ADDED", obj)
        watch.bookmark(self.state.version, initial_end=True)

    def _take(self, asked: Request) -> None:
        self.requests.append(asked)
        for fault in self._faults:
            if fault.matches(asked):
                self._faults.remove(fault)
                raise fault.error

    def _publish(self) -> None:
        for watch in self._watches:
            watch.follow(self.state.changes[-1])

    def _forget(self, stream: FakeStream) -> None:
        with self._lock:
            self._watches = [watch for watch in self._watches if watch is not stream]
