"""Mirrors one selection of the API into a sink: list, then watch, for ever.

A session is one list and the watches that follow it. A wide list is the beginning of its first watch where the
server can (`pkg.informers.streaming`), else it is read in pages. A watch that ends goes on from the last version it
saw without listing; what may have lost an event ends the session, and the next one lists again after a backoff.

| how a watch ends | what happens |
| --- | --- |
| closed cleanly, cut, silent beyond its time | watch again at once |
| within a second and without any event | backoff, list |
| ERROR 429, or opening refused, throttled or unanswered | backoff (or Retry-After), watch again |
| 410, garbage, any other error | backoff, list |

What is told again is not taken twice: within a watch an event that is not newer than the last one is dropped, and a
list that is older than what was seen is refused a few times. So handlers never see an object go back, whatever a
server that lags behind says. (client-go takes both as they come.)

Upstream: kubernetes/client-go tools/cache/reflector.go.
"""

from __future__ import annotations

import random as random_module
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Final, Generic, Protocol, TypeVar

import structlog

from pkg.apis.meta import Object
from pkg.informers.decode import Bookmark, Decoder, ObjectEvent, Undecodable
from pkg.informers.listing import Listing, Selection, version_is_refused
from pkg.informers.openwatch import OpenWatch
from pkg.informers.streaming import StreamingChoice, read_initial
from pkg.informers.versions import is_older
from pkg.kube.backoff import Backoff, delay_after
from pkg.kube.client import Client
from pkg.kube.clock import REAL_CLOCK, Clock
from pkg.kube.errors import (
    ApiStatusError,
    DecodeError,
    ExpiredError,
    KubeError,
    NotFoundError,
    ThrottledError,
    TransportError,
)
from pkg.kube.stop import StopToken

log = structlog.get_logger()

T = TypeVar("T", bound=Object)

MINIMUM_WATCH_SECONDS: Final = 300
SHORT_WATCH_SECONDS: Final = 1.0
OLD_LISTS_UNTIL_BELIEVED: Final = 3


class Sink(Protocol[T]):
    """Where the reflector puts what it sees; called from its thread only."""

    def replace(self, items: Sequence[T | Undecodable]) -> None:
        """Takes a whole list in the place of everything before it."""
        ...

    def apply(self, event: ObjectEvent[T]) -> None:
        """Takes one change."""
        ...

    def reached(self, version: str) -> None:
        """Everything up to this version has been taken."""
        ...


class WatchTooShortError(KubeError):
    """The server closed a watch at once and without an event, which would go on for ever."""


class OldListError(KubeError):
    """The server sent a list that is older than what it has sent before."""


class _Next(Enum):
    WATCH_NOW = 1
    WATCH_LATER = 2


