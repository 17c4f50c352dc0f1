from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry, Counter

from pkg.manager.errors import ListenError
from pkg.manager.health import MAX_CONNECTIONS, HealthServer


@pytest.fixture
def server() -> Iterator[HealthServer]:
    registry = CollectorRegistry()
    Counter("demo", "A demo.", registry=registry).inc(3)
    started = HealthServer("127.0.0.1:0", registry)
    started.start()
    yield started
    started.stop()


def connect(server: HealthServer) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)


def get(server: HealthServer, path: str, method: str = "GET") -> tuple[int, str]:
    connection = connect(server)
    connection.request(method, path)
    response = connection.getresponse()
    status, body = response.status, response.read().decode()
    connection.close()
    return status, body


def test_without_checks_it_is_alive_and_ready(server: HealthServer) -> None:
    assert get(server, "/healthz") == (200, "ok\n")
    assert get(server, "/readyz") == (200, "ok\n")


def test_one_check_that_fails_is_500_with_the_list(server: HealthServer) -> None:
    server.add_ready_check("informers", lambda: "not synced: pods")
    server.add_ready_check("store", lambda: None)
    assert get(server, "/readyz") == (500, "[-]informers failed: not synced: pods\n[+]store ok\nfailed\n")
    assert get(server, "/healthz")[0] == 200


@pytest.fixture
def checked(server: HealthServer) -> HealthServer:
    server.add_ready_check("informers", lambda: "not synced: pods")
    server.add_ready_check("store", lambda: None)
    server.add_ready_check("lease", lambda: None)
    return server


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        pytest.param("/readyz/store", 200, "ok\n", id="one check that is well"),
        pytest.param("/readyz/store?verbose", 200, "[+]store ok\nok\n", id="one check in words"),
        pytest.param(
            "/readyz/informers", 500, "[-]informers failed: not synced: pods\nfailed\n", id="one check that fails"
        ),
        pytest.param("/readyz?exclude=informers", 200, "ok\n", id="without one"),
        pytest.param(
            "/readyz?verbose&exclude=informers&exclude=lease", 200, "[+]store ok\nok\n", id="in words without two"
        ),
        pytest.param(
            "/readyz?verbose&exclude=informers&exclude=nobody",
            200,
            "[+]store ok\n[+]lease ok\n[?]nobody is no check\nok\n",
            id="what is excluded and not there is said",
        ),
        pytest.param("/healthz?verbose", 200, "ok\n", id="no checks"),
    ],
)
def test_checks_are_shown_as_asked(checked: HealthServer, path: str, status: int, body: str) -> None:
    assert get(checked, path) == (status, body)


@pytest.mark.parametrize("path", ["/readyz/nobody", "/healthz/store", "/readyz/store/x", "/readyzz/store"])
def test_a_check_that_is_not_there_is_not_found(checked: HealthServer, path: str) -> None:
    assert get(checked, path)[0] == 404


def test_a_check_that_crashes_has_failed(server: HealthServer) -> None:
    def crash() -> str | None:
        raise KeyError("secret")

    server.add_health_check("broken", crash)
    status, body = get(server, "/healthz?verbose")
    assert status == 500
    assert "the check itself failed with KeyError" in body
    assert "secret" not in body


def test_metrics_are_those_of_the_registry(server: HealthServer) -> None:
    status, body = get(server, "/metrics")
    assert status == 200
    assert "demo_total 3.0" in body


@pytest.mark.parametrize("path", ["/", "/metric", "/metrics/x", "/favicon.ico", "/healthz/x"])
def test_every_other_path_is_not_found(server: HealthServer, path: str) -> None:
    status, body = get(server, path)
    assert status == 404
    assert "demo_total" not in body


def test_one_connection_serves_many_requests(server: HealthServer) -> None:
    connection = connect(server)
    for _ in range(3):
        connection.request("GET", "/healthz")
        response = connection.getresponse()
        assert (response.status, response.version, response.read()) == (200, 11, b"ok\n")
    connection.close()


def test_head_has_no_body_and_other_methods_are_refused(server: HealthServer) -> None:
    assert get(server, "/healthz", "HEAD") == (200, "")
    assert get(server, "/healthz", "POST")[0] == 501


def test_connections_beyond_the_limit_are_closed_and_free_ones_serve_again(server: HealthServer) -> None:
    silent = [socket.create_connection(("127.0.0.1", server.port), timeout=10) for _ in range(MAX_CONNECTIONS)]
    beyond = socket.create_connection(("127.0.0.1", server.port), timeout=10)
    assert beyond.recv(1) == b""
    beyond.close()
    for connection in silent:
        connection.close()
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            assert get(server, "/healthz")[0] == 200
            return
        except (ConnectionError, http.client.HTTPException):
            continue
    pytest.fail("it never served again")


def test_an_address_in_use_is_said_in_one_sentence(server: HealthServer) -> None:
    with pytest.raises(ListenError, match=f"cannot listen on 127.0.0.1:{server.port}"):
        HealthServer(f"127.0.0.1:{server.port}", CollectorRegistry())


def test_without_a_host_it_listens_on_every_address() -> None:
    server = HealthServer(":0", CollectorRegistry())
    server.start()
    assert get(server, "/healthz")[0] == 200
    server.stop()


def test_the_answer_can_be_openmetrics() -> None:
    server = HealthServer("127.0.0.1:0", CollectorRegistry())
    server.start()
    status, content_type, body = server.answer("/metrics", "application/openmetrics-text; version=1.0.0")
    server.stop()
    assert (status, body) == (200, b"# EOF\n")
    assert "openmetrics" in json.dumps(content_type)
