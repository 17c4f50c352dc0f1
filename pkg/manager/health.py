"""/healthz, /readyz and /metrics on one small HTTP server; every other path is 404.

Liveness never asks the API server: a process that waits for it is not ill. Readiness is a list of named checks.
"""

from __future__ import annotations

import http.server
import threading
from collections.abc import Callable

import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

SOCKET_TIMEOUT_SECONDS = 10

log = structlog.get_logger()

Check = Callable[[], str | None]


class HealthServer:
    """The server; a check returns None when all is well, else a sentence."""

    def __init__(self, address: str, registry: CollectorRegistry) -> None:
        host, _, port = address.rpartition(":")
        self._registry = registry
        self._checks: dict[str, dict[str, Check]] = {"/healthz": {}, "/readyz": {}}
        self._server = http.server.ThreadingHTTPServer((host.strip("[]"), int(port)), self._handler_class())
        self._server.daemon_threads = True

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._server.server_address[1])

    def add_health_check(self, name: str, check: Check) -> None:
        """Adds a condition of being alive."""
        self._checks["/healthz"][name] = check

    def add_ready_check(self, name: str, check: Check) -> None:
        """Adds a condition of being ready."""
        self._checks["/readyz"][name] = check

    def start(self) -> None:
        """Serves in a thread until `stop`."""
        threading.Thread(target=self._server.serve_forever, args=(0.2,), name="health", daemon=True).start()

    def stop(self) -> None:
        """Stops serving."""
        self._server.shutdown()
        self._server.server_close()

    def answer(self, path: str, accept: str) -> tuple[int, str, bytes]:
        """Status, content type and body for a path."""
        path = path.split("?", 1)[0].rstrip("/")
        if path == "/metrics":
            encoder, content_type = choose_encoder(accept)
            return 200, content_type, encoder(self._registry)
        if path in self._checks:
            return self._report(self._checks[path])
        return 404, "text/plain", b"not found: try /healthz, /readyz or /metrics\n"

    def _report(self, checks: dict[str, Check]) -> tuple[int, str, bytes]:
        found = {name: check() for name, check in checks.items()}
        lines = [f"[+]{name} ok" if why is None else f"[-]{name} failed: {why}" for name, why in found.items()]
        failed = any(why is not None for why in found.values())
        return (
            (500 if failed else 200),
            "text/plain",
            ("\n".join([*lines, "failed" if failed else "ok"]) + "\n").encode(),
        )

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
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                log.debug("Health request", request=args[1:] if args else ())

        return Handler
