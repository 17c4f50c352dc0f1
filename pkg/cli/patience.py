"""A transport that asks again when the API server is busy for a moment, so that a person need not.

A 429 was not processed, so any request is sent again; after a 5xx only one that reads. A server that does not
answer at all is reported at once.
"""

from __future__ import annotations

from collections.abc import Mapping

from pkg.kube.backoff import Backoff, delay_after
from pkg.kube.clock import REAL_CLOCK, Clock
from pkg.kube.errors import ServerError, ThrottledError
from pkg.kube.stop import StopToken
from pkg.kube.wire import JSON_TYPE, REQUEST_SECONDS, ByteStream, Response, Transport

ATTEMPTS = 4


class PatientTransport:
    """A `Transport` over another one."""

    def __init__(self, transport: Transport, clock: Clock = REAL_CLOCK, stop: StopToken | None = None) -> None:
        self._transport = transport
        self._clock = clock
        self._stop = stop or StopToken()

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
        """Sends a request, up to four times."""
        backoff = Backoff(initial_seconds=0.5, cap_seconds=2.0, clock=self._clock)
        for left in reversed(range(ATTEMPTS)):
            try:
                return self._transport.request(
                    method,
                    path,
                    query=query,
                    body=body,
                    content_type=content_type,
                    accept=accept,
                    timeout_seconds=timeout_seconds,
                )
            except (ThrottledError, ServerError) as error:
                if not left or (isinstance(error, ServerError) and method != "GET"):
                    raise
                self._clock.wait(self._stop, delay_after(error, backoff))
        raise AssertionError("unreachable")

    def until(self, stop: StopToken) -> PatientTransport:
        """As patient, until the token ends it."""
        return PatientTransport(self._transport.until(stop), self._clock, stop)

    def open_stream(
        self,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        read_timeout_seconds: float,
        accept: str = JSON_TYPE,
    ) -> ByteStream:
        """Opens a stream, once."""
        return self._transport.open_stream(path, query=query, read_timeout_seconds=read_timeout_seconds, accept=accept)
