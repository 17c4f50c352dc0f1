"""One watch from its opening to its end: bytes become events, in the order in which the server sent them."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import Final, Generic, Self, TypeVar

from pkg.apis.meta import Object
from pkg.informers.decode import Bookmark, Decoder, ErrorEvent, ObjectEvent
from pkg.informers.linesplit import LineSplitter
from pkg.kube.client import quiet_seconds
from pkg.kube.stop import StopToken
from pkg.kube.wire import ByteStream

T = TypeVar("T", bound=Object)

READ_BYTES: Final = 256 * 1024


class OpenWatch(Generic[T]):
    """An open stream; leaving its context closes it, and so does the token.

    Attributes:
        opened_at: The clock's reading before it was asked for.
        events_seen: How many events came.
    """

    def __init__(
        self, stream: ByteStream, decoder: Decoder[T], stop: StopToken, *, opened_at: float, timeout_seconds: int
    ) -> None:
        self._stream = stream
        self._decoder = decoder
        self._stop = stop
        self._timeout_seconds = timeout_seconds
        self._unregister = stop.on_cancel(stream.shutdown)
        self._iterator = self._read()
        self.opened_at = opened_at
        self.events_seen = 0

    def events(self) -> Iterator[ObjectEvent[T] | Bookmark]:
        """What comes until the end; a second call goes on where the first one was left.

        Raises:
            ApiStatusError: the server ended it with an ERROR event.
            TransportError: the connection broke.
            DecodeError: a line is no event.
        """
        return self._iterator

    def allow_quiet(self) -> None:
        """From now on silence is normal, because everything that was there has come."""
        self._stream.allow_silence(quiet_seconds(self._timeout_seconds))

    def _read(self) -> Iterator[ObjectEvent[T] | Bookmark]:
        """What is left of a line that was cut is dropped; the next watch brings it again."""
        lines, decode, stop = LineSplitter(), self._decoder.event, self._stop
        while chunk := self._stream.read(READ_BYTES):
            for line in lines.feed(chunk):
                if stop.cancelled:
                    return
                event = decode(line)
                if isinstance(event, ErrorEvent):
                    raise event.error
                self.events_seen += 1
                yield event

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Gives the connection up."""
        self._unregister()
        self._stream.close()
