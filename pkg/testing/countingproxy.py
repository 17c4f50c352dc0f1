"""A proxy in front of an object store that counts what it is asked: requests are what stores are paid for.

It passes every byte on as it came, so signatures stay valid; only the heads of requests are read.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections import Counter
from types import TracebackType
from typing import Self

from pkg.testing.faultproxy_wire import RECEIVE_BYTES, Wire, WireEndError

ACCEPT_SECONDS = 0.2


class CountingProxy:
    """Listens on loopback before one plain HTTP server; a context manager.

    Args:
        upstream: Host and port of the server.
    """

    def __init__(self, upstream: tuple[str, int]) -> None:
        self._upstream = upstream
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(ACCEPT_SECONDS)
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._sockets: set[socket.socket] = set()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._accept, name="counting-proxy", daemon=True)

    @property
    def endpoint(self) -> str:
        """Where it listens."""
        host, port = self._listener.getsockname()
        return f"http://{host}:{port}"

    @property
    def counts(self) -> Counter[str]:
        """How often each method was asked for so far."""
        with self._lock:
            return self._counts.copy()

    def _accept(self) -> None:
        while not self._stopped.is_set():
            try:
                client, _ = self._listener.accept()
            except TimeoutError:
                continue
            threading.Thread(target=self._serve, args=(client,), name="counted-connection", daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        client.settimeout(None)
        with client, socket.create_connection(self._upstream) as server:
            with self._lock:
                self._sockets |= {client, server}
            back = threading.Thread(target=_copy, args=(server, client), name="counted-answers", daemon=True)
            back.start()
            with contextlib.suppress(OSError):
                self._pass_requests(Wire(client), server)
            with contextlib.suppress(OSError):
                server.shutdown(socket.SHUT_WR)
            back.join()
            with self._lock:
                self._sockets -= {client, server}

    def _pass_requests(self, client: Wire, server: socket.socket) -> None:
        while (head := client.head()) is not None:
            with self._lock:
                self._counts[head.split(b" ", 1)[0].decode()] += 1
            server.sendall(head + b"\r\n\r\n")
            _pass_body(client, server, head)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._thread.join()
        self._listener.close()
        with self._lock:
            for one in self._sockets:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)


def _pass_body(client: Wire, server: socket.socket, head: bytes) -> None:
    headers = dict(line.lower().split(b":", 1) for line in head.split(b"\r\n")[1:])
    if headers.get(b"transfer-encoding", b"").strip() == b"chunked":
        raise WireEndError("a chunked request is nothing that a store is sent")
    left = int(headers.get(b"content-length", b"0"))
    while left:
        data = client.exactly(min(left, RECEIVE_BYTES))
        server.sendall(data)
        left -= len(data)


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(RECEIVE_BYTES):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
