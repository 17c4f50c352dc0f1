"""The quick transport: what it does of `Transport`, and which configurations it leaves to the full one."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pkg.kube.errors import ForbiddenError, KubeconfigError, TransportError, UnauthorizedError
from pkg.kube.plain import Plain, plain_connection, tls_context
from pkg.kube.quick import QuickTransport, quick_transport
from pkg.testing.pki import Authority
from pkg.testing.rawserver import Exchange, RawServer

FORBIDDEN = json.dumps({"kind": "Status", "message": "no", "reason": "Forbidden", "code": 403}).encode()


Connect = Callable[..., QuickTransport]


@pytest.fixture
def transport_to() -> Iterator[Connect]:
    """Makes transports to a server and closes them in the end."""
    with contextlib.ExitStack() as stack:

        def connect(server: RawServer, token: str = "") -> QuickTransport:
            return stack.enter_context(contextlib.closing(QuickTransport(Plain(server=server.url, token=token))))

        yield connect


def write(path: Path, *, user: dict[str, object], cluster: dict[str, object] | None = None) -> str:
    content = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
        "clusters": [{"name": "k", "cluster": {"server": "https://127.0.0.1:6443", **(cluster or {})}}],
        "users": [{"name": "u", "user": user}],
    }
    path.write_text(json.dumps(content))
    return str(path)


def test_requests_share_a_connection_and_carry_what_they_should(transport_to: Connect) -> None:
    heads: list[str] = []
    connections = set()

    def answer(exchange: Exchange) -> None:
        heads.append(exchange.head)
        connections.add(exchange.connection)
        exchange.answer(body=exchange.body or b"{}")

    with RawServer(answer) as server:
        transport = transport_to(server, "t0k3n")
        assert transport.request("GET", "/api", query={"limit": "5", "labelSelector": "a=b"}).body == b"{}"
        assert transport.request("POST", "/api", body=b'{"a":1}').body == b'{"a":1}'
    assert heads[0].startswith("GET /api?limit=5&labelSelector=a%3Db HTTP/1.1")
    assert all("Authorization: Bearer t0k3n" in head for head in heads)
    assert "Content-Type: application/json" in heads[1]
    assert len(connections) == 1


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [(403, FORBIDDEN, ForbiddenError), (401, b"Unauthorized", UnauthorizedError)],
)
def test_an_answer_that_says_no_is_the_error_of_its_code(
    transport_to: Connect, status: int, body: bytes, error: type[Exception]
) -> None:
    with RawServer(lambda exchange: exchange.answer(status, body)) as server, pytest.raises(error):
        transport_to(server).request("GET", "/api")


@pytest.mark.parametrize(
    "handler",
    [
        pytest.param(lambda exchange: exchange.reset(), id="a reset"),
        pytest.param(lambda exchange: exchange.send(b"garbage\r\n\r\n"), id="no HTTP"),
        pytest.param(
            lambda exchange: exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"), id="half an answer"
        ),
    ],
)
def test_no_whole_answer_is_a_transport_error(transport_to: Connect, handler: Callable[[Exchange], None]) -> None:
    def once(exchange: Exchange) -> None:
        handler(exchange)
        exchange.connection.close()

    with RawServer(once) as server, pytest.raises(TransportError):
        transport_to(server).request("GET", "/api", timeout_seconds=5)


def test_silence_ends_with_the_requests_time(transport_to: Connect) -> None:
    began = time.monotonic()
    with RawServer(lambda exchange: exchange.hang()) as server, pytest.raises(TransportError):
        transport_to(server).request("GET", "/api", timeout_seconds=0.2)
    assert time.monotonic() - began < 15


def test_nothing_listening_is_a_transport_error_that_names_the_server() -> None:
    with pytest.raises(TransportError, match=r"http://127\.0\.0\.1:1"):
        QuickTransport(Plain(server="http://127.0.0.1:1")).request("GET", "/api")


def test_after_a_failure_the_next_request_has_a_new_connection(transport_to: Connect) -> None:
    seen: list[int] = []

    def answer(exchange: Exchange) -> None:
        seen.append(1)
        if len(seen) == 1:
            exchange.reset()
            exchange.connection.close()
        else:
            exchange.answer()

    with RawServer(answer) as server:
        transport = transport_to(server)
        with pytest.raises(TransportError):
            transport.request("POST", "/api", body=b"{}")
        assert transport.request("GET", "/api").status == 200
    assert len(seen) == 2  # nothing was sent twice


@pytest.mark.parametrize(
    ("user", "cluster", "environ"),
    [
        pytest.param({"exec": {"command": "login"}}, {}, {}, id="a plugin"),
        pytest.param({"auth-provider": {"name": "oidc"}}, {}, {}, id="a provider"),
        pytest.param({"username": "u", "password": "p"}, {}, {}, id="a password"),
        pytest.param({"token": "t", "as": "jane"}, {}, {}, id="somebody else's name"),
        pytest.param({"token": "t"}, {"proxy-url": "http://p"}, {}, id="a proxy"),
        pytest.param({"token": "t"}, {"insecure-skip-tls-verify": True}, {}, id="trust in anybody"),
        pytest.param({"token": "t"}, {"tls-server-name": "k"}, {}, id="another name"),
        pytest.param({"token": "t"}, {}, {"HTTPS_PROXY": "http://p"}, id="a proxy of the environment"),
    ],
)
def test_what_is_not_plain_is_left_to_the_full_transport(
    tmp_path: Path, user: dict[str, object], cluster: dict[str, object], environ: dict[str, str]
) -> None:
    assert plain_connection(write(tmp_path / "config", user=user, cluster=cluster), "", environ) is None


def test_a_token_file_beside_the_kubeconfig_is_read(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t0k3n\n")
    plain = plain_connection(write(tmp_path / "config", user={"tokenFile": "token", "token": "old"}), "", {})
    assert plain is not None
    assert plain.token == "t0k3n"
    assert "t0k3n" not in repr(plain)


def test_a_certificate_of_another_key_is_one_sentence(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    one, two = (authority.issue(name, common_name=name) for name in ("one", "two"))
    fits = Plain(server="https://k", certificate=one.certificate_file.read_bytes(), key=one.key_file.read_bytes())
    assert tls_context(fits) is not None
    wrong = Plain(server="https://k", certificate=one.certificate_file.read_bytes(), key=two.key_file.read_bytes())
    with pytest.raises(KubeconfigError, match="do not fit"):
        tls_context(wrong)


def test_in_a_pod_the_full_transport_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    assert quick_transport() is None


def test_a_flag_leads_to_a_connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    assert quick_transport(write(tmp_path / "config", user={"token": "t"})) is not None
