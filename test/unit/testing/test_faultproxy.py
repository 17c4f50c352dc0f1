"""Each fault as the client sees it on the wire."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from pkg.testing.faultproxy import FaultProxy
from pkg.testing.faultproxy_faults import Fault, Kind
from pkg.testing.faultproxy_request import Verb, verb_of
from pkg.testing.faultproxy_spec import parse_fault
from pkg.testing.rawserver import Exchange, RawServer

LIST, WATCH = "/api/v1/pods?limit=500", "/api/v1/pods?watch=true&resourceVersion=7"
BODY = json.dumps({"kind": "PodList", "metadata": {"resourceVersion": "7"}, "items": []}).encode()
LINES = [b'{"type":"ADDED","object":{"n":1}}\n', b'{"type":"ADDED","object":{"n":2}}\n']
SECONDS = 30.0


def api(exchange: Exchange) -> None:
    """An API server whose watch says two lines and then nothing, or ends when asked to with `end=1`."""
    if "Upgrade" in exchange.head:
        exchange.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n")
        while data := exchange.connection.recv(1000):
            exchange.send(data)
    elif "watch=true" not in exchange.line:
        exchange.answer(200, BODY if exchange.line.startswith("GET") else exchange.body)
    else:
        exchange.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for line in LINES:
            exchange.send(b"%x\r\n%s\r\n" % (len(line), line))
        if "end=1" in exchange.line:
            exchange.send(b"0\r\n\r\n")
        exchange.hang()


class Bench:
    def __init__(self, proxy: FaultProxy) -> None:
        self.proxy = proxy
        self._open: list[http.client.HTTPConnection] = []

    def connection(self) -> http.client.HTTPConnection:
        made = http.client.HTTPConnection(urlsplit(self.proxy.url).netloc, timeout=SECONDS)
        self._open.append(made)
        return made

    def ask(self, target: str, method: str = "GET", **headers: str) -> http.client.HTTPResponse:
        connection = self.connection()
        connection.request(method, target, headers=headers)
        return connection.getresponse()

    def watch(self) -> http.client.HTTPResponse:
        """A watch that has said its two lines."""
        response = self.ask(WATCH)
        assert [response.readline(), response.readline()] == LINES
        return response

    def close(self) -> None:
        for connection in self._open:
            connection.close()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with RawServer(api) as server, FaultProxy(server.url, tmp_path, plain=True) as proxy:
        made = Bench(proxy)
        yield made
        made.close()


@pytest.mark.parametrize(
    ("method", "target", "verb"),
    [
        ("GET", "/api/v1/pods?limit=5", Verb.LIST),
        ("GET", "/apis/ark.heptio.com/v1/namespaces/n/backups", Verb.LIST),
        ("GET", "/api/v1/pods?watch=1", Verb.WATCH),
        ("GET", "/api/v1/namespaces/n", Verb.GET),
        ("GET", "/api/v1/namespaces/n/status", Verb.GET),
        ("GET", "/apis/apps/v1/namespaces/n/deployments/d", Verb.GET),
        ("GET", "/version", Verb.GET),
        ("PATCH", "/api/v1/namespaces/n/pods/p", Verb.WRITE),
    ],
)
def test_what_a_request_is_for_is_told_by_its_address(method: str, target: str, verb: Verb) -> None:
    assert verb_of(method, target) is verb


def test_without_a_fault_everything_passes(bench: Bench) -> None:
    connection = bench.connection()
    for _ in range(2):
        connection.request("GET", LIST)
        assert connection.getresponse().read() == BODY
    connection.request("POST", "/api/v1/namespaces", body=b"{}")
    assert connection.getresponse().read() == b"{}"
    assert bench.ask(WATCH + "&end=1").read() == b"".join(LINES)
    assert [request.verb for request in bench.proxy.requests] == [Verb.LIST, Verb.LIST, Verb.WRITE, Verb.WATCH]


def test_a_refusal_carries_status_and_retry_after_as_often_as_asked(bench: Bench) -> None:
    bench.proxy.switch_on(Fault(kind=Kind.STATUS, code=429, reason="TooManyRequests", retry_after_seconds=3, times=2))
    for target in (LIST, WATCH):
        refused = bench.ask(target)
        assert (refused.status, refused.headers["Retry-After"]) == (429, "3")
        assert json.loads(refused.read())["reason"] == "TooManyRequests"
    assert bench.ask(LIST).status == 200


def test_a_fault_hits_only_what_it_is_meant_for(bench: Bench) -> None:
    verbs = frozenset({Verb.LIST})
    bench.proxy.switch_on(Fault(kind=Kind.STATUS, code=503, verbs=verbs, path="secrets"))
    bench.proxy.switch_on(Fault(kind=Kind.STATUS, code=401, verbs=verbs, token="old"))
    assert bench.ask(LIST).status == 200
    assert bench.ask("/api/v1/secrets").status == 503
    assert bench.ask(LIST, Authorization="Bearer old").status == 401
    assert bench.ask(LIST, Authorization="Bearer new").status == 200


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        pytest.param(Kind.TRUNCATE, BODY[: len(BODY) // 2], id="half a body in good order"),
        pytest.param(Kind.GARBAGE, b"\0" * (len(BODY) // 2), id="no JSON at all"),
        pytest.param(Kind.DRIP, BODY, id="a slow drip that arrives"),
    ],
)
def test_a_body_that_comes_otherwise(bench: Bench, kind: Kind, expected: bytes) -> None:
    bench.proxy.switch_on(Fault(kind=kind, times=1))
    assert bench.ask(LIST).read() == expected
    assert bench.ask(LIST).read() == BODY


@pytest.mark.parametrize("kind", [Kind.CUT, Kind.HALF_CLOSE])
def test_a_body_that_breaks_off(bench: Bench, kind: Kind) -> None:
    bench.proxy.switch_on(Fault(kind=kind, times=1))
    response = bench.ask(LIST)
    with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
        response.read()


def test_a_request_that_is_not_answered_until_the_fault_is_lifted(bench: Bench) -> None:
    switch = bench.proxy.switch_on(Fault(kind=Kind.HANG))
    connection = bench.connection()
    connection.request("GET", LIST)
    switch.wait_for_hits()
    assert connection.sock is not None
    connection.sock.settimeout(0.05)
    with pytest.raises(TimeoutError):
        connection.sock.recv(1, socket.MSG_PEEK)
    connection.sock.settimeout(SECONDS)
    switch.lift()
    assert connection.getresponse().read() == BODY


def test_an_open_watch_that_is_closed_in_good_order(bench: Bench) -> None:
    response = bench.watch()
    bench.proxy.switch_on(Fault(kind=Kind.CLOSE))
    assert response.read() == b""


@pytest.mark.parametrize("kind", [Kind.CUT, Kind.HALF_CLOSE])
def test_an_open_watch_that_breaks_off(bench: Bench, kind: Kind) -> None:
    response = bench.watch()
    bench.proxy.switch_on(Fault(kind=kind))
    with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
        response.read()


def test_a_line_that_breaks_off_with_a_reset(bench: Bench) -> None:
    bench.proxy.switch_on(Fault(kind=Kind.TEAR, after_lines=1))
    response = bench.ask(WATCH)
    assert response.readline() == LINES[0]
    with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
        response.read()


def test_a_line_that_ends_in_the_middle_in_good_order(bench: Bench) -> None:
    bench.proxy.switch_on(Fault(kind=Kind.TRUNCATE, after_lines=1))
    assert bench.ask(WATCH).read() == LINES[0] + LINES[1][: len(LINES[1]) // 2]


def test_garbage_among_the_lines(bench: Bench) -> None:
    bench.proxy.switch_on(Fault(kind=Kind.GARBAGE, after_lines=1, text="what?"))
    assert bench.ask(WATCH + "&end=1").read() == LINES[0] + b"what?\n" + LINES[1]


def test_an_error_event_ends_the_watch(bench: Bench) -> None:
    response = bench.watch()
    bench.proxy.switch_on(Fault(kind=Kind.ERROR, code=410, reason="Expired"))
    event = json.loads(response.read())
    assert (event["type"], event["object"]["code"], event["object"]["reason"]) == ("ERROR", 410, "Expired")


def test_lines_that_come_again(bench: Bench) -> None:
    response = bench.watch()
    bench.proxy.switch_on(Fault(kind=Kind.REPLAY))
    assert [response.readline(), response.readline()] == LINES


def test_many_lines_in_one_chunk_or_one_line_in_many(bench: Bench) -> None:
    with bench.proxy.switch_on(Fault(kind=Kind.COALESCE)):
        assert bench.ask(WATCH).read1(1000) == b"".join(LINES)
    with bench.proxy.switch_on(Fault(kind=Kind.DRIP)):
        response = bench.ask(WATCH)
        assert response.read1(1000) == LINES[0][:7]
        assert response.read(len(LINES[0]) - 7) == LINES[0][7:]


def test_a_watch_that_stalls_goes_on_when_the_fault_is_lifted(bench: Bench) -> None:
    switch = bench.proxy.switch_on(Fault(kind=Kind.STALL, after_lines=1))
    response = bench.ask(WATCH + "&end=1")
    assert response.readline() == LINES[0]
    switch.wait_for_hits()
    switch.lift()
    assert response.read() == LINES[1]


def test_an_older_version_than_was_asked_for(bench: Bench) -> None:
    bench.watch()
    with bench.proxy.switch_on(Fault(kind=Kind.OLD_VERSION)):
        bench.ask("/api/v1/pods?watch=true&resourceVersion=9&end=1").read()
    bench.ask(LIST).read()
    with bench.proxy.switch_on(Fault(kind=Kind.OLD_LIST)) as old:
        assert bench.ask("/api/v1/pods?limit=3").read() == BODY
        assert old.hits == 1


def test_an_upgraded_connection_passes_untouched_and_survives_a_drop(bench: Bench) -> None:
    everything = frozenset(Verb) - {Verb.CONNECT}
    bench.proxy.switch_on(Fault(kind=Kind.STATUS, code=500, verbs=everything - {Verb.UPGRADE}))
    address = urlsplit(bench.proxy.url)
    with socket.create_connection((address.hostname, address.port), SECONDS) as connection:
        connection.sendall(b"GET /exec HTTP/1.1\r\nHost: x\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n")
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += connection.recv(1)
        assert head.startswith(b"HTTP/1.1 101 ")
        bench.proxy.drop_connections()
        connection.sendall(b"\x00raw\xff")
        assert connection.recv(100) == b"\x00raw\xff"


def test_a_connection_that_has_not_said_what_it_is_for_survives_a_drop(bench: Bench) -> None:
    address = urlsplit(bench.proxy.url)
    with socket.create_connection((address.hostname, address.port), SECONDS) as connection:
        connection.sendall(b"GET /exec HTTP/1.1\r\nHost: x\r\n")
        bench.ask(LIST).read()  # connections are accepted in order, so the one above is there now
        bench.proxy.drop_connections()
        connection.sendall(b"Upgrade: echo\r\nConnection: Upgrade\r\n\r\n")
        assert connection.recv(12) == b"HTTP/1.1 101"


def test_a_rotated_certificate_is_shown_to_the_next_connection(tmp_path: Path) -> None:
    with RawServer(api) as server, FaultProxy(server.url, tmp_path) as proxy:
        address = urlsplit(proxy.url)

        def serial() -> object:
            context = ssl.create_default_context(cafile=proxy.ca_file)
            with (
                socket.create_connection((address.hostname, address.port), SECONDS) as plain,
                context.wrap_socket(plain, server_hostname="localhost") as secured,
            ):
                shown = secured.getpeercert()
                return shown["serialNumber"] if shown else None

        first = serial()
        proxy.rotate_certificate()
        second = serial()
        old_authority = proxy.ca_file.read_bytes()
        proxy.rotate_certificate(new_authority=True)
        assert len({first, second, serial()}) == 3
        assert proxy.ca_file.read_bytes() != old_authority


def test_a_connection_that_gets_no_handshake(tmp_path: Path) -> None:
    with RawServer(api) as server, FaultProxy(server.url, tmp_path) as proxy:
        proxy.switch_on(Fault(kind=Kind.HANG, verbs=frozenset({Verb.CONNECT}), times=1))
        address = urlsplit(proxy.url)
        context = ssl.create_default_context(cafile=proxy.ca_file)
        with socket.create_connection((address.hostname, address.port), 0.1) as plain, pytest.raises(TimeoutError):
            context.wrap_socket(plain, server_hostname="localhost")


@pytest.mark.parametrize("words", ["what", "cut color=red", "status code=many", "cut verbs=fly"])
def test_words_that_are_no_fault_are_refused(words: str) -> None:
    with pytest.raises(ValueError, match=r"what|color|many|fly"):
        parse_fault(words)


def test_words_become_a_fault() -> None:
    fault = parse_fault("status code=503 verbs=list,watch times=3 path=pods")
    verbs = frozenset({Verb.LIST, Verb.WATCH})
    assert fault == Fault(kind=Kind.STATUS, code=503, verbs=verbs, times=3, path="pods")
