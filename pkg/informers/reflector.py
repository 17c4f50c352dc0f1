"""Mirrors one selection of the API into a sink: list, then watch, for ever.

A session is one list and the watches that follow it. A watch that ends goes on from the last version it saw
without listing; what may have lost an event ends the session, and the next one lists again after a backoff.

| how a watch ends | what happens |
| --- | --- |
| closed cleanly, cut, silent beyond its time | watch again at once |
| within a second and without any event | backoff, list |
| ERROR 429, or opening refused, throttled or unanswered | backoff (or Retry-After), watch again |
| 410, garbage, any other error | backoff, list |

Upstream: kubernetes/client-go tools/cache/reflector.go.
"""

from __future__ import annotations

import random as random_module
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, Generic, Protocol, TypeVar

import structlog

from pkg.apis.meta import Object
from pkg.informers.decode import Bookmark, Decoder, ErrorEvent, ObjectEvent, Undecodable
from pkg.informers.linesplit import LineSplitter
from pkg.informers.listing import Listing, Selection
from pkg.kube.backoff import Backoff, delay_after
from pkg.kube.client import Client
from pkg.kube.clock import REAL_CLOCK, Clock
from pkg.kube.errors import ApiStatusError, DecodeError, ExpiredError, KubeError, ThrottledError, TransportError
from pkg.kube.stop import StopToken
from pkg.kube.wire import ByteStream

log = structlog.get_logger()

T = TypeVar("T", bound=Object)

MINIMUM_WATCH_SECONDS: Final = 300
SHORT_WATCH_SECONDS: Final = 1.0
READ_BYTES: Final = 256 * 1024


class Sink(Protocol[T]):
    """Where the reflector puts what it sees; called from its thread only."""

    def replace(self, items: Sequence[T | Undecodable]) -> None:
        """Takes a whole list in the place of everything before it."""
        ...

    def apply(self, event: ObjectEvent[T]) -> None:
        """Takes one change."""
        ...


class WatchTooShortError(KubeError):
    """The server closed a watch at once and without an event, which would go on for ever."""


class _Next(Enum):
    WATCH_NOW = 1
    WATCH_LATER = 2


@dataclass(slots=True)
class _Progress:
    """Whether the current watch has brought anything yet."""

    events: int = 0


class Reflector(Generic[T]):
    """Runs in the thread that calls `run`.

    Attributes:
        last_version: The newest resourceVersion that was seen; empty before the first list.
        lists: How many lists succeeded.
        watches: How many watches were opened.
    """

    def __init__(
        self,
        client: Client,
        selection: Selection,
        decoder: Decoder[T],
        sink: Sink[T],
        *,
        clock: Clock = REAL_CLOCK,
        random: Callable[[], float] = random_module.random,
    ) -> None:
        self._client = client
        self._selection = selection
        self._decoder = decoder
        self._sink = sink
        self._clock = clock
        self._random = random
        self._listing = Listing(client, selection)
        self._backoff = Backoff(clock=clock, random=random)
        self._log = log.bind(informer=str(selection))
        self._delay = 0.0
        self.last_version = ""
        self.lists = 0
        self.watches = 0

    def run(self, stop: StopToken) -> None:
        """Mirrors until the token is cancelled."""
        while not stop.cancelled:
            delay = 0.0
            try:
                self._session(stop)
            except ExpiredError as error:
                self._log.info("Watch expired", error=str(error))
            except KubeError as error:
                if stop.cancelled:
                    return
                delay = _asked_by(error)
                self._log.warning("Watch failed", kind=type(error).__name__, error=str(error))
            except Exception:  # a defect of ours, in a transform or an index: the cache must not silently grow old
                self._log.exception("Watch failed by a defect")
            self._clock.wait(stop, max(delay, self._backoff.next()))

    def _session(self, stop: StopToken) -> None:
        self._list()
        while not stop.cancelled:
            if self._watch(stop) is _Next.WATCH_LATER and self._clock.wait(stop, self._delay):
                return

    def _list(self) -> None:
        items: list[T | Undecodable] = []
        version = ""
        try:
            for page in self._listing.pages(self.last_version):
                items += [self._decoder.item(raw) for raw in page.items]
                version = page.resource_version
        except ExpiredError:
            if not items:
                raise
            whole = self._listing.whole()
            items = [self._decoder.item(raw) for raw in whole.items]
            version = whole.resource_version
        if not version:
            raise DecodeError("a list without a resourceVersion, from which no watch can start")
        self._sink.replace(items)
        self.last_version = version
        self.lists += 1

    def _watch(self, stop: StopToken) -> _Next:
        started = self._clock.monotonic()
        try:
            stream = self._open()
        except (ThrottledError, TransportError) as error:
            return self._later(error)
        self.watches += 1
        progress = _Progress()
        unregister = stop.on_cancel(stream.shutdown)
        try:
            self._read(stream, progress, stop)
        except ThrottledError as error:
            return self._later(error)
        except TransportError as error:
            self._log.info("Watch broke", error=str(error))
        finally:
            unregister()
            stream.close()
        if not stop.cancelled and not progress.events and self._clock.monotonic() - started < SHORT_WATCH_SECONDS:
            raise WatchTooShortError("the watch was closed within a second and without an event")
        return _Next.WATCH_NOW

    def _open(self) -> ByteStream:
        selection = self._selection
        return self._client.watch(
            selection.ref,
            selection.namespace,
            resource_version=self.last_version,
            timeout_seconds=int(MINIMUM_WATCH_SECONDS * (1.0 + self._random())),
            label_selector=selection.label_selector,
            field_selector=selection.field_selector,
        )

    def _read(self, stream: ByteStream, progress: _Progress, stop: StopToken) -> None:
        """Reads to the end; what is left of a line that was cut is dropped, the next watch brings it again."""
        lines = LineSplitter()
        while chunk := stream.read(READ_BYTES):
            for line in lines.feed(chunk):
                if stop.cancelled:
                    return
                self._event(line)
                progress.events += 1

    def _event(self, line: bytes) -> None:
        match self._decoder.event(line):
            case ErrorEvent(error=error):
                raise error
            case Bookmark(resource_version=version):
                self.last_version = version or self.last_version
            case ObjectEvent() as event:
                self._sink.apply(event)
                self.last_version = event.resource_version or self.last_version

    def _later(self, error: KubeError) -> _Next:
        self._log.info("Watch is delayed", kind=type(error).__name__, error=str(error))
        self._delay = delay_after(error, self._backoff)
        return _Next.WATCH_LATER


def _asked_by(error: KubeError) -> float:
    return (error.retry_after_seconds or 0.0) if isinstance(error, ApiStatusError) else 0.0
