"""Reading a child's two streams without blocking it: a thread per stream, one inbox for whoever waits.

Memory is bounded: the inbox holds 1,000 lines, a line 1 MiB, a document 64 MiB, a tail 2 KiB.
"""

from __future__ import annotations

import queue
import threading
from dataclasses import dataclass
from typing import IO, TypeAlias

from pkg.restic.messages import Message, decode_line, is_noise

LINE_BYTES = 1 << 20
DOCUMENT_BYTES = 64 << 20
TAIL_BYTES = 2048
_INBOX_LINES = 1000
_NOISE_LINES = 3
_NOISE_BYTES = 200


@dataclass(frozen=True, slots=True)
class EndOfStream:
    """One of the two streams has ended."""


@dataclass(frozen=True, slots=True)
class WakeUp:
    """Somebody wants the waiting thread to look at its deadlines."""


@dataclass(frozen=True, slots=True)
class Noise:
    """Lines that should have been JSON and are not: how many, and the beginning of the first three."""

    count: int = 0
    first: tuple[str, ...] = ()


Item: TypeAlias = Message | EndOfStream | WakeUp


class Output:
    """The output of one child.

    Args:
        name: For the names of the threads.
        keep_document: Whether standard output is one document that is wanted whole.
    """

    def __init__(self, name: str, *, keep_document: bool) -> None:
        self.inbox: queue.Queue[Item] = queue.Queue(_INBOX_LINES)
        self._name = name
        self._keep_document = keep_document
        self._document = bytearray()
        self._tail = bytearray()
        self._noise = Noise()
        self._noise_lock = threading.Lock()
        self._threads: list[threading.Thread] = []

    def start(self, stdout: IO[bytes], stderr: IO[bytes]) -> None:
        """Begins to read; each stream puts one EndOfStream at its end."""
        for label, stream in (("stdout", stdout), ("stderr", stderr)):
            target = self._read_document if label == "stdout" and self._keep_document else self._read_lines
            arguments = (stream,) if target == self._read_document else (stream, label == "stderr")
            thread = threading.Thread(target=target, args=arguments, name=f"{self._name}-{label}", daemon=True)
            self._threads.append(thread)
            thread.start()

    @property
    def document(self) -> bytes:
        """Standard output whole, when it is kept."""
        return bytes(self._document)

    @property
    def stderr_tail(self) -> str:
        """The end of standard error."""
        return bytes(self._tail).decode(errors="replace")

    @property
    def noise(self) -> Noise:
        """What was no message though it should have been one; of standard error only broken JSON."""
        with self._noise_lock:
            return self._noise

    def _read_lines(self, stream: IO[bytes], is_stderr: bool) -> None:
        with stream:
            while line := stream.readline(LINE_BYTES):
                if is_stderr:
                    self._tail += line
                    del self._tail[:-TAIL_BYTES]
                if message := decode_line(line):
                    self.inbox.put(message)
                elif (not is_stderr or line.startswith(b"{")) and is_noise(line):
                    self._note(line)
        self.inbox.put(EndOfStream())

    def _note(self, line: bytes) -> None:
        text = line[:_NOISE_BYTES].decode(errors="replace").strip()
        with self._noise_lock:
            first = self._noise.first if len(self._noise.first) == _NOISE_LINES else (*self._noise.first, text)
            self._noise = Noise(count=self._noise.count + 1, first=first)

    def _read_document(self, stream: IO[bytes]) -> None:
        with stream:
            while piece := stream.read1(LINE_BYTES) if hasattr(stream, "read1") else stream.read(LINE_BYTES):
                if len(self._document) < DOCUMENT_BYTES:
                    self._document += piece
        self.inbox.put(EndOfStream())
