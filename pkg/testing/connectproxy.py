"""An HTTP proxy as companies have them: it tunnels, counts, and knows where the names of the test lie.

Names are routed to ports of this machine, so a client that is told of the proxy reaches `storage.googleapis.com` in
the test's own server, and one that goes past the proxy reaches nothing. A name without a route is dialled as it is.
"""

from __future__ import annotations

import select
import socket
import socketserver
import threading
import urllib.parse
from collections import Counter
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from pkg.testing.faultproxy_wire import Wire, WireEndError

CONNECT_SECONDS = 5
IDLE_SECONDS = 60
RECEIVE_BYTES = 1 << 16


class ConnectProxy:
    """One proxy on a free port of the loopback.

    Attributes:
        seen: How often each host was asked for; a tunnel counts once.
    """

    def __init__(self, routes: Mapping[str, int] | None = None) -> None:
        self.routes = dict(routes or {})
        self.seen: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.proxy = self
        self._thread = threading.Thread(target=self._server.serve_forever, name="connect-proxy", daemon=True)

    @property
    def url(self) -> str:
        """What HTTPS_PROXY is set to."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def connect(self, host: str, port: int) -> socket.socket:
        """Counts the host and connects to where its name is routed."""
        with self._lock:
            self.seen[host] += 1
        routed = self._route(host)
        return socket.create_connection(("127.0.0.1", routed) if routed else (host, port), CONNECT_SECONDS)

    def _route(self, host: str) -> int | None:
        parent = "*." + host.partition(".")[2]
        return self.routes.get(host) or self.routes.get(parent)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    proxy: ConnectProxy

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away in the middle is no news."""


class _Handler(socketserver.BaseRequestHandler):
    server: _Server

    def handle(self) -> None:
        """Serves one connection: a tunnel, or one plain request."""
        wire = Wire(self.request)
        head = wire.head()
        if head is None:
            return
        method, target, *_ = head.decode("latin-1").split(" ", 2)
        address = urllib.parse.urlsplit(f"//{target}" if method == "CONNECT" else target)
        try:
            upstream = self.server.proxy.connect(address.hostname or "", address.port or 80)
        except OSError:
            wire.send(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return
        with upstream:
            if method == "CONNECT":
                wire.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                upstream.sendall(_origin_form(head, address))
            _relay(wire, upstream)


def _origin_form(head: bytes, address: urllib.parse.SplitResult) -> bytes:
    """The request as the server behind the proxy takes it, and as the last one of its connection."""
    first, _, rest = head.partition(b"\r\n")
    method, _, version = first.split(b" ", 2)
    path = urllib.parse.urlunsplit(("", "", address.path or "/", address.query, "")).encode("latin-1")
    kept = [line for line in rest.split(b"\r\n") if not line.lower().startswith((b"connection:", b"proxy-"))]
    return b"\r\n".join([b" ".join((method, path, version)), *kept, b"Connection: close", b"", b""])


def _relay(wire: Wire, upstream: socket.socket) -> None:
    other = {wire.socket: upstream, upstream: wire.socket}
    if wire.has_data:
        upstream.sendall(wire.some())
    while ready := select.select(list(other), [], [], IDLE_SECONDS)[0]:
        for side in ready:
            try:
                data = side.recv(RECEIVE_BYTES)
                other[side].sendall(data)
            except (OSError, WireEndError):
                return
            if not data:
                return
