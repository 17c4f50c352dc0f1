"""TLS with a certificate of the test's own authority in front of a plain server, and a rule that may answer first.

Emulators accept what the real service refuses. The rule is where a test says what is refused; everything else is
forwarded unchanged (the Host header too, which signatures cover), and every request is recorded.
"""

from __future__ import annotations

import http.client
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self, TypeAlias

from pkg.testing.faultproxy_wire import RECEIVE_BYTES
from pkg.testing.pki import Credentials

UPSTREAM_SECONDS = 60
_OF_ONE_CONNECTION = {"connection", "keep-alive", "transfer-encoding", "content-length", "expect"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request, as far as a rule may judge it; the body only where the rule's server reads it."""

    method: str
    path: str
    headers: Message
    body: bytes = b""

    def header(self, name: str) -> str:
        """One header, empty when there is none."""
        return self.headers.get(name) or ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a rule answers in the server's place."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


Rule: TypeAlias = Callable[[Asked], Answer | None]


class TlsFront:
    """One listener on the loopback.

    Args:
        upstream: Port of the plain server on the loopback; 0 for none, when the rule answers everything.
        certificate: What it shows; None for no TLS.
        rule: Asked first.

    Attributes:
        asked: Every request so far.
    """

    def __init__(self, upstream: int, certificate: Credentials | None, rule: Rule | None = None) -> None:
        self.asked: list[Asked] = []
        self.upstream = upstream
        self.rule = rule or (lambda asked: None)
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.front = self
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate.certificate_file, certificate.key_file)
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._thread = threading.Thread(target=self._server.serve_forever, name="tls-front", daemon=True)

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._server.server_port

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    front: TlsFront

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that does not trust us, or goes away, is what some tests want."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def _serve(self) -> None:
        front = self.server.front
        body = b"".join(self._body())
        asked = Asked(method=self.command, path=self.path, headers=self.headers, body=body)
        front.asked.append(asked)
        if answer := front.rule(asked):
            self._answer(answer)
        else:
            self._forward(asked)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do_PATCH = _serve

    def _body(self) -> Iterator[bytes]:
        if "chunked" in self.headers.get("transfer-encoding", ""):
            while size := int(self.rfile.readline().split(b";")[0], 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            while self.rfile.readline().strip():
                continue
        else:
            yield self.rfile.read(int(self.headers.get("content-length") or 0))

    def _forward(self, asked: Asked) -> None:
        upstream = http.client.HTTPConnection("127.0.0.1", self.server.front.upstream, timeout=UPSTREAM_SECONDS)
        try:
            upstream.putrequest(asked.method, asked.path, skip_host=True, skip_accept_encoding=True)
            for name, value in asked.headers.items():
                if name.lower() not in _OF_ONE_CONNECTION:
                    upstream.putheader(name, value)
            if asked.body or asked.method in ("PUT", "POST"):
                upstream.putheader("Content-Length", str(len(asked.body)))
            upstream.endheaders(asked.body)
            self._pass_on(upstream.getresponse())
        finally:
            upstream.close()

    def _pass_on(self, response: http.client.HTTPResponse) -> None:
        self.send_response_only(response.status, response.reason)
        for name, value in response.getheaders():
            if name.lower() not in _OF_ONE_CONNECTION:
                self.send_header(name, value)
        length = response.getheader("content-length")
        bodiless = self.command == "HEAD" or response.status in (204, 304)
        content = None if bodiless or length else response.read()
        self.send_header("Content-Length", str(len(content)) if content is not None else length or "0")
        self.end_headers()
        if content is not None:
            self.wfile.write(content)
        while not bodiless and content is None and (piece := response.read(RECEIVE_BYTES)):
            self.wfile.write(piece)

    def _answer(self, answer: Answer) -> None:
        self.send_response_only(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def log_message(self, *args: object) -> None:
        """Stays quiet: what was asked is in `asked`."""
