"""Decodes what the server sends into structs, one object at a time.

An object of a shape that this version does not expect must not blind Ark for all the others: it is handed on as
`Undecodable` with its key, and only a line that is no event at all is an error.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Generic, Protocol, TypeAlias, TypeVar, cast

import msgspec

from pkg.apis.meta import Object, ObjectMeta
from pkg.informers.mutation import idempotent
from pkg.kube.errors import ApiStatusError, DecodeError
from pkg.kube.status import Status, error_from_status

T = TypeVar("T", bound=Object)
Transform: TypeAlias = Callable[[T], T]

INITIAL_END_ANNOTATION: Final = "k8s.io/initial-events-end"


class EventType(StrEnum):
    """The types of watch events that carry an object."""

    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Undecodable:
    """An object that is there but does not decode; `error` says why."""

    key: str
    resource_version: str
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectEvent(Generic[T]):
    """Something happened to one object."""

    type: EventType
    object: T | Undecodable
    resource_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bookmark:
    """The watch is complete up to this version; `initial_end`: and all that was there before has been sent."""

    resource_version: str
    initial_end: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorEvent:
    """The server ends the watch with a Status."""

    error: ApiStatusError


WatchEvent: TypeAlias = "ObjectEvent[T] | Bookmark | ErrorEvent"


class _Envelope(msgspec.Struct, frozen=True):
    type: str
    object: msgspec.Raw


class _Event(Protocol[T]):
    """A line decoded in one pass, which is what nearly every line allows."""

    type: str
    object: T


class _Meta(msgspec.Struct, frozen=True, rename="camel"):
    name: str = ""
    namespace: str = ""
    resource_version: str = ""


class _Named(msgspec.Struct, frozen=True):
    metadata: _Meta


class _BookmarkMeta(msgspec.Struct, frozen=True, rename="camel"):
    resource_version: str = ""
    annotations: dict[str, str] | None = None


class _BookmarkObject(msgspec.Struct, frozen=True):
    metadata: _BookmarkMeta


_ENVELOPE: Final = msgspec.json.Decoder(_Envelope)
_NAMED: Final = msgspec.json.Decoder(_Named)
_BOOKMARK: Final = msgspec.json.Decoder(_BookmarkObject)
_STATUS: Final = msgspec.json.Decoder(Status)
_FAILURES: Final = (msgspec.DecodeError, UnicodeDecodeError)
_TYPES: Final = {one.value: one for one in EventType}


class Decoder(Generic[T]):
    """Decodes objects of one type.

    Args:
        struct: What to decode into; fields it does not have are skipped.
        transform: Makes a smaller object of each one before it is stored; must be idempotent.
    """

    def __init__(self, struct: type[T], transform: Transform[T] | None = None) -> None:
        self._decoder = msgspec.json.Decoder(struct)
        self._events: msgspec.json.Decoder[_Event[T]] = msgspec.json.Decoder(_event_of(struct))
        self._transform = idempotent(transform) if transform else None

    def item(self, raw: msgspec.Raw | bytes) -> T | Undecodable:
        """Decodes one object; raises DecodeError when it does not even have metadata."""
        try:
            decoded = self._decoder.decode(raw)
            if not decoded.metadata.name:
                raise DecodeError("an object without a name")
            return self._transform(decoded) if self._transform else decoded
        except DecodeError:
            raise
        except Exception as error:  # a transform may fail in any way, and that is about this one object too
            return _undecodable(raw, error)

    def event(self, line: bytes) -> WatchEvent[T]:
        """Decodes one line of a watch; raises DecodeError when it is no event."""
        return self._plain_event(line) or self._any_event(line)

    def _plain_event(self, line: bytes) -> ObjectEvent[T] | None:
        """An event of an object that decodes; None leaves the line to a closer look."""
        try:
            event = self._events.decode(line)
        except _FAILURES:
            return None
        event_type, item = _TYPES.get(event.type), event.object
        if event_type is None or not item.metadata.name:
            return None
        if self._transform:
            try:
                item = self._transform(item)
            except Exception:  # the closer look says what is wrong with this one object
                return None
        return ObjectEvent(type=event_type, object=item, resource_version=item.metadata.resource_version)

    def _any_event(self, line: bytes) -> WatchEvent[T]:
        try:
            envelope = _ENVELOPE.decode(line)
            if envelope.type == "BOOKMARK":
                return _bookmark(envelope.object)
            if envelope.type == "ERROR":
                return ErrorEvent(error=error_from_status(_STATUS.decode(envelope.object)))
            event_type = EventType(envelope.type)
        except (*_FAILURES, ValueError) as error:
            raise DecodeError(f"a line of the watch is no event: {error}") from error
        item = self.item(envelope.object)
        version = item.resource_version if isinstance(item, Undecodable) else item.metadata.resource_version
        return ObjectEvent(type=event_type, object=item, resource_version=version)


def key_of(item: Object | Undecodable) -> str:
    """`namespace/name`, or `name` for a cluster-scoped object."""
    return item.key if isinstance(item, Undecodable) else item.metadata.key


def _event_of(struct: type[T]) -> type[_Event[T]]:
    event = msgspec.defstruct("Event", [("type", str), ("object", struct)], frozen=True, gc=False)
    return cast("type[_Event[T]]", event)


def _bookmark(raw: msgspec.Raw) -> Bookmark:
    meta = _BOOKMARK.decode(raw).metadata
    initial_end = (meta.annotations or {}).get(INITIAL_END_ANNOTATION) == "true"
    return Bookmark(resource_version=meta.resource_version, initial_end=initial_end)


def _undecodable(raw: msgspec.Raw | bytes, cause: Exception) -> Undecodable:
    try:
        meta = _NAMED.decode(raw).metadata
    except _FAILURES as error:
        raise DecodeError(f"an object without metadata: {error}") from error
    key = ObjectMeta(name=meta.name, namespace=meta.namespace).key
    return Undecodable(key=key, resource_version=meta.resource_version, error=str(cause))
