"""A transport for short-lived programs: one connection of the standard library, kept open between requests.

It starts in a tenth of the time of `pkg.kube.transport` and does less: no limiter, no refresh of credentials, no
streams and no websockets. Those it takes from the full transport, which is loaded when one is asked for.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import select
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode, urlsplit

from pkg import __version__
from pkg.kube.errors import TransportError
from pkg.kube.plain import Plain, plain_connection, tls_context
from pkg.kube.status import error_from_response
from pkg.kube.stop import StopToken
from pkg.kube.wire import JSON_TYPE, REQUEST_SECONDS, ByteStream, Response, Transport

if TYPE_CHECKING:  # the import is what this module saves
    from pkg.kube.transport import KubeTransport

CONNECT_SECONDS: Final = 10.0
DEFAULT_KUBECONFIG: Final = "~/.kube/config"
_CHUNK_BYTES: Final = 1 << 18
USER_AGENT: Final = f"ark/{__version__}"


class QuickTransport:
    """A `Transport` with a connection for each thread."""

    def __init__(self, plain: Plain, kubeconfig: str = "", context: str = "") -> None:
        self._plain = plain
        self._source = (kubeconfig, context)
        self._address = urlsplit(plain.server)
        self._tls = tls_context(plain)
        self._kept = threading.local()

    def full(self) -> KubeTransport:
        """The transport that can do everything."""
        from pkg.kube.transport import load_transport  # costs 0.3 s

        return load_transport(*self._source)

    def close(self) -> None:
        """Closes this thread's connection."""
        self._drop()

    def until(self, stop: StopToken) -> Transport:
        """The full transport: this one cannot be interrupted."""
        return self.full().until(stop)

    def open_stream(
        self,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        read_timeout_seconds: float,
        accept: str = JSON_TYPE,
    ) -> ByteStream:
        """A stream of the full transport."""
        return self.full().open_stream(path, query=query, read_timeout_seconds=read_timeout_seconds, accept=accept)

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        content_type: str = JSON_TYPE,
        accept: str = JSON_TYPE,
        timeout_seconds: float = REQUEST_SECONDS,
    ) -> Response:
        """Sends one request, once, and returns the answer; see `Transport.request`."""
        deadline = time.monotonic() + timeout_seconds
        headers = {"Accept": accept, "User-Agent": USER_AGENT}
        headers |= {"Content-Type": content_type} if body is not None else {}
        headers |= {"Authorization": f"Bearer {self._plain.token}"} if self._plain.token else {}
        what = f"{method} {path}"
        url = f"{self._address.path}{path}?{urlencode(query)}" if query else f"{self._address.path}{path}"
        try:
            connection = self._connected(deadline)
            connection.request(method, url, body=body, headers=headers)
            answer = connection.getresponse()
            data = _read(answer, connection, deadline, what)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self._drop()
            raise TransportError(f"{what}: {self._plain.server}: {type(error).__name__}: {error}") from error
        except TransportError:
            self._drop()
            raise
        if answer.will_close:
            self._drop()
        if answer.status >= 300:
            raise error_from_response(what, answer.status, dict(answer.headers), data)
        return Response(status=answer.status, headers=dict(answer.headers), body=data)

    def _connected(self, deadline: float) -> http.client.HTTPConnection:
        """The open connection, unless the server has closed it meanwhile; nothing is ever sent twice."""
        left = max(0.001, deadline - time.monotonic())
        kept: http.client.HTTPConnection | None = getattr(self._kept, "connection", None)
        if kept is not None and kept.sock is not None and not select.select([kept.sock], [], [], 0)[0]:
            kept.sock.settimeout(left)
            return kept
        self._drop()
        host, port = self._address.hostname or "", self._address.port
        timeout = min(CONNECT_SECONDS, left)
        made = (
            http.client.HTTPSConnection(host, port, timeout=timeout, context=self._tls)
            if self._tls
            else http.client.HTTPConnection(host, port, timeout=timeout)
        )
        made.connect()
        made.sock.settimeout(left)
        self._kept.connection = made
        return made

    def _drop(self) -> None:
        kept: http.client.HTTPConnection | None = getattr(self._kept, "connection", None)
        self._kept.connection = None
        if kept is not None:
            with contextlib.suppress(OSError):
                kept.close()


def _read(
    answer: http.client.HTTPResponse, connection: http.client.HTTPConnection, deadline: float, what: str
) -> bytes:
    """Reads to the end, within the request's time also when the server trickles."""
    chunks = []
    while chunk := answer.read1(_CHUNK_BYTES):
        chunks.append(chunk)
        left = deadline - time.monotonic()
        if left <= 0:
            raise TransportError(f"{what}: the answer did not end in time")
        if connection.sock is not None:
            connection.sock.settimeout(left)
    if answer.length:  # more was promised than came
        raise TransportError(f"{what}: the answer broke off")
    answer.close()  # an answer of known length does not notice its end by read1, and the connection would stay busy
    return b"".join(chunks)


def quick_transport(kubeconfig: str = "", context: str = "") -> QuickTransport | None:
    """The transport for the flag, KUBECONFIG or ~/.kube/config; None where only the full one will do.

    Raises:
        KubeconfigError: one sentence that names the file and the field.
    """
    named = kubeconfig or os.environ.get("KUBECONFIG", "")
    if not named and not context and os.environ.get("KUBERNETES_SERVICE_HOST"):
        return None  # perhaps a pod's service account
    plain = plain_connection(named or DEFAULT_KUBECONFIG, context, os.environ)
    return QuickTransport(plain, kubeconfig, context) if plain else None
