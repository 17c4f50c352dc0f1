"""The door: one request is sent once, and only our errors leave."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import urllib3
from kubernetes.client.configuration import Configuration

from pkg.kube import errors
from pkg.kube.client import Client
from pkg.kube.refs import CONFIG_MAPS, PODS
from pkg.kube.sockets import socket_options
from pkg.kube.transport import KubeTransport
from pkg.testing.rawserver import Exchange, Handler, RawServer
from pkg.testing.rawtransport import transport_to

Connect = Callable[[Handler], KubeTransport]


class Bench:
    """Servers and transports of one test, all closed at its end."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.servers: list[RawServer] = []
        self.transports: list[KubeTransport] = []

    def connect(self, handler: Handler, **user: str) -> KubeTransport:
        server = RawServer(handler)
        self.servers.append(server)
        transport = transport_to(server.url, self.directory, **user)
        self.transports.append(transport)
        return transport

    @property
    def came(self) -> list[Exchange]:
        return self.servers[-1].exchanges

    def close(self) -> None:
        for transport in self.transports:
            transport.close()
        for server in self.servers:
            server.__exit__(None, None, None)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.close()


def test_a_request_carries_what_was_asked_and_who_asks(bench: Bench) -> None:
    transport = bench.connect(lambda exchange: exchange.answer(200, b'{"a":1}'), token="secret")
    response = transport.request(
        "PATCH", "/x", query={"a": "b c"}, body=b"{}", content_type="application/merge-patch+json"
    )
    assert (response.status, response.body) == (200, b'{"a":1}')
    came = bench.came[0]
    assert came.line == "PATCH /x?a=b+c HTTP/1.1"
    assert came.body == b"{}"
    assert came.header("Content-Type") == "application/merge-patch+json"
    assert came.header("Authorization") == "Bearer secret"
    assert came.header("User-Agent").startswith("ark/")
    assert came.header("Accept-Encoding") in ("", "identity")


def test_a_connection_is_used_again(bench: Bench) -> None:
    transport = bench.connect(lambda exchange: exchange.answer())
    for _ in range(3):
        transport.request("GET", "/x")
    assert len({id(exchange.connection) for exchange in bench.came}) == 1


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "POST", "PATCH"])
def test_a_request_that_is_reset_is_not_sent_again(bench: Bench, method: str) -> None:
    transport = bench.connect(Exchange.reset)
    with pytest.raises(errors.TransportError):
        transport.request(method, "/x", body=b"{}")
    assert len(bench.came) == 1


def test_a_429_is_not_waited_for_but_reported(bench: Bench) -> None:
    transport = bench.connect(lambda exchange: exchange.answer(429, b"{}", "Retry-After: 60"))
    with pytest.raises(errors.ThrottledError) as raised:
        transport.request("GET", "/x")
    assert raised.value.retry_after_seconds == 60.0
    assert len(bench.came) == 1


def test_a_redirect_is_not_followed(bench: Bench) -> None:
    transport = bench.connect(lambda exchange: exchange.answer(302, b"", "Location: /elsewhere"))
    with pytest.raises(errors.ApiStatusError):
        transport.request("GET", "/x")
    assert len(bench.came) == 1


def trickle(exchange: Exchange) -> None:
    exchange.send(b"HTTP/1.1 200 X\r\nContent-Length: 100000\r\n\r\n")
    for _ in range(200):
        exchange.send(b"x")
        exchange.connection.settimeout(0.02)
        try:
            exchange.connection.recv(1)
        except TimeoutError:
            continue
        return


def then_reset(data: bytes) -> Handler:
    def send(exchange: Exchange) -> None:
        exchange.send(data)
        exchange.reset()

    return send


def sends(data: bytes) -> Handler:
    return lambda exchange: exchange.send(data)


