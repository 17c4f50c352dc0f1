"""An open answer: read by one thread, ended by any."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable

import urllib3

from pkg.kube.chunked import body_reader
from pkg.kube.errors import TransportError


class KubeStream:
    """A `ByteStream` over urllib3's response.

    `close` from another thread would block for as long as the reader does, so the way to end a read is `shutdown`
    of the socket's reading side: the reader then gets the end or an error, and reports the end.

    Args:
        response: The answer, whose head has been read.
        what: The request, for errors.
        on_end: Called when the server, the network or silence ends the stream, and not this side.
    """

    def __init__(
        self, response: urllib3.BaseHTTPResponse, what: str, on_end: Callable[[], None] = lambda: None
    ) -> None:
        self._response = response
        self._read = body_reader(response)
        self._what = what
        self._on_end = on_end
        self._ended = threading.Event()

    def read(self, max_bytes: int) -> bytes:
        """The next bytes as soon as there are some; b"" at the end and after `shutdown`."""
        if self._ended.is_set():
            return b""
        try:
            data = self._read(max_bytes)
        except Exception as error:  # urllib3, ssl and http.client, and AttributeError after a shutdown
            if self._ended.is_set():
                return b""
            self._on_end()
            raise TransportError(f"{self._what}: {type(error).__name__}: {error}") from error
        if self._ended.is_set():
            return b""
        if not data:
            self._on_end()
        return data or b""

    def allow_silence(self, seconds: float) -> None:
        """From now on that much silence is normal."""
        connected = getattr(self._response.connection, "sock", None)
        if isinstance(connected, socket.socket):
            connected.settimeout(seconds)

    def shutdown(self) -> None:
        """Ends a `read` that blocks in another thread."""
        self._ended.set()
        with contextlib.suppress(Exception):  # it has ended already, or is ending by itself
            self._response.shutdown()

    def close(self) -> None:
        """Gives the connection up; never back to the pool, because what is unread would be read by the next."""
        self._ended.set()
        with contextlib.suppress(Exception):  # a broken connection may refuse even to be closed
            self._response.close()
