"""An HTTP server on the loopback whose every byte a test decides, for the client's worst days."""

from __future__ import annotations

import functools
import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self, TypeAlias

from pkg.testing.processes import HarnessError

WAIT_SECONDS = 30.0


class Exchange:
    """One request that came and the connection to answer it on."""

    def __init__(self, connection: socket.socket, head: bytes, body: bytes, ended: threading.Event) -> None:
        self.connection = connection
        self.head = head.decode("latin-1")
        self.body = body
        self._ended = ended

    @property
    def line(self) -> str:
        """Such as `GET /api HTTP/1.1`."""
        return self.head.split("\r\n", 1)[0]

    def header(self, name: str) -> str:
        """A header's value, empty when it is absent."""
        for line in self.head.split("\r\n")[1:]:
            key, _, value = line.partition(": ")
            if key.lower() == name.lower():
                return value
        return ""

    def send(self, data: bytes) -> None:
        """Sends bytes as they are."""
        self.connection.sendall(data)

    def answer(self, status: int = 200, body: bytes = b"{}", *headers: str) -> None:
        """Sends a whole answer."""
        lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", *headers]
        self.send("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    def reset(self) -> None:
        """Ends the connection with a RST."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.connection.close()

    def hang(self) -> None:
        """Says nothing until the server is closed."""
        self._ended.wait(WAIT_SECONDS)


Handler: TypeAlias = Callable[[Exchange], None]


class RawServer:
    """Serves until its context ends; the handler is called for each request, in the connection's thread."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._ended = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads: list[threading.Thread] = []
        self.exchanges: list[Exchange] = []
        self._spawn(self._accept)

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def _spawn(self, run: Callable[[], None]) -> None:
        thread = threading.Thread(target=run, name="raw server", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._ended.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._spawn(functools.partial(self._serve, connection))

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            while (exchange := self._receive(connection)) is not None:
                self.exchanges.append(exchange)
                try:
                    self._handler(exchange)
                except OSError:
                    return

    def _receive(self, connection: socket.socket) -> Exchange | None:
        data = b""
        try:
            while b"\r\n\r\n" not in data:
                if not (more := connection.recv(65536)):
                    return None
                data += more
            head, body = data.split(b"\r\n\r\n", 1)
            exchange = Exchange(connection, head, body, self._ended)
            while len(exchange.body) < int(exchange.header("Content-Length") or 0):
                exchange.body += connection.recv(65536)
        except OSError:
            return None
        return exchange

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for exchange in self.exchanges:
            try:
                exchange.connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        for thread in self._threads:
            thread.join(WAIT_SECONDS)
            if thread.is_alive():
                raise HarnessError("a thread of the raw server does not end")
