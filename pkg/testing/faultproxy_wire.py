"""HTTP/1.1 as bytes on a socket: heads, bodies and chunks, read and written exactly.

Python's own client and server hide what a fault proxy must be able to do wrong.
"""

from __future__ import annotations

import select
import socket
import ssl
import struct
from collections.abc import Sequence

RECEIVE_BYTES = 1 << 16
LAST_CHUNK = b"0\r\n\r\n"
ABORT_LINGER = struct.pack("ii", 1, 0)


class WireEndError(OSError):
    """The peer ended the connection in the middle of something."""


class Wire:
    """One side's connection with what was received and not asked for yet."""

    def __init__(self, connected: socket.socket) -> None:
        self.socket = connected
        self._received = bytearray()

    @property
    def has_data(self) -> bool:
        """Whether there is something to read without asking the kernel."""
        return bool(self._received) or (isinstance(self.socket, ssl.SSLSocket) and self.socket.pending() > 0)

    def head(self) -> bytes | None:
        """A request's or an answer's head without its end; None when the peer is done."""
        while (end := self._received.find(b"\r\n\r\n")) < 0:
            if not self._receive():
                return None
        return self._take(end + 4)[:-4]

    def exactly(self, count: int) -> bytes:
        """So many bytes; WireEndError when there are fewer."""
        while len(self._received) < count:
            if not self._receive():
                raise WireEndError("the peer ended in the middle of a body")
        return self._take(count)

    def chunk(self) -> bytes:
        """The next chunk of a chunked body; b"" for its end."""
        size = int(self._line().split(b";")[0], 16)
        data = self.exactly(size)
        while size == 0 and self._line():
            continue  # a trailer
        if size:
            self.exactly(2)
        return data

    def rest(self) -> bytes:
        """All up to the end of the connection."""
        while self._receive():
            continue
        return self._take(len(self._received))

    def some(self) -> bytes:
        """Whatever is there, or comes next; b"" at the end."""
        if not self._received:
            self._receive()
        return self._take(len(self._received))

    def send(self, data: bytes) -> None:
        """Sends it all."""
        self.socket.sendall(data)

    def reset(self) -> None:
        """Ends the connection with a RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT_LINGER)
        self.socket.close()

    def half_close(self) -> None:
        """Sends the end, without TLS's word for it, and stays open for what the peer says."""
        self.socket.shutdown(socket.SHUT_WR)

    def end(self) -> None:
        """Makes whoever reads here see the end; from any thread."""
        try:
            socket.socket.shutdown(self.socket, socket.SHUT_RDWR)
        except OSError:
            return  # it has ended already

    def _line(self) -> bytes:
        while (end := self._received.find(b"\r\n")) < 0:
            if not self._receive():
                raise WireEndError("the peer ended in the middle of a chunk")
        return self._take(end + 2)[:-2]

    def _take(self, count: int) -> bytes:
        taken = bytes(self._received[:count])
        del self._received[:count]
        return taken

    def _receive(self) -> bool:
        data = self.socket.recv(RECEIVE_BYTES)
        self._received += data
        return bool(data)


def readable(wires: Sequence[Wire], waker: socket.socket | None, timeout_seconds: float | None) -> list[Wire]:
    """The wires with something to read; empty after a wake-up or the timeout."""
    if ready := [wire for wire in wires if wire.has_data]:
        return ready
    sockets = [wire.socket for wire in wires] + ([waker] if waker else [])
    chosen, _, _ = select.select(sockets, [], [], timeout_seconds)
    return [wire for wire in wires if wire.socket in chosen]


def as_chunk(data: bytes) -> bytes:
    """Data as one chunk of a chunked body."""
    return b"%x\r\n%s\r\n" % (len(data), data)
