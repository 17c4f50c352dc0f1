"""The server's side of a websocket with channels, on a `RawServer`'s connection."""

from __future__ import annotations

import base64
import hashlib
import struct
from collections.abc import Callable

from pkg.testing.rawserver import Exchange

_MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_BINARY, _CLOSE = 0x2, 0x8


class ServerSocket:
    """An accepted websocket."""

    def __init__(self, exchange: Exchange) -> None:
        key = exchange.header("Sec-WebSocket-Key").encode()
        accepted = base64.b64encode(hashlib.sha1(key + _MAGIC).digest()).decode()
        protocol = exchange.header("Sec-WebSocket-Protocol")
        lines = [
            "HTTP/1.1 101 Switching Protocols",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Accept: {accepted}",
            f"Sec-WebSocket-Protocol: {protocol}",
        ]
        exchange.send("\r\n".join(lines).encode() + b"\r\n\r\n")
        self._exchange = exchange

    def send(self, channel: int, data: bytes) -> None:
        """Sends one message on a channel."""
        self._frame(_BINARY, bytes([channel]) + data)

    def close(self) -> None:
        """Ends the websocket in its order."""
        self._frame(_CLOSE, struct.pack("!H", 1000))

    def receive(self) -> tuple[int, bytes] | None:
        """The next message of the client; None at its end."""
        head = self._read(2)
        if len(head) < 2 or head[0] & 0x0F == _CLOSE:
            return None
        length = head[1] & 0x7F
        if length == 126:
            (length,) = struct.unpack("!H", self._read(2))
        elif length == 127:
            (length,) = struct.unpack("!Q", self._read(8))
        mask = self._read(4)
        data = bytes(byte ^ mask[index % 4] for index, byte in enumerate(self._read(length)))
        return data[0], data[1:]

    def _frame(self, code: int, data: bytes) -> None:
        if len(data) < 126:
            length = struct.pack("!B", len(data))
        elif len(data) < 1 << 16:
            length = struct.pack("!BH", 126, len(data))
        else:
            length = struct.pack("!BQ", 127, len(data))
        self._exchange.send(bytes([0x80 | code]) + length + data)

    def _read(self, count: int) -> bytes:
        data = b""
        while len(data) < count and (more := self._exchange.connection.recv(count - len(data))):
            data += more
        return data


def accepting(serve: Callable[[ServerSocket], None]) -> Callable[[Exchange], None]:
    """A handler that accepts each websocket and lets it be served; its connection ends after that."""

    def handle(exchange: Exchange) -> None:
        serve(ServerSocket(exchange))
        exchange.connection.close()

    return handle
