"""Files of the bucket, got with nothing but the Kubernetes API.

A DownloadRequest is answered with a presigned address and with a one-time token for the server's loopback listener.
The address is used when it answers at once; often it cannot be reached from where the CLI runs, then the listener
is, by port-forward. The request is deleted in the end.
"""

from __future__ import annotations

import contextlib
import gzip
import http.client
import secrets
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterator
from typing import IO

import urllib3

from pkg.apis.ark import DownloadRequest, DownloadRequestStatus
from pkg.apis.meta import JsonObject
from pkg.apis.reasons import RequestPhase
from pkg.cli.client import Connection
from pkg.cli.failures import TIMED_OUT, CliError
from pkg.cli.reading import not_installed
from pkg.kube.errors import AlreadyExistsError, KubeError, NotFoundError
from pkg.kube.refs import DOWNLOAD_REQUESTS
from pkg.kube.stop import StopToken

ANSWER_SECONDS = 3.0
POLL_SECONDS = 0.3
_FORWARD_SECONDS = 30.0
_CHUNK_BYTES = 1 << 16
_GZIP_MAGIC = b"\x1f\x8b"


def stream_text(
    connection: Connection, kind: str, name: str, write: Callable[[bytes], object], *, timeout_seconds: float
) -> None:
    """Writes a gzipped file of the bucket, unpacked, piece by piece.

    Raises:
        CliError: it is not there, cannot be got, or is damaged.
    """
    with downloaded(connection, kind, name, timeout_seconds=timeout_seconds) as file:
        try:
            unzipped = gzip.GzipFile(fileobj=file)
            while piece := unzipped.read(_CHUNK_BYTES):
                write(piece)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise CliError(f"the {kind} of {name} is damaged: {error}") from error


@contextlib.contextmanager
def downloaded(connection: Connection, kind: str, name: str, *, timeout_seconds: float) -> Iterator[IO[bytes]]:
    """A file of the bucket as it lies there.

    Raises:
        CliError: it is not there, or cannot be got.
    """
    with tempfile.TemporaryFile() as file:
        request = _create(connection, kind, name)
        try:
            status = _answer(connection, request, timeout_seconds)
            _fetch(connection, request, status, file)
        finally:
            with contextlib.suppress(KubeError):  # the server deletes it too, when it expires
                connection.client.delete(DOWNLOAD_REQUESTS, connection.namespace, request)
        file.seek(0)
        yield file


def _create(connection: Connection, kind: str, name: str) -> str:
    now = connection.clock.now()
    request = f"{name[:200]}-{now:%Y%m%d%H%M%S}-{secrets.token_hex(3)}"
    obj: JsonObject = {"metadata": {"name": request}, "spec": {"target": {"kind": kind, "name": name}}}
    try:
        connection.client.create_raw(DOWNLOAD_REQUESTS, connection.namespace, obj)
    except NotFoundError as error:
        raise not_installed(DOWNLOAD_REQUESTS) from error
    except AlreadyExistsError as error:
        raise CliError(f"another download of {name} began in this moment: try again") from error
    return request


def _answer(connection: Connection, request: str, timeout_seconds: float) -> DownloadRequestStatus:
    deadline = connection.clock.monotonic() + timeout_seconds
    never = StopToken()
    while True:
        found = connection.client.get(DOWNLOAD_REQUESTS, connection.namespace, request, DownloadRequest)
        if found.status.reason:
            raise CliError(found.status.message or found.status.reason)
        if found.status.phase == RequestPhase.PROCESSED:
            return found.status
        if connection.clock.monotonic() >= deadline:
            raise CliError(
                f"timed out waiting for download URL: the Ark server in namespace {connection.namespace} did not "
                f"answer in {timeout_seconds:.0f} s; is it running (kubectl -n {connection.namespace} get deploy ark)?",
                TIMED_OUT,
            )
        connection.clock.wait(never, POLL_SECONDS)


def _fetch(connection: Connection, request: str, status: DownloadRequestStatus, file: IO[bytes]) -> None:
    direct = _from_address(status.download_url, file) if status.download_url else "the server gave no address"
    if not direct:
        return
    if not status.server_pod or not status.token:
        raise CliError(f"the download failed: {direct}")
    file.seek(0)
    file.truncate()
    forwarded = _from_server(connection, request, status, file)
    if forwarded:
        raise CliError(f"the download failed: {direct}; and by the server {status.server_pod}: {forwarded}")


def _from_address(address: str, file: IO[bytes]) -> str:
    """Gets the presigned address; returns why not, empty when it worked."""
    timeout = urllib3.Timeout(connect=ANSWER_SECONDS, read=ANSWER_SECONDS)
    host = address.split("?")[0]
    try:
        with urllib3.PoolManager(retries=False) as pool:
            response = pool.request("GET", address, preload_content=False, timeout=timeout, redirect=True)
            if response.status != 200:
                return f"{host} answered {response.status}"
            for piece in response.stream(_CHUNK_BYTES, decode_content=False):
                file.write(piece)
            file.seek(0)
            if file.read(len(_GZIP_MAGIC)) != _GZIP_MAGIC:
                return f"{host} answered with something else"
    except (urllib3.exceptions.HTTPError, OSError) as error:
        return f"{host} did not answer ({type(error).__name__})"
    return ""


def _from_server(connection: Connection, request: str, status: DownloadRequestStatus, file: IO[bytes]) -> str:
    """Gets it through the API server; returns why not, empty when it worked."""
    try:
        with connection.forward(status.server_pod, status.server_port) as (host, port):
            http_connection = http.client.HTTPConnection(host, port, timeout=_FORWARD_SECONDS)
            headers = {"Authorization": f"Bearer {status.token}"}
            http_connection.request("GET", f"/download/{request}", headers=headers)
            response = http_connection.getresponse()
            if response.status != 200:
                return f"it answered {response.status} {response.reason}"
            shutil.copyfileobj(response, file)
            http_connection.close()
    except (KubeError, OSError, http.client.HTTPException) as error:
        return str(error) or type(error).__name__
    return ""
