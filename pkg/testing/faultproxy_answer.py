"""The real API server's side of a fault proxy: one connection, its answers, and answers that are made up."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urlsplit

from pkg.testing.faultproxy_faults import Fault
from pkg.testing.faultproxy_request import Request
from pkg.testing.faultproxy_wire import Wire

CONNECT_SECONDS = 10.0
HOP_HEADERS = ("connection", "keep-alive", "transfer-encoding", "content-length", "accept-encoding", "host")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The head of an answer; the body is still on the wire."""

    status: int
    headers: tuple[tuple[str, str], ...]

    def header(self, name: str) -> str:
        """A header's value, empty when it is absent."""
        return next((value for key, value in self.headers if key.lower() == name), "")

    @property
    def is_chunked(self) -> bool:
        """Whether the body comes in chunks."""
        return self.header("transfer-encoding").lower() == "chunked"

    def head(self, *framing: str) -> bytes:
        """The head as it is sent on, with our own framing."""
        kept = [f"{name}: {value}" for name, value in self.headers if name.lower() not in HOP_HEADERS]
        lines = [f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}", *kept, *framing]
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """Where the real API server is, and how it is spoken to."""

    url: str
    tls: ssl.SSLContext | None = None

    def connect(self) -> Wire:
        """Opens a connection; OSError when there is none."""
        parts = urlsplit(self.url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        plain = socket.create_connection((parts.hostname or "", port), CONNECT_SECONDS)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connected = self.tls.wrap_socket(plain, server_hostname=parts.hostname) if self.tls else plain
        connected.settimeout(None)
        return Wire(connected)

    def head(self, request: Request, target: str, *, hop_headers: bool = False) -> bytes:
        """The request's head as it is sent on; hop-by-hop headers only where all passes untouched."""
        kept = [
            f"{name}: {value}"
            for name, value in request.headers
            if name.lower() not in HOP_HEADERS or (hop_headers and name.lower() != "host")
        ]
        length = [f"Content-Length: {len(request.body)}"] if request.body else []
        lines = [f"{request.method} {target} HTTP/1.1", f"Host: {urlsplit(self.url).netloc}", *kept, *length]
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"


def read_answer(wire: Wire) -> Answer | None:
    """The head of the next answer that is one; None when the server is done."""
    while (head := wire.head()) is not None:
        first, *rest = head.decode("latin-1").split("\r\n")
        status = int(first.split(" ")[1])
        if status >= 200 or status == HTTPStatus.SWITCHING_PROTOCOLS:
            headers = tuple((name, value) for name, _, value in (line.partition(": ") for line in rest))
            return Answer(status=status, headers=headers)
    return None


def read_body(wire: Wire, request: Request, answer: Answer) -> bytes:
    """The whole body; WireEndError when the server ended before."""
    if request.method == "HEAD" or answer.status in (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED):
        return b""
    if answer.is_chunked:
        return b"".join(iter(wire.chunk, b""))
    if length := answer.header("content-length"):
        return wire.exactly(int(length))
    return wire.rest()


def status_object(fault: Fault) -> dict[str, object]:
    """The Status that a fault speaks of."""
    code = fault.code or 500
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": fault.text or f"injected: {HTTPStatus(code).phrase}",
        "reason": fault.reason,
        "code": code,
        "details": {"retryAfterSeconds": fault.retry_after_seconds} if fault.retry_after_seconds else {},
    }


def whole_answer(status: int, body: bytes, headers: Sequence[str] = ()) -> bytes:
    """An answer of our own."""
    made = Answer(status=status, headers=(("Content-Type", "application/json"),))
    return made.head(f"Content-Length: {len(body)}", *headers) + body


def status_answer(fault: Fault) -> bytes:
    """The answer that refuses a request."""
    headers = [f"Retry-After: {fault.retry_after_seconds}"] if fault.retry_after_seconds else []
    return whole_answer(fault.code or 500, json.dumps(status_object(fault)).encode(), headers)


def error_event(fault: Fault) -> bytes:
    """The line that ends a watch with a Status."""
    return json.dumps({"type": "ERROR", "object": status_object(fault)}).encode() + b"\n"