class Reflector(Generic[T]):
    """Runs in the thread that calls `run`.

    Args:
        stream_lists: Whether a wide list is streamed where the server can.

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
        stream_lists: bool = True,
    ) -> None:
        self._client = client
        self._selection = selection
        self._decoder = decoder
        self._sink = sink
        self._clock = clock
        self._random = random
        self._listing = Listing(client, selection)
        self._choice = StreamingChoice(wanted=stream_lists and not selection.is_narrow)
        self._backoff = Backoff(clock=clock, random=random)
        self._log = log.bind(informer=str(selection))
        self._delay = 0.0
        self._missing = False
        self._old_lists = 0
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
                self._say_failed(error)
            except Exception:  # a defect of ours, in a transform or an index: the cache must not silently grow old
                self._log.exception("Watch failed by a defect")
            self._clock.wait(stop, max(delay, self._backoff.next()))

    def _say_failed(self, error: KubeError) -> None:
        """A kind whose definition is not there yet is no error, and waiting for it is said once."""
        if not isinstance(error, NotFoundError):
            self._log.warning("Watch failed", kind=type(error).__name__, error=str(error))
        elif not self._missing:
            self._missing = True
            self._log.warning("Waiting for a kind that is not served yet", path=self._path, error=str(error))

    @property
    def _path(self) -> str:
        return self._selection.ref.path(self._selection.namespace)

    def _session(self, stop: StopToken) -> None:
        opened = self._fill(stop)
        while not stop.cancelled:
            if self._watch(stop, opened) is _Next.WATCH_LATER and self._clock.wait(stop, self._delay):
                return
            opened = None

    def _fill(self, stop: StopToken) -> OpenWatch[T] | None:
        """Lists; returns the watch that goes on from there where the list was the beginning of one."""
        if self._choice.stream:
            try:
                return self._stream(stop)
            except KubeError as error:
                if not self._choice.failed(error):
                    raise
                self._log.info("Lists are not streamed, reading pages", error=str(error))
        self._list()
        return None

    def _stream(self, stop: StopToken) -> OpenWatch[T]:
        """Not older than what was seen, unless the server has forgotten that or does not know it yet."""
        try:
            return self._stream_from(self.last_version, stop)
        except ApiStatusError as error:
            if not self.last_version or not version_is_refused(error):
                raise
        return self._stream_from("", stop)

    def _stream_from(self, version: str, stop: StopToken) -> OpenWatch[T]:
        opened = self._open(stop, version, initial_events=True)
        try:
            found = read_initial(opened)
            self._listed(found.items, found.version)
        except BaseException:  # nobody else will close it
            opened.close()
            raise
        self._choice.session_works()
        return opened

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
        self._listed(items, version)

    def _listed(self, items: Sequence[T | Undecodable], version: str) -> None:
        self._believe(version)
        self._sink.replace(items)
        self.last_version = version
        self._sink.reached(version)
        self.lists += 1
        if self._missing:
            self._missing = False
            self._log.info("The kind is served now", path=self._path)

    def _believe(self, version: str) -> None:
        """A server that lags behind is asked again; one that goes on saying so has itself gone back (etcd restored)."""
        if not is_older(version, self.last_version):
            self._old_lists = 0
        elif self._old_lists < OLD_LISTS_UNTIL_BELIEVED:
            self._old_lists += 1
            raise OldListError(f"a list as of version {version}, when {self.last_version} was seen already")

    def _watch(self, stop: StopToken, opened: OpenWatch[T] | None) -> _Next:
        try:
            opened = opened or self._open(stop, self.last_version)
        except (ThrottledError, TransportError) as error:
            return self._later(error)
        self._choice.session_works()
        with opened:
            try:
                self._follow(opened)
            except ThrottledError as error:
                return self._later(error)
            except TransportError as error:
                self._log.info("Watch broke", error=str(error))
        seconds = self._clock.monotonic() - opened.opened_at
        if not stop.cancelled and not opened.events_seen and seconds < SHORT_WATCH_SECONDS:
            raise WatchTooShortError("the watch was closed within a second and without an event")
        return _Next.WATCH_NOW

    def _open(self, stop: StopToken, version: str, *, initial_events: bool = False) -> OpenWatch[T]:
        selection = self._selection
        opened_at = self._clock.monotonic()
        timeout_seconds = int(MINIMUM_WATCH_SECONDS * (1.0 + self._random()))
        stream = self._client.watch(
            selection.ref,
            selection.namespace,
            resource_version=version,
            timeout_seconds=timeout_seconds,
            label_selector=selection.label_selector,
            field_selector=selection.field_selector,
            initial_events=initial_events,
            metadata_only=selection.metadata_only,
        )
        self.watches += 1
        return OpenWatch(stream, self._decoder, stop, opened_at=opened_at, timeout_seconds=timeout_seconds)

    def _follow(self, opened: OpenWatch[T]) -> None:
        for event in opened.events():
            version = event.resource_version
            if isinstance(event, Bookmark):
                self._reached(version)
            elif version != self.last_version and not is_older(version, self.last_version):
                self._sink.apply(event)
                self.last_version = version or self.last_version

    def _reached(self, version: str) -> None:
        if version and not is_older(version, self.last_version):
            self.last_version = version
            self._sink.reached(version)

    def _later(self, error: KubeError) -> _Next:
        self._log.info("Watch is delayed", kind=type(error).__name__, error=str(error))
        self._delay = delay_after(error, self._backoff)
        return _Next.WATCH_LATER


def _asked_by(error: KubeError) -> float:
    return (error.retry_after_seconds or 0.0) if isinstance(error, ApiStatusError) else 0.0
