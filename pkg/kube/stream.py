"""An open answer: read by one thread, ended by any."""

from __future__ import annotations

import contextlib
import threading

import urllib3

from pkg.kube.errors import TransportError


class KubeStream:
    """A `ByteStream` over urllib3's response.

    `close` from another thread would block for as long as the reader does, so the way to end a read is `shutdown`
    of the socket's reading side: the reader then gets the end or an error, and reports the end.
    """

    def __init__(self, response: urllib3.BaseHTTPResponse, what: str) -> None:
        self._response = response
        self._what = what
        self._ended = threading.Event()

    def read(self, max_bytes: int) -> bytes:
        """The next bytes as soon as there are some; b"" at the end and after `shutdown`."""
        if self._ended.is_set():
            return b""
        try:
            data = self._response.read1(max_bytes, decode_content=False)
        except Exception as error:  # urllib3, ssl and http.client, and AttributeError after a shutdown
            if self._ended.is_set():
                return b""
            raise TransportError(f"{self._what}: {type(error).__name__}: {error}") from error
        return b"" if self._ended.is_set() else data or b""

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