BAD_ANSWERS: list[tuple[str, Handler]] = [
    ("silence", Exchange.hang),
    ("an end without an answer", lambda exchange: exchange.connection.shutdown(socket.SHUT_RDWR)),
    ("no HTTP", sends(b"SSH-2.0-OpenSSH\r\n\r\n")),
    ("binary", sends(b"\xff\x00\r\n\r\n")),
    ("a status that is no number", sends(b"HTTP/1.1 abc X\r\n\r\n")),
    ("a length that lies", then_reset(b"HTTP/1.1 200 X\r\nContent-Length: 9\r\n\r\n{}")),
    ("a chunk that is none", sends(b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")),
    ("a header without end", then_reset(b"HTTP/1.1 200 X\r\nA: " + b"b" * 70_000)),
]


@pytest.mark.parametrize(
    "handler",
    [pytest.param(handler, id=name) for name, handler in [*BAD_ANSWERS, ("a body that trickles", trickle)]],
)
def test_no_usable_answer_is_a_transport_error_within_the_deadline(bench: Bench, handler: Handler) -> None:
    transport = bench.connect(handler)
    started = time.monotonic()
    with pytest.raises(errors.TransportError, match="GET /x: "):
        transport.request("GET", "/x", timeout_seconds=0.3)
    assert time.monotonic() - started < 15


@pytest.mark.parametrize("handler", [pytest.param(handler, id=name) for name, handler in BAD_ANSWERS])
def test_a_stream_without_a_usable_answer_is_a_transport_error(bench: Bench, handler: Handler) -> None:
    transport = bench.connect(handler)
    with pytest.raises(errors.TransportError):
        read_all(transport)


def read_all(transport: KubeTransport) -> None:
    stream = transport.open_stream("/x", read_timeout_seconds=0.1)
    try:
        while stream.read(4):
            pass
    finally:
        stream.close()


@pytest.mark.parametrize("error", [ValueError, AttributeError, OSError, RecursionError, urllib3.exceptions.HTTPError])
def test_no_foreign_exception_passes_the_door(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    transport = bench.connect(Exchange.answer)

    def fail(*_: object, **__: object) -> None:
        raise error("foreign")

    monkeypatch.setattr(transport.session.pool, "request", fail)
    client = Client(transport)
    for call in (
        lambda: client.get_raw(PODS, "ns", "a"),
        lambda: client.watch(PODS, resource_version="1", timeout_seconds=1),
    ):
        with pytest.raises(errors.TransportError, match="foreign"):
            call()


def test_credentials_that_cannot_be_read_are_our_error_too(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    transport = bench.connect(Exchange.answer, token="t")

    def fail(*_: object) -> None:
        raise OSError("token file is gone")

    monkeypatch.setattr(transport.session.configuration, "auth_settings", fail)
    with pytest.raises(errors.KubeconfigError, match="token file is gone"):
        transport.request("GET", "/x")


@pytest.mark.parametrize("body", [b"", b"null", b"<html>", b'{"metadata":', b"\xff", b"[]"])
def test_an_answer_that_is_not_what_it_claims_to_be_is_a_decode_error(bench: Bench, body: bytes) -> None:
    client = Client(bench.connect(lambda exchange: exchange.answer(200, body)))
    for call in (lambda: client.get_raw(PODS, "ns", "a"), lambda: client.list_page(PODS)):
        with pytest.raises(errors.DecodeError):
            call()


def only_new(exchange: Exchange) -> None:
    exchange.answer(200 if exchange.header("Authorization") == "Bearer new" else 401)


def test_a_401_is_answered_with_fresh_credentials_once(bench: Bench, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("old")
    transport = bench.connect(only_new, tokenFile=str(token))
    token.write_text("new")
    assert transport.request("POST", "/x", body=b"{}").status == 200
    assert [exchange.header("Authorization") for exchange in bench.came] == ["Bearer old", "Bearer new"]
    assert bench.came[-1].body == b"{}"


def test_credentials_that_stay_refused_are_not_read_again_for_each_request(bench: Bench, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("old")
    transport = bench.connect(only_new, tokenFile=str(token))
    for _ in range(3):
        with pytest.raises(errors.UnauthorizedError):
            transport.request("GET", "/x")
    assert len(bench.came) == 3


def test_many_threads_with_a_stale_token_read_the_new_one_once(bench: Bench, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("old")
    transport = bench.connect(
        lambda exchange: exchange.answer(200 if exchange.header("Authorization") == "Bearer new" else 401),
        tokenFile=str(token),
    )
    transport.session.authorization()
    token.write_text("new")
    loads: list[int] = []
    source = transport.session.source

    def load() -> Configuration:
        loads.append(1)
        return source.load()

    transport.session.source = dataclasses.replace(source, load=load)
    threads = [threading.Thread(target=transport.request, args=("GET", "/x")) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(loads) == 1


def test_the_sockets_notice_a_dead_peer(bench: Bench) -> None:
    transport = bench.connect(lambda exchange: exchange.answer())
    transport.request("GET", "/x")
    connection = transport.session.pool.connection_from_url(transport.host)._get_conn()
    assert isinstance(connection, urllib3.connection.HTTPConnection)
    assert connection.sock is not None
    for level, option, value in socket_options():
        assert connection.sock.getsockopt(level, option) == value
    connection.close()


def chunked(exchange: Exchange) -> None:
    exchange.send(b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
    exchange.hang()


def test_a_stream_gives_bytes_as_they_come(bench: Bench) -> None:
    stream = bench.connect(chunked).open_stream("/x", read_timeout_seconds=10)
    assert stream.read(1 << 16) == b"hello"
    stream.close()


def test_a_stream_that_ends_in_its_order_is_at_its_end(bench: Bench) -> None:
    transport = bench.connect(
        lambda exchange: exchange.send(b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
    )
    stream = transport.open_stream("/x", read_timeout_seconds=10)
    assert stream.read(10) == b""
    stream.shutdown()
    stream.close()


def test_a_stream_whose_answer_does_not_begin_is_given_up_early(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pkg.kube.transport.OPEN_STREAM_SECONDS", 0.1)
    transport = bench.connect(Exchange.hang)
    started = time.monotonic()
    with pytest.raises(errors.TransportError, match="timed out"):
        transport.open_stream("/x", read_timeout_seconds=600)
    assert time.monotonic() - started < 15


def test_a_stream_that_has_begun_may_be_silent_for_its_whole_time(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pkg.kube.transport.OPEN_STREAM_SECONDS", 0.05)
    while True:
        with contextlib.suppress(errors.TransportError):  # a slow machine takes longer to begin
            stream = bench.connect(chunked).open_stream("/x", read_timeout_seconds=0.4)
            break
    assert stream.read(10) == b"hello"
    started = time.monotonic()
    with pytest.raises(errors.TransportError, match="timed out"):
        stream.read(10)
    assert time.monotonic() - started > 0.3
    stream.close()


def test_shutdown_releases_a_reader_of_a_silent_stream_long_before_its_timeout(bench: Bench) -> None:
    stream = bench.connect(chunked).open_stream("/x", read_timeout_seconds=60)
    stream.read(10)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(stream.read(10)))
    reader.start()
    reader.join(0.05)
    assert reader.is_alive()
    stream.shutdown()
    reader.join(30)
    assert read == [b""]
    assert stream.read(10) == b""
    stream.close()


def test_an_open_watch_is_refused_with_the_servers_words(bench: Bench) -> None:
    body = json.dumps({"code": 410, "reason": "Expired", "message": "too old"}).encode()
    client = Client(bench.connect(lambda exchange: exchange.answer(410, body)))
    with pytest.raises(errors.ExpiredError, match="too old"):
        client.watch(CONFIG_MAPS, resource_version="1", timeout_seconds=300)


def test_a_quiet_watch_is_read_beyond_the_servers_timeout(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []
    transport = bench.connect(chunked)
    open_stream = transport.open_stream

    def note(path: str, *, query: dict[str, str], read_timeout_seconds: float, accept: str) -> object:
        asked.append(read_timeout_seconds)
        return open_stream(path, query=query, read_timeout_seconds=read_timeout_seconds, accept=accept)

    monkeypatch.setattr(transport, "open_stream", note)
    Client(transport).watch(PODS, resource_version="1", timeout_seconds=600).close()
    assert asked[0] > 600


def test_a_server_that_fails_is_asked_slowly_by_the_whole_process(bench: Bench) -> None:
    transport = bench.connect(lambda exchange: exchange.answer(503))
    for _ in range(4):
        with pytest.raises(errors.ServerError):
            transport.request("GET", "/x")
    with pytest.raises(errors.TransportError, match="held back"):
        transport.request("GET", "/x", timeout_seconds=0.1)
    assert len(bench.came) == 4
    lease = transport.new_connection()
    bench.transports.append(lease)
    with pytest.raises(errors.ServerError):
        lease.request("GET", "/x", timeout_seconds=5)  # held back it would be refused at once
