"""What may go wrong between a client and an API server, as values that a test switches on and off.

A fault hits requests by verb and by a piece of their path, from its switching on until it is lifted or has hit as
often as asked. An open watch is hit in the moment the fault is switched on.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from types import TracebackType
from typing import Final, Self

from pkg.testing.faultproxy_request import Request, Verb


class Kind(StrEnum):
    """The faults; which of them fits which part of an exchange is in the sets below."""

    REFUSE = "refuse"  # reset before any answer; of a connection: before TLS
    HANG = "hang"  # no answer, until lifted or for `seconds`; of a connection: no TLS handshake
    STATUS = "status"  # answered with `code` and `reason`
    OLD_VERSION = "old-version"  # a watch begins at `text`, or at the oldest version that was asked for there
    OLD_LIST = "old-list"  # answered with the first list that was seen there
    CUT = "cut"  # a reset, in the middle of a body, between two lines of a watch
    TEAR = "tear"  # a reset in the middle of a watch's next line
    CLOSE = "close"  # a watch ends in good order
    HALF_CLOSE = "half-close"  # our side is closed without the end of the body, the other stays open
    STALL = "stall"  # a watch says nothing more, until lifted or for `seconds`
    DRIP = "drip"  # some bytes at a time, `seconds` between them
    GARBAGE = "garbage"  # a body, or a line of a watch, that is `text`
    TRUNCATE = "truncate"  # half a body, or half a line, and an end in good order
    COALESCE = "coalesce"  # what a watch says in `seconds` comes in one chunk
    ERROR = "error"  # an ERROR event with `code` and `reason`, and the end of the watch
    REPLAY = "replay"  # a watch says its last lines again


CONNECTION_KINDS: Final = frozenset({Kind.REFUSE, Kind.HANG})
REQUEST_KINDS: Final = frozenset({Kind.REFUSE, Kind.HANG, Kind.STATUS, Kind.OLD_VERSION, Kind.OLD_LIST})
BODY_KINDS: Final = frozenset({Kind.CUT, Kind.HALF_CLOSE, Kind.DRIP, Kind.TRUNCATE, Kind.GARBAGE})
LINE_KINDS: Final = frozenset({Kind.TEAR, Kind.TRUNCATE})
STREAM_KINDS: Final = BODY_KINDS - LINE_KINDS | {Kind.CLOSE, Kind.STALL, Kind.COALESCE, Kind.ERROR, Kind.REPLAY}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One way to go wrong.

    Attributes:
        verbs: Which requests it hits; empty for lists and watches.
        path: A piece of the path and query that it hits.
        times: How many requests or watches it hits; 0 for all until it is lifted.
        after_lines: On a watch: not before that many lines of it.
        seconds: As the kind says.
        code: HTTP status, or that of the ERROR event.
        reason: Kubernetes' word for the code.
        retry_after_seconds: Sent as header, or in the ERROR event's details.
        token: Hits only requests with this bearer token.
        identity: Hits only clients with the certificate of this serial number.
        text: As the kind says.
    """

    kind: Kind
    verbs: frozenset[Verb] = frozenset()
    path: str = ""
    times: int = 0
    after_lines: int = 0
    seconds: float = 0.0
    code: int = 0
    reason: str = ""
    retry_after_seconds: int = 0
    token: str = ""
    identity: int = 0
    text: str = ""

    def matches(self, request: Request) -> bool:
        """Whether it is meant for this request."""
        return (
            request.verb in (self.verbs or (Verb.LIST, Verb.WATCH))
            and self.path in request.target
            and self.token in ("", request.token)
            and self.identity in (0, request.identity)
        )


@dataclass(eq=False)
class Switch:
    """A fault that was switched on; lifts itself at the end of a `with`."""

    fault: Fault
    _changed: threading.Condition
    _notify: Callable[[], None]
    hits: int = 0
    lifted: bool = False
    _since: dict[Request, float] = field(default_factory=dict)

    def lift(self) -> None:
        """Switches it off, also where it holds something back."""
        with self._changed:
            self.lifted = True
        self._notify()

    def wait_for_hits(self, count: int = 1, timeout_seconds: float = 20.0) -> None:
        """Blocks until it has hit that often; AssertionError when it does not."""
        with self._changed:
            if not self._changed.wait_for(lambda: self.hits >= count, timeout_seconds):
                raise AssertionError(f"{self.fault} hit {self.hits} times, expected {count}")

    def holds(self, request: Request) -> bool:
        """Whether a request that it has hit is still held back."""
        waited = time.monotonic() - self._since.get(request, time.monotonic())
        return not self.lifted and not 0 < self.fault.seconds < waited

    def hit(self, request: Request) -> None:
        """Counts; under the board's lock."""
        self.hits += 1
        self._since[request] = time.monotonic()

    @property
    def armed(self) -> bool:
        """Whether it may hit once more."""
        return not self.lifted and not 0 < self.fault.times <= self.hits

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.lift()


class Board:
    """All faults of one proxy; thread-safe."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._switches: list[Switch] = []
        self._wakers: set[socket.socket] = set()

    def switch_on(self, fault: Fault) -> Switch:
        """Makes a fault happen from now on."""
        switch = Switch(fault, self._changed, self._notify)
        with self._changed:
            self._switches.append(switch)
        self._notify()
        return switch

    def lift_all(self) -> None:
        """Switches everything off."""
        with self._changed:
            switches, self._switches = self._switches, []
        for switch in switches:
            switch.lift()

    def take(
        self,
        request: Request,
        kinds: frozenset[Kind],
        *,
        lines: int = 0,
        besides: frozenset[Switch] | set[Switch] = frozenset(),
    ) -> Switch | None:
        """The oldest fault that is meant for this moment, counted as hit; `besides` are those that hit it already."""
        with self._changed:
            for switch in self._switches:
                fault = switch.fault
                fits = fault.kind in kinds and lines >= fault.after_lines and fault.matches(request)
                if fits and switch.armed and switch not in besides:
                    switch.hit(request)
                    self._changed.notify_all()
                    return switch
            return None

    def waker(self) -> Waker:
        """Something to select on that becomes readable when a fault is switched on or lifted."""
        return Waker(self)

    def subscribe(self, sender: socket.socket) -> None:
        """Used by a waker."""
        with self._changed:
            self._wakers.add(sender)

    def unsubscribe(self, sender: socket.socket) -> None:
        """Used by a waker."""
        with self._changed:
            self._wakers.discard(sender)

    def _notify(self) -> None:
        with self._changed:
            self._switches = [switch for switch in self._switches if not switch.lifted]
            for sender in self._wakers:
                try:
                    sender.send(b"!")
                except BlockingIOError:
                    continue  # it has enough to wake up for
            self._changed.notify_all()


class Waker:
    """One end of a pair of sockets; a context manager."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self.socket, self._sender = socket.socketpair()
        self.socket.setblocking(False)
        self._sender.setblocking(False)
        board.subscribe(self._sender)

    def clear(self) -> None:
        """Takes the wake-ups that came."""
        try:
            self.socket.recv(4096)
        except BlockingIOError:
            return

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._board.unsubscribe(self._sender)
        self._sender.close()
        self.socket.close()
