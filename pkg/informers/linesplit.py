"""Cuts a byte stream into lines, in time proportional to its length however the bytes are chunked.

A proxy may coalesce many events into one chunk or cut one event into many; slicing the rest of a buffer once per
line would be quadratic.
"""

from __future__ import annotations

from typing import Final

from pkg.kube.errors import DecodeError

LINE_BYTES_LIMIT: Final = 32 * 1024 * 1024


class LineSplitter:
    """Collects chunks and hands out whole lines, without their ends and without empty ones."""

    def __init__(self, limit_bytes: int = LINE_BYTES_LIMIT) -> None:
        self._limit = limit_bytes
        self._pending: list[bytes] = []
        self._pending_bytes = 0

    def feed(self, chunk: bytes) -> list[bytes]:
        """Takes the next chunk and returns the lines that it completes.

        Raises:
            DecodeError: a line is longer than any object can be.
        """
        *lines, rest = chunk.split(b"\n")
        if lines:
            self._pending.append(lines[0])
            lines[0] = b"".join(self._pending)
            self._pending, self._pending_bytes = [], 0
        if rest:
            self._pending.append(rest)
            self._pending_bytes += len(rest)
        if self._pending_bytes > self._limit:
            raise DecodeError(f"a line of the watch is longer than {self._limit} bytes")
        return [line for line in lines if line]
