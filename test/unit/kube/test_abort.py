"""A token that ends a request, wherever the request is."""

from __future__ import annotations

import functools
import socket
import threading
import time
from pathlib import Path

import pytest

from pkg.kube.errors import TransportError
from pkg.kube.stop import StopToken
from pkg.kube.transport import KubeTransport
from pkg.testing.rawserver import Exchange, RawServer
from pkg.testing.rawtransport import transport_to

NOTICED_SECONDS = 15.0
PATIENCE_SECONDS = 30.0


def half_an_answer(exchange: Exchange) -> None:
    exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
    exchange.hang()


def ends(transport: KubeTransport, when: threading.Event, stop: StopToken, *, stream: bool = False) -> float:
    """Asks, cancels when told, and returns how long the request lasted after that."""
    cancelled_at: list[float] = []

    def cancel() -> None:
        assert when.wait(PATIENCE_SECONDS)
        cancelled_at.append(time.monotonic())
        stop.cancel()

    canceller = threading.Thread(target=cancel)
    canceller.start()
    bound = transport.until(stop)
    ask = functools.partial(bound.request, "GET", "/x", timeout_seconds=PATIENCE_SECONDS)
    opening = functools.partial(bound.open_stream, "/x", read_timeout_seconds=PATIENCE_SECONDS)
    with pytest.raises(TransportError):
        (opening if stream else ask)()
    canceller.join()
    return time.monotonic() - cancelled_at[0]


@pytest.mark.parametrize("stream", [False, True], ids=["a request", "the opening of a stream"])
@pytest.mark.parametrize("reused", [False, True], ids=["on a new connection", "on a kept one"])
def test_no_answer_is_not_waited_for(tmp_path: Path, stream: bool, reused: bool) -> None:
    came = threading.Event()

    def handler(exchange: Exchange) -> None:
        if exchange.line.startswith("GET /first"):
            exchange.answer()
            return
        came.set()
        exchange.hang()

    with RawServer(handler) as server:
        transport = transport_to(server.url, tmp_path)
        if reused:
            transport.request("GET", "/first")
        assert ends(transport, came, StopToken(), stream=stream) < NOTICED_SECONDS
        transport.close()


def test_the_rest_of_a_body_is_not_waited_for(tmp_path: Path) -> None:
    came = threading.Event()

    def handler(exchange: Exchange) -> None:
        came.set()
        half_an_answer(exchange)

    with RawServer(handler) as server:
        transport = transport_to(server.url, tmp_path)
        assert ends(transport, came, StopToken()) < NOTICED_SECONDS
        transport.close()


def test_a_handshake_is_not_waited_for(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        transport = transport_to(f"https://127.0.0.1:{mute.getsockname()[1]}", tmp_path)

        came, held = threading.Event(), []

        def hear() -> None:
            connection, _ = mute.accept()
            connection.recv(1000)
            held.append(connection)
            came.set()

        ear = threading.Thread(target=hear)
        ear.start()
        assert ends(transport, came, StopToken()) < NOTICED_SECONDS
        ear.join()
        held[0].close()
        transport.close()


def test_after_the_token_nothing_is_sent_and_others_go_on(tmp_path: Path) -> None:
    with RawServer(lambda exchange: exchange.answer()) as server:
        transport, stop = transport_to(server.url, tmp_path), StopToken()
        stop.cancel()
        with pytest.raises(TransportError, match="stopped"):
            transport.until(stop).request("GET", "/x")
        assert transport.until(StopToken()).request("GET", "/y").status == 200
        assert [exchange.line for exchange in server.exchanges] == ["GET /y HTTP/1.1"]
        transport.close()


def test_a_request_that_was_ended_says_nothing_about_the_servers_health(tmp_path: Path) -> None:
    came = threading.Event()

    def handler(exchange: Exchange) -> None:
        came.set()
        exchange.hang()

    with RawServer(handler) as server:
        transport = transport_to(server.url, tmp_path)
        for _ in range(4):
            came.clear()
            ends(transport, came, StopToken())
        assert not transport.limiter.ill
        transport.close()
