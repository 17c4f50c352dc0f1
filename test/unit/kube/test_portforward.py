"""Bytes go through, and both ends close the tunnel."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pkg.kube.portforward import port_forward
from pkg.testing.rawserver import Exchange, Handler, RawServer
from pkg.testing.rawtransport import transport_to
from pkg.testing.rawwebsocket import ServerSocket, accepting

DATA, ERROR = 0, 1
WAIT_SECONDS = 30.0


@contextmanager
def forwarded(handler: Handler, directory: Path) -> Iterator[tuple[str, int]]:
    with RawServer(handler) as server:
        transport = transport_to(server.url, directory)
        with port_forward(transport, "ns", "pod", 8085) as address:
            yield address
        assert server.exchanges[0].line.split()[1] == "/api/v1/namespaces/ns/pods/pod/portforward?ports=8085"


def greeted(websocket: ServerSocket) -> None:
    for channel in (DATA, ERROR):
        websocket.send(channel, struct.pack("<H", 8085))


def echo(websocket: ServerSocket) -> None:
    greeted(websocket)
    while (message := websocket.receive()) is not None:
        websocket.send(*message)


def connect(address: tuple[str, int]) -> socket.socket:
    return socket.create_connection(address, timeout=WAIT_SECONDS)


def receive(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count and (more := connection.recv(count - len(data))):
        data += more
    return data


def test_bytes_come_back_as_they_were_sent(tmp_path: Path) -> None:
    sent = bytes(range(256)) * 1000
    with forwarded(accepting(echo), tmp_path) as address, connect(address) as connection:
        connection.sendall(sent)
        assert receive(connection, len(sent)) == sent


def test_connections_do_not_mix(tmp_path: Path) -> None:
    with forwarded(accepting(echo), tmp_path) as address, connect(address) as one, connect(address) as two:
        one.sendall(b"one")
        two.sendall(b"two")
        assert (receive(one, 3), receive(two, 3)) == (b"one", b"two")


def test_the_pods_end_ends_the_local_connection(tmp_path: Path) -> None:
    def serve(websocket: ServerSocket) -> None:
        greeted(websocket)
        websocket.send(DATA, b"bye")
        websocket.close()

    with forwarded(accepting(serve), tmp_path) as address, connect(address) as connection:
        assert receive(connection, 100) == b"bye"


@pytest.mark.parametrize(
    "handler",
    [
        pytest.param(lambda exchange: exchange.answer(404, b"{}"), id="no such pod"),
        pytest.param(Exchange.reset, id="a reset"),
    ],
)
def test_a_port_that_cannot_be_reached_ends_the_local_connection(tmp_path: Path, handler: Handler) -> None:
    with forwarded(handler, tmp_path) as address, connect(address) as connection:
        assert receive(connection, 1) == b""


def test_a_pod_that_refuses_the_port_ends_the_local_connection(tmp_path: Path) -> None:
    def serve(websocket: ServerSocket) -> None:
        greeted(websocket)
        websocket.send(ERROR, b"connection refused")
        websocket.receive()

    with forwarded(accepting(serve), tmp_path) as address, connect(address) as connection:
        assert receive(connection, 1) == b""


def test_after_the_context_nobody_listens_and_tunnels_are_closed(tmp_path: Path) -> None:
    with forwarded(accepting(echo), tmp_path) as address:
        connection = connect(address)
        connection.sendall(b"x")
        assert receive(connection, 1) == b"x"
    with connection:
        assert receive(connection, 1) == b""
    with pytest.raises(ConnectionRefusedError):
        connect(address)
