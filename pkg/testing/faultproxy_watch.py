"""Relays one watch line by line, so that a fault can fall exactly between two of them or into one."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from pkg.testing.faultproxy_answer import Answer, error_event
from pkg.testing.faultproxy_faults import LINE_KINDS, STREAM_KINDS, Board, Kind, Switch, Waker
from pkg.testing.faultproxy_request import Request
from pkg.testing.faultproxy_wire import LAST_CHUNK, Wire, as_chunk, readable

REPLAYED_LINES = 20
DRIP_BYTES = 7
DRIP_SECONDS = 0.001
COALESCE_SECONDS = 0.2
GARBAGE_LINE = "}garbage{"


class WatchRelay:
    """Runs in the thread of the client's connection until the watch ends, one way or another."""

    def __init__(self, client: Wire, server: Wire, request: Request, board: Board) -> None:
        self._client = client
        self._server = server
        self._request = request
        self._board = board
        self._lines: deque[bytes] = deque()
        self._rest = b""
        self._ended = False
        self._in_good_order = False
        self._sent = 0
        self._last: deque[bytes] = deque(maxlen=REPLAYED_LINES)
        self._taken: set[Switch] = set()
        self._modes: list[Switch] = []
        self._faults: dict[Kind, Callable[[Switch], bool]] = {
            Kind.CUT: self._cut,
            Kind.TEAR: self._tear,
            Kind.TRUNCATE: self._truncate,
            Kind.CLOSE: self._close,
            Kind.HALF_CLOSE: self._half_close,
            Kind.STALL: self._stall,
            Kind.GARBAGE: self._garbage,
            Kind.ERROR: self._error,
            Kind.REPLAY: self._replay,
            Kind.DRIP: self._mode,
            Kind.COALESCE: self._mode,
        }

    def run(self, answer: Answer) -> bool:
        """Relays; returns whether the watch ended in good order. OSError when a side broke."""
        self._client.send(answer.head("Transfer-Encoding: chunked"))
        with self._board.waker() as waker:
            while self._step(waker):
                continue
        return self._in_good_order

    def _step(self, waker: Waker) -> bool:
        """One fault, one line or one wait; returns whether the watch goes on."""
        kinds = STREAM_KINDS | LINE_KINDS if self._lines else STREAM_KINDS
        switch = self._board.take(self._request, kinds, lines=self._sent, besides=self._taken)
        if switch is not None:
            self._taken.add(switch)
            return self._faults[switch.fault.kind](switch)
        if self._lines:
            self._send_next()
            return True
        if self._ended:
            return self._end()
        return self._wait(waker, None)

    def _wait(self, waker: Waker, timeout_seconds: float | None, *, listen: bool = True) -> bool:
        """Waits for the server (unless it is not listened to), a fault or the client's end."""
        watched = [self._client, self._server] if listen else [self._client]
        ready = readable(watched, waker.socket, timeout_seconds)
        waker.clear()
        if self._client in ready:
            return bool(self._client.some())  # a watching client has nothing to say, so this is its end
        if self._server in ready:
            self._receive(self._server.chunk())
        return True

    def _receive(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        self._lines += [line + b"\n" for line in lines]
        self._ended = not data

    def _send_next(self) -> None:
        line = self._lines.popleft()
        self._modes = [mode for mode in self._modes if not mode.lifted]
        kinds = {mode.fault.kind: mode for mode in self._modes}
        if Kind.COALESCE in kinds:
            line += self._gather(kinds[Kind.COALESCE])
        if Kind.DRIP in kinds:
            self._drip(line, kinds[Kind.DRIP].fault.seconds or DRIP_SECONDS)
        else:
            self._client.send(as_chunk(line))
        self._last.append(line)
        self._sent += line.count(b"\n")

    def _gather(self, mode: Switch) -> bytes:
        """Everything else that comes within the time."""
        deadline = time.monotonic() + (mode.fault.seconds or COALESCE_SECONDS)
        while not self._ended and (left := deadline - time.monotonic()) > 0:
            if readable([self._server], None, left):
                self._receive(self._server.chunk())
        gathered = b"".join(self._lines)
        self._lines.clear()
        return gathered

    def _drip(self, line: bytes, seconds: float) -> None:
        for start in range(0, len(line), DRIP_BYTES):
            self._client.send(as_chunk(line[start : start + DRIP_BYTES]))
            time.sleep(seconds)

    def _end(self) -> bool:
        self._client.send(LAST_CHUNK)
        self._in_good_order = True
        return False

    def _cut(self, _: Switch) -> bool:
        self._client.reset()
        return False

    def _tear(self, _: Switch) -> bool:
        self._half_line()
        self._client.reset()
        return False

    def _truncate(self, _: Switch) -> bool:
        self._half_line()
        return self._end()

    def _half_line(self) -> None:
        line = self._lines.popleft()
        self._client.send(as_chunk(line[: len(line) // 2]))

    def _close(self, _: Switch) -> bool:
        return self._end()

    def _half_close(self, switch: Switch) -> bool:
        self._client.half_close()
        with self._board.waker() as waker:
            while switch.holds(self._request) and self._wait(waker, switch.fault.seconds or None, listen=False):
                continue
        return False

    def _stall(self, switch: Switch) -> bool:
        with self._board.waker() as waker:
            while switch.holds(self._request):
                if not self._wait(waker, switch.fault.seconds or None, listen=False):
                    return False
        return True

    def _garbage(self, switch: Switch) -> bool:
        self._client.send(as_chunk((switch.fault.text or GARBAGE_LINE).encode() + b"\n"))
        return True

    def _error(self, switch: Switch) -> bool:
        self._client.send(as_chunk(error_event(switch.fault)))
        return self._end()

    def _replay(self, _: Switch) -> bool:
        self._client.send(as_chunk(b"".join(self._last))) if self._last else None
        return True

    def _mode(self, switch: Switch) -> bool:
        self._modes.append(switch)
        return True
