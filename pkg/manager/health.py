"""/healthz, /readyz and /metrics on one small HTTP server; every other path is 404.

Liveness never asks the API server: a process that waits for it is not ill. Readiness is a list of named checks.
Anybody in the cluster can connect, so the number of threads is bounded and a silent connection is closed.

| asked for | answered |
| --- | --- |
| /readyz | ok; or 500 and the list of checks when one fails |
| /readyz?verbose | the list, whatever it says |
| /readyz?exclude=NAME | without that check; may be repeated |
| /readyz/NAME | one check alone |
"""

from __future__ import annotations

import errno
import http.server
import socket
import socketserver
import sys
import threading
from http import HTTPStatus

import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from pkg.manager.checks import Check, report
from pkg.manager.errors import ListenError

SOCKET_TIMEOUT_SECONDS = 10
MAX_CONNECTIONS = 16
_NO_IPV6 = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)

log = structlog.get_logger()


class HealthServer:
    """The server; a check returns None when all is well, else a sentence that anybody may read.

    Args:
        address: `HOST:PORT`; without a host it listens on every address, IPv6 too.
        registry: What /metrics shows.

    Raises:
        ListenError: nobody can listen there.
    """

    def __init__(self, address: str, registry: CollectorRegistry) -> None:
        host, _, port = address.rpartition(":")
        self._registry = registry
        self._checks: dict[str, dict[str, Check]] = {"/healthz": {}, "/readyz": {}}
        try:
            self._server = _open(host.strip("[]"), int(port), self._handler_class())
        except OSError as error:
            raise ListenError(f"cannot listen on {address} for health and metrics: {error.strerror}") from error

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._server.server_address[1])

    def add_health_check(self, name: str, check: Check) -> None:
        """Adds a condition of being alive."""
        self._checks["/healthz"] |= {name: check}

    def add_ready_check(self, name: str, check: Check) -> None:
        """Adds a condition of being ready."""
        self._checks["/readyz"] |= {name: check}

    def start(self) -> None:
        """Serves in a thread until `stop`."""
        threading.Thread(target=self._server.serve_forever, args=(0.2,), name="health", daemon=True).start()

    def stop(self) -> None:
        """Stops serving; only after `start`."""
        self._server.shutdown()
        self._server.server_close()

    def answer(self, path: str, accept: str) -> tuple[int, str, bytes]:
        """Status, content type and body for a path."""
        path, _, query = path.partition("?")
        path = path.rstrip("/")
        if path == "/metrics":
            encoder, content_type = choose_encoder(accept)
            return HTTPStatus.OK, content_type, encoder(self._registry)
        endpoint, _, name = path[1:].partition("/")
        checks = dict(self._checks.get(f"/{endpoint}", {}))
        if path in self._checks or name in checks:
            return report(checks, name, query)
        return HTTPStatus.NOT_FOUND, "text/plain", b"not found: try /healthz, /readyz or /metrics\n"

    def _handler_class(self) -> type[http.server.BaseHTTPRequestHandler]:
        health = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = SOCKET_TIMEOUT_SECONDS

            def do_GET(self) -> None:
                status, content_type, body = health.answer(self.path, self.headers.get("Accept", ""))
                self.send_response(status)
                self.send_header("Content-Type", content_type)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            do_HEAD = do_GET

            def log_message(self, *args: object) -> None:
                log.debug("Health request", request=args[1:] if args else ())

        return Handler


class _Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """A connection beyond the limit is closed at once; the probe or Prometheus comes again."""

    daemon_threads = True
    block_on_close = False

    def __init__(
        self, family: socket.AddressFamily, address: tuple[str, int], handler: type[http.server.BaseHTTPRequestHandler]
    ) -> None:
        self.address_family = family
        self._free = threading.BoundedSemaphore(MAX_CONNECTIONS)
        super().__init__(address, handler)

    def server_bind(self) -> None:
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        socketserver.TCPServer.server_bind(self)  # HTTPServer's asks DNS for the host's name
        self.server_name, self.server_port = "", self.server_address[1]

    def process_request(self, request: socket.socket | tuple[bytes, socket.socket], client_address: object) -> None:
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:  # no thread was started, so nobody else releases
            self._free.release()
            raise

    def process_request_thread(
        self, request: socket.socket | tuple[bytes, socket.socket], client_address: object
    ) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: socket.socket | tuple[bytes, socket.socket], client_address: object) -> None:
        log.debug("Health connection broke", error=str(sys.exception()))


def _open(host: str, port: int, handler: type[http.server.BaseHTTPRequestHandler]) -> _Server:
    if host and ":" not in host:
        return _Server(socket.AF_INET, (host, port), handler)
    try:
        return _Server(socket.AF_INET6, (host or "::", port), handler)
    except OSError as error:
        if host or error.errno not in _NO_IPV6:
            raise
    return _Server(socket.AF_INET, ("", port), handler)
