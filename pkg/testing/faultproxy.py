"""A proxy in front of an API server that fails on demand, as a real server does not.

It ends TLS on both sides, so it sees requests, lists and watches, and spoils them by the faults that a test
switches on and off while it runs (`pkg.testing.faultproxy_faults`). Exec and port-forward pass untouched. It
listens on the loopback interface only.

Run as `python -m pkg.testing.faultproxy --upstream https://… --upstream-ca-file … --fault "status code=503 times=3"`;
each line of its standard input is one more fault, or `lift` to switch all off, and its end is the proxy's.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import socket
import ssl
import sys
import tempfile
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from pkg.testing.faultproxy_answer import Upstream
from pkg.testing.faultproxy_connection import Connection, Memory, hang
from pkg.testing.faultproxy_faults import CONNECTION_KINDS, Board, Fault, Kind, Switch
from pkg.testing.faultproxy_request import Request, Verb
from pkg.testing.faultproxy_spec import parse_fault
from pkg.testing.faultproxy_wire import Wire
from pkg.testing.pki import Authority
from pkg.testing.processes import HarnessError

ADDRESS = "127.0.0.1"
HANDSHAKE_SECONDS = 10.0
END_SECONDS = 10.0


class FaultProxy:
    """Serves from its making to its `close`; a context manager.

    Args:
        upstream_url: the API server.
        directory: gets the proxy's own authority and certificates.
        upstream_ca_file: what the API server's certificate is checked against.
        upstream_certificate: certificate and key files with which the proxy itself is known there; for clients
            that show no token.
        plain: speak HTTP to the client, no TLS.
        client_ca_file: ask clients for a certificate of this authority; faults can then go by its serial number.
        port: to listen on; 0 for any.
    """

    def __init__(
        self,
        upstream_url: str,
        directory: Path,
        *,
        upstream_ca_file: Path | None = None,
        upstream_certificate: tuple[Path, Path] | None = None,
        plain: bool = False,
        client_ca_file: Path | None = None,
        port: int = 0,
    ) -> None:
        tls = _upstream_tls(upstream_ca_file, upstream_certificate) if upstream_url.startswith("https:") else None
        self._upstream = Upstream(url=upstream_url, tls=tls)
        self._directory = directory
        self._client_ca_file = client_ca_file
        self._board = Board()
        self._memory = Memory()
        self._lock = threading.Lock()
        self._closed = False
        self._generations = itertools.count(1)
        self._numbers = itertools.count(1)
        self._connections: dict[Connection, threading.Thread] = {}
        self._tls: ssl.SSLContext | None = None
        self._authority = Authority(directory)
        if not plain:
            self.rotate_certificate()
        self._listener = socket.create_server((ADDRESS, port))
        self._accepting = threading.Thread(target=self._accept, name="fault proxy", daemon=True)
        self._accepting.start()

    @property
    def url(self) -> str:
        """What clients are told."""
        return f"{'https' if self._tls else 'http'}://{ADDRESS}:{self._listener.getsockname()[1]}"

    @property
    def ca_file(self) -> Path:
        """What clients check the proxy's certificate against."""
        return self._authority.ca_file

    @property
    def requests(self) -> list[Request]:
        """All requests so far, in order of their coming."""
        with self._memory.lock:
            return list(self._memory.requests)

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        with self._lock:
            return len(self._connections)

    def switch_on(self, fault: Fault) -> Switch:
        """Makes a fault happen from now on, also to watches that are open."""
        return self._board.switch_on(fault)

    def lift_all(self) -> None:
        """Switches all faults off."""
        self._board.lift_all()

    def drop_connections(self) -> None:
        """Ends every connection but those of exec and port-forward, and those that may still become one."""
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            if connection.may_be_dropped:
                connection.end()

    def rotate_certificate(self, *, new_authority: bool = False) -> None:
        """Shows another certificate from the next connection on; with a new authority `ca_file` changes its content."""
        if new_authority:
            self._authority = Authority(self._directory)
        name = f"serving-{next(self._generations)}"
        serving = self._authority.issue(name, common_name="fault-proxy", hosts=[ADDRESS, "localhost"])
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(serving.certificate_file, serving.key_file)
        if self._client_ca_file is not None:
            context.load_verify_locations(self._client_ca_file)
            context.verify_mode = ssl.CERT_REQUIRED
        self._tls = context

    def close(self) -> None:
        """Ends all; HarnessError when a thread does not end."""
        self._closed = True
        self._board.lift_all()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            connections = dict(self._connections)
        for connection in connections:
            connection.end()
        for thread in (self._accepting, *connections.values()):
            thread.join(END_SECONDS)
            if thread.is_alive():
                raise HarnessError("a thread of the fault proxy does not end")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _accept(self) -> None:
        while not self._closed:
            try:
                accepted, _ = self._listener.accept()
            except OSError:
                return
            number = next(self._numbers)
            threading.Thread(
                target=self._serve, args=(accepted, number), name=f"fault proxy {number}", daemon=True
            ).start()

    def _serve(self, accepted: socket.socket, number: int) -> None:
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.closing(accepted), contextlib.suppress(OSError, ValueError):
            if not self._welcome(Wire(accepted), number):
                return
            secured, identity = self._secure(accepted)
            with contextlib.closing(secured):
                self._serve_requests(Wire(secured), number, identity)

    def _serve_requests(self, client: Wire, number: int, identity: int) -> None:
        connection = Connection(client, self._upstream, self._board, self._memory, number=number, identity=identity)
        with self._lock:
            self._connections[connection] = threading.current_thread()
        try:
            if not self._closed:
                connection.serve()
        finally:
            with self._lock:
                del self._connections[connection]

    def _welcome(self, client: Wire, number: int) -> bool:
        """Lets the faults of connections happen; returns whether this one may go on."""
        request = Request(verb=Verb.CONNECT, connection=number)
        switch = self._board.take(request, CONNECTION_KINDS)
        if switch is None:
            return True
        if switch.fault.kind is Kind.REFUSE:
            client.reset()
            return False
        return hang(self._board, switch, request)

    def _secure(self, accepted: socket.socket) -> tuple[socket.socket, int]:
        if self._tls is None:
            return accepted, 0
        accepted.settimeout(HANDSHAKE_SECONDS)
        secured = self._tls.wrap_socket(accepted, server_side=True)
        secured.settimeout(None)
        shown = secured.getpeercert() if self._client_ca_file else None
        return secured, int(str(shown["serialNumber"]), 16) if shown else 0


