"""Reads the body of a chunked answer in large pieces.

An API server sends each event of a watch as a chunk of its own, and http.client reads chunk by chunk through a buffer
of 8 KB: two system calls for an event of a pod, and each gives the interpreter away to other threads. Here the socket
is read as far as it has something, and what the chunks hold is handed out in one piece.
"""

from __future__ import annotations

import http.client
from collections.abc import Callable

import urllib3

SIZE_LINE_BYTES_LIMIT = 4096
_LINE_END = 2


class ChunkedBody:
    """A reader of chunks; `read1` gives the bytes of the connection after the answer's head."""

    def __init__(self, read1: Callable[[int], bytes]) -> None:
        self._read1 = read1
        self._size_line = b""
        self._left = 0
        self._line_end_left = 0
        self._ended = False

    def read(self, max_bytes: int) -> bytes:
        """The next bytes as soon as there are some; b"" at the end.

        Raises:
            IncompleteRead: the connection ended before the body did.
            ValueError: what comes are no chunks.
        """
        while not self._ended:
            data = self._read1(max_bytes)
            if not data:
                raise http.client.IncompleteRead(b"")
            if content := self._content(data):
                return content
        return b""

    def _content(self, data: bytes) -> bytes:
        pieces: list[bytes] = []
        at = 0
        while at < len(data) and not self._ended:
            if self._left:
                piece = data[at : at + self._left]
                pieces.append(piece)
                at += len(piece)
                self._left -= len(piece)
                self._line_end_left = 0 if self._left else _LINE_END
            elif self._line_end_left:
                skipped = min(self._line_end_left, len(data) - at)
                at += skipped
                self._line_end_left -= skipped
            else:
                at = self._size(data, at)
        return b"".join(pieces)

    def _size(self, data: bytes, at: int) -> int:
        """Takes the line with a chunk's size, or the part of it that has come; returns where it ends."""
        end = data.find(b"\n", at)
        stop = len(data) if end < 0 else end + 1
        self._size_line += data[at:stop]
        if len(self._size_line) > SIZE_LINE_BYTES_LIMIT:
            raise ValueError("a chunk's size is longer than any number")
        if end >= 0:
            size, self._size_line = int(self._size_line.split(b";", 1)[0], 16), b""
            if size < 0:
                raise ValueError("a chunk of a negative size")
            self._left, self._ended = size, size == 0
        return stop


def body_reader(response: urllib3.BaseHTTPResponse) -> Callable[[int], bytes]:
    """Reads an answer's body, of which nothing has been read yet."""
    raw = getattr(response, "_fp", None)  # what urllib3 wraps; without it, as it reads itself
    if isinstance(raw, http.client.HTTPResponse) and raw.chunked and raw.fp is not None:
        return ChunkedBody(raw.fp.read1).read
    return lambda max_bytes: response.read1(max_bytes, decode_content=False)
