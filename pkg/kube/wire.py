"""What passes between Ark and the API server: requests, answers and streams, as a protocol.

Everything above this package talks to a `Transport`, so a fake can stand in for it, and importing it costs
nothing: the kubernetes package is imported by `pkg.kube.transport` only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from pkg.kube.stop import StopToken

JSON_TYPE = "application/json"
MERGE_PATCH_TYPE = "application/merge-patch+json"
APPLY_TYPE = "application/apply-patch+yaml"
# Metadata alone where the server can; the object itself, which decodes as well, from one that cannot.
METADATA_TYPE = f"application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,{JSON_TYPE}"
METADATA_LIST_TYPE = f"application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,{JSON_TYPE}"
REQUEST_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """An answer that says yes."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class ByteStream(Protocol):
    """The body of an answer that is read as it comes."""

    def read(self, max_bytes: int) -> bytes:
        """The next bytes as soon as there are some; b"" at the end and after `shutdown`.

        Raises:
            TransportError: the connection broke, ended in the middle, or was silent for too long.
        """
        ...

    def allow_silence(self, seconds: float) -> None:
        """From now on `read` takes that much silence for health; only for the thread that reads."""
        ...

    def shutdown(self) -> None:
        """Ends a `read` that blocks in another thread, within milliseconds. May be called at any time."""
        ...

    def close(self) -> None:
        """Gives the connection up; only for the thread that reads."""
        ...


class Transport(Protocol):
    """One way to the API server."""

    def until(self, stop: StopToken) -> Transport:
        """The same way out, on which the token ends a request within milliseconds; an open stream is not touched."""
        ...

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
        """Sends one request, once, and returns the answer.

        Raises:
            ApiStatusError: the server said no (its subclasses); it carries Retry-After, nothing waits for it here.
            TransportError: no answer within the time.
        """
        ...

    def open_stream(
        self,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        read_timeout_seconds: float,
        accept: str = JSON_TYPE,
    ) -> ByteStream:
        """Opens a GET whose answer does not end by itself; raises as `request` does."""
        ...
