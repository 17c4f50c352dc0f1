"""Serves files of the bucket to the CLI on the pod's loopback only, for a one-time token.

It exists because a presigned address often cannot be reached from where the CLI runs. Who may port-forward to this
pod may read it: Kubernetes RBAC decides (operators.md 28). A token is good for one read and for ten minutes.
"""

from __future__ import annotations

import hmac
import http.server
import shutil
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import structlog

from pkg.kube.clock import Clock
from pkg.kube.stop import StopToken
from pkg.objectstore.errors import StoreError

PATH_PREFIX = "/download/"
SOCKET_TIMEOUT_SECONDS = 60

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """One file, for one reader."""

    token: str
    expires_at: float
    fetch: Callable[[BinaryIO], object]


class DownloadListener:
    """The listener and its grants; grants die with the process, and the CLI then asks again."""

    def __init__(self, clock: Clock, scratch_dir: Path) -> None:
        self._clock = clock
        self._scratch_dir = scratch_dir
        self._lock = threading.Lock()
        self._grants: dict[str, Grant] = {}
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler_class())
        self._server.daemon_threads = True

    @property
    def port(self) -> int:
        """The port on loopback."""
        return int(self._server.server_address[1])

    def grant(self, name: str, token: str, expires_at: float, fetch: Callable[[BinaryIO], object]) -> None:
        """Lets one reader have one file until a monotonic time."""
        with self._lock:
            now = self._clock.monotonic()
            self._grants = {key: grant for key, grant in self._grants.items() if grant.expires_at > now}
            self._grants[name] = Grant(token=token, expires_at=expires_at, fetch=fetch)

    def run(self, stop: StopToken) -> None:
        """Serves until stopped."""
        stop.on_cancel(lambda: threading.Thread(target=self._server.shutdown, name="download-stop").start())
        self._server.serve_forever(poll_interval=0.2)
        self._server.server_close()

    def take(self, name: str, token: str) -> Grant | None:
        """The grant, if the token is right; it is gone afterwards."""
        with self._lock:
            grant = self._grants.get(name)
            if grant is None or not hmac.compare_digest(grant.token.encode(), token.encode()):
                return None
            del self._grants[name]
        return grant if grant.expires_at > self._clock.monotonic() else None

    def serve(self, request: http.server.BaseHTTPRequestHandler) -> None:
        """Answers one request."""
        name = request.path.removeprefix(PATH_PREFIX) if request.path.startswith(PATH_PREFIX) else ""
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        grant = self.take(name, token)
        if grant is None:
            request.send_error(403, "no such download, or its token was used already")
            return
        with tempfile.TemporaryFile(dir=self._scratch_dir) as spool:
            try:
                grant.fetch(spool)
            except StoreError as error:
                request.send_error(502, str(error)[:200].replace("\n", " "))
                return
            self._send(request, spool)

    def _send(self, request: http.server.BaseHTTPRequestHandler, spool: BinaryIO) -> None:
        size = spool.seek(0, 2)
        spool.seek(0)
        request.send_response(200)
        request.send_header("Content-Type", "application/octet-stream")
        request.send_header("Content-Length", str(size))
        request.end_headers()
        shutil.copyfileobj(spool, request.wfile)

    def _handler_class(self) -> type[http.server.BaseHTTPRequestHandler]:
        listener = self

        class Handler(http.server.BaseHTTPRequestHandler):
            timeout = SOCKET_TIMEOUT_SECONDS

            def do_GET(self) -> None:
                listener.serve(self)

            def log_message(self, *args: object) -> None:
                log.debug("Download request", peer=self.address_string())

        return Handler