def _upstream_tls(ca_file: Path | None, certificate: tuple[Path, Path] | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=ca_file)
    if certificate is not None:
        context.load_cert_chain(*certificate)
    return context


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m pkg.testing.faultproxy", description=__doc__)
    parser.add_argument("--upstream", required=True, help="address of the API server")
    parser.add_argument("--upstream-ca-file", type=Path, help="what its certificate is checked against")
    parser.add_argument("--upstream-certificate", type=Path, nargs=2, metavar=("CERT", "KEY"), help="shown to it")
    parser.add_argument("--port", type=int, default=0, help="to listen on; any by default")
    parser.add_argument("--plain", action="store_true", help="speak HTTP to clients")
    parser.add_argument("--directory", type=Path, help="for the proxy's own certificates; a temporary one by default")
    parser.add_argument("--fault", action="append", default=[], type=parse_fault, help="kind and key=value words")
    return parser.parse_args()


def main() -> None:
    """Serves until the end of the standard input."""
    asked = _arguments()
    with tempfile.TemporaryDirectory() as own:
        certificate = tuple(asked.upstream_certificate) if asked.upstream_certificate else None
        with FaultProxy(
            asked.upstream,
            asked.directory or Path(own),
            upstream_ca_file=asked.upstream_ca_file,
            upstream_certificate=certificate,
            plain=asked.plain,
            port=asked.port,
        ) as proxy:
            for fault in asked.fault:
                proxy.switch_on(fault)
            print(f"listening {proxy.url} {'' if asked.plain else proxy.ca_file}", flush=True)
            for line in sys.stdin:
                _command(proxy, line.strip())


def _command(proxy: FaultProxy, line: str) -> None:
    if line == "lift":
        proxy.lift_all()
    elif line:
        try:
            proxy.switch_on(parse_fault(line))
        except ValueError as error:
            print(error, flush=True)


if __name__ == "__main__":
    main()
