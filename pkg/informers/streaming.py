"""A list as the beginning of a watch (WatchList, client-go's default since 1.35).

The server sends each object as an event, then a bookmark that says that this was all, and goes on with the changes
on the same connection. Nothing of it is shown before that bookmark: until then the objects are collected here, and
a stream that ends early is as if it had not begun. Memory grows by one object at a time, never by one body.

A server may refuse this by a status, ignore the parameter and never send the bookmark, or sit behind a proxy that
cuts such streams; then the reflector reads pages.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from pkg.apis.meta import Object
from pkg.informers.decode import Bookmark, EventType, ObjectEvent, Undecodable, key_of
from pkg.informers.openwatch import OpenWatch
from pkg.kube.errors import ApiStatusError, DecodeError, KubeError, TransportError

T = TypeVar("T", bound=Object)

# 400 and 422 from servers without the gate; 403, 405, 406 and 415 from proxies and roles that know lists only.
_REFUSALS: Final = frozenset({400, 403, 405, 406, 415, 422})
CUTS_UNTIL_PAGES: Final = 2


class StreamCutError(TransportError):
    """The stream ended before everything was sent."""


@dataclass(frozen=True, slots=True)
class StreamedList(Generic[T]):
    """Everything that was there at one version."""

    items: list[T | Undecodable]
    version: str


class StreamingChoice:
    """Whether the next list is to be streamed; not thread-safe.

    After a refusal pages are a detour for one session: once it watches, the next one asks again, because a server is
    upgraded more often than a reflector lists. A server that has cut streams costs a wait each time, so it is not
    asked again.
    """

    def __init__(self, *, wanted: bool) -> None:
        self._wanted = wanted
        self._cuts = 0
        self._broken = False
        self.stream = wanted

    def failed(self, error: KubeError) -> bool:
        """Takes note of a streamed list that failed; returns whether the server refuses to stream at all."""
        refused = isinstance(error, ApiStatusError) and error.code in _REFUSALS
        self._cuts += isinstance(error, StreamCutError | DecodeError)
        self._broken = self._cuts >= CUTS_UNTIL_PAGES
        self.stream = not refused and not self._broken
        return refused

    def session_works(self) -> None:
        """Takes note of a session that has listed, however it did, and watches."""
        self.stream = self._wanted and not self._broken
        self._cuts = 0


def read_initial(opened: OpenWatch[T]) -> StreamedList[T]:
    """Reads to the bookmark that ends the list; the watch goes on after it.

    Raises:
        StreamCutError: the end came before the bookmark.
        ApiStatusError, DecodeError: as from `OpenWatch.events`.
    """
    found: dict[str, T | Undecodable] = {}
    try:
        for event in opened.events():
            match event:
                case ObjectEvent(type=EventType.DELETED, object=item):
                    found.pop(key_of(item), None)
                case ObjectEvent(object=item):
                    found[key_of(item)] = item
                case Bookmark(initial_end=True, resource_version=version) if version:
                    opened.allow_quiet()
                    return StreamedList(list(found.values()), version)
    except TransportError as error:
        raise StreamCutError(f"after {opened.events_seen} events of a streamed list: {error}") from error
    raise StreamCutError(f"a streamed list ended after {opened.events_seen} events without saying that it is whole")
