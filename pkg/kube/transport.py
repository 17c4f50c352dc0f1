"""The one way out to the API server.

A request is sent once: urllib3's retries are off, and nothing here waits for a Retry-After. Whatever goes wrong
leaves as an error of `pkg.kube.errors`. Importing this module imports the kubernetes package, half a second.
"""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlencode

import urllib3

from pkg import __version__
from pkg.kube.abort import Abort
from pkg.kube.errors import KubeError, TransportError
from pkg.kube.limiter import Limiter
from pkg.kube.session import Credentials, Session, Source, find_source, in_cluster_source, kubeconfig_source
from pkg.kube.status import error_from_response
from pkg.kube.stop import StopToken
from pkg.kube.stream import KubeStream
from pkg.kube.wire import JSON_TYPE, REQUEST_SECONDS, ByteStream, Response, Transport

__all__ = ["ByteStream", "KubeTransport", "Response", "Transport", "load_transport"]

CONNECT_SECONDS: Final = 10.0
OPEN_STREAM_SECONDS: Final = 30.0
_CHUNK_BYTES: Final = 1 << 18
_ERROR_BODY_BYTES: Final = 1 << 16
USER_AGENT: Final = f"ark/{__version__}"


class _TlsError(TransportError):
    """One side does not accept the other's certificate, or there was no handshake at all."""


class KubeTransport:
    """A `Transport` over the kubernetes package's connection pool; thread-safe."""

    def __init__(self, session: Session, *, limiter: Limiter | None = None, stop: StopToken | None = None) -> None:
        self.session = session
        self.limiter = limiter or Limiter()
        self._stop = stop

    @classmethod
    def from_source(cls, source: Source) -> KubeTransport:
        """A transport for a configuration that was found."""
        return cls(Session(source))

    @classmethod
    def from_kubeconfig(cls, path: str | None = None, context: str | None = None) -> KubeTransport:
        """A transport by a kubeconfig file; raises KubeconfigError."""
        return cls.from_source(kubeconfig_source(path, context or "") if path else find_source("", context or ""))

    @classmethod
    def in_cluster(cls) -> KubeTransport:
        """A transport by the pod's service account; raises KubeconfigError."""
        return cls.from_source(in_cluster_source())

    def new_connection(self) -> KubeTransport:
        """The same server with a pool and a limiter of its own, so that nobody else's trouble delays it."""
        return KubeTransport(self.session.twin())

    def until(self, stop: StopToken) -> KubeTransport:
        """The same connections and limiter for work that ends with the token."""
        return KubeTransport(self.session, limiter=self.limiter, stop=stop)

    @property
    def namespace(self) -> str:
        """The namespace of the context or of the service account; empty when there is none."""
        return self.session.source.namespace

    @property
    def host(self) -> str:
        """The server's address."""
        return self.session.host

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
        if body is not None:
            headers["Content-Type"] = content_type
        what = f"{method} {path}"
        with self._abort():
            response = self._send(what, method, _url(path, query), body, headers, timeout_seconds, timeout_seconds)
            with response:
                data = _read_body(response, deadline, what)
        if response.status >= 300:
            raise error_from_response(what, response.status, response.headers, data)
        return Response(status=response.status, headers=response.headers, body=data)

    def open_stream(
        self,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        read_timeout_seconds: float,
        accept: str = JSON_TYPE,
    ) -> ByteStream:
        """Opens a GET whose answer does not end by itself; see `Transport.open_stream`."""
        headers = {"Accept": accept, "User-Agent": USER_AGENT}
        what = f"GET {path}"
        opening = min(OPEN_STREAM_SECONDS, read_timeout_seconds)
        with self._abort():
            response = self._send(what, "GET", _url(path, query), None, headers, opening, opening)
        if response.status >= 300:
            with response:
                data = _read_body(response, time.monotonic() + OPEN_STREAM_SECONDS, what)
            raise error_from_response(what, response.status, response.headers, data[:_ERROR_BODY_BYTES])
        stream = KubeStream(response, what, on_end=self.limiter.doubt)
        stream.allow_silence(read_timeout_seconds)
        return stream

    def close(self) -> None:
        """Closes idle connections."""
        self.session.close()

    def _abort(self) -> contextlib.AbstractContextManager[object]:
        return Abort(self._stop) if self._stop else contextlib.nullcontext()

    def _send(
        self,
        what: str,
        method: str,
        url: str,
        body: bytes | None,
        headers: dict[str, str],
        admit_seconds: float,
        read_seconds: float,
    ) -> urllib3.BaseHTTPResponse:
        if not self.limiter.admit(admit_seconds, self._stop):
            raise TransportError(f"{what}: held back, because the API server does not answer")
        if self._stop is not None and self._stop.cancelled:
            raise TransportError(f"{what}: stopped: {self._stop.reason}")
        timeout = urllib3.Timeout(connect=min(CONNECT_SECONDS, admit_seconds), read=read_seconds)
        send = functools.partial(self._send_once, what, method, url, body, headers, timeout)
        used = self.session.credentials()
        try:
            response = send(used)
        except _TlsError:
            if not self.session.refresh(used):
                raise
            response = send(self.session.credentials())
        if response.status == 401 and self.session.refresh(used):
            response.close()
            response = send(self.session.credentials())
        self._judge(response.status)
        return response

    def _judge(self, status: int) -> None:
        if status == 429 or status >= 500:
            self.limiter.report(healthy=False)
        elif status < 400 or status == 409:
            self.limiter.report(healthy=True)
        else:
            self.limiter.report_refusal()

    def _send_once(
        self,
        what: str,
        method: str,
        url: str,
        body: bytes | None,
        headers: dict[str, str],
        timeout: urllib3.Timeout,
        used: Credentials,
    ) -> urllib3.BaseHTTPResponse:
        sent = {**headers, "Authorization": used.authorization} if used.authorization else headers
        try:
            return used.pool.request(
                method,
                self.session.host + url,
                body=body,
                headers=sent,
                timeout=timeout,
                retries=False,
                redirect=False,
                preload_content=False,
            )
        except Exception as error:  # urllib3, ssl, http.client, sockets, bad header values: no answer
            if self._stop is None or not self._stop.cancelled:
                self.limiter.report(healthy=False)
            kind = _TlsError if isinstance(error, urllib3.exceptions.SSLError) else TransportError
            raise kind(f"{what}: {type(error).__name__}: {error}") from error


def load_transport(kubeconfig: str = "", context: str = "") -> KubeTransport:
    """The transport by the first of: the flag, KUBECONFIG, the pod's service account, ~/.kube/config.

    Raises:
        KubeconfigError: one sentence that names the file and the field.
    """
    return KubeTransport.from_source(find_source(kubeconfig, context))


def _url(path: str, query: Mapping[str, str] | None) -> str:
    return f"{path}?{urlencode(query)}" if query else path


def _read_body(response: urllib3.BaseHTTPResponse, deadline: float, what: str) -> bytes:
    """Reads to the end, within the request's time also when the server trickles."""
    chunks = []
    try:
        while chunk := response.read1(_CHUNK_BYTES, decode_content=False):
            chunks.append(chunk)
            if time.monotonic() > deadline:
                raise TransportError(f"{what}: the answer did not end in time")
    except KubeError:
        response.close()
        raise
    except Exception as error:  # as for the request itself
        response.close()
        raise TransportError(f"{what}: {type(error).__name__}: {error}") from error
    return b"".join(chunks)
