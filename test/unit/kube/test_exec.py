"""A command's outputs and end, and every way in which nobody knows how it ended."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import msgspec
import pytest

from pkg.apis.meta import Json
from pkg.kube.errors import DecodeError, ForbiddenError, NotFoundError, TransportError
from pkg.kube.exec import OUTPUT_BYTES_KEPT, ExecResult, ExecTimeoutError, exec_in_pod
from pkg.kube.stop import StopToken
from pkg.testing.rawserver import Exchange, Handler, RawServer
from pkg.testing.rawtransport import transport_to
from pkg.testing.rawwebsocket import ServerSocket, accepting

Run = Callable[..., ExecResult]
STDOUT, STDERR, RESULT = 1, 2, 3
SUCCESS = b'{"status":"Success"}'


class Pod:
    """A server in the place of API server and kubelet."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._servers: list[RawServer] = []

    def run(self, handler: Handler, timeout_seconds: float = 10.0, stop: StopToken | None = None) -> ExecResult:
        server = RawServer(handler)
        self._servers.append(server)
        transport = transport_to(server.url, self._directory, token="secret")
        command = ["sh", "-c", "echo a b"]
        return exec_in_pod(transport, "ns", "pod", "main", command, timeout_seconds, stop=stop)

    @property
    def came(self) -> Exchange:
        return self._servers[-1].exchanges[0]

    def close(self) -> None:
        for server in self._servers:
            server.__exit__(None, None, None)


@pytest.fixture
def pod(tmp_path: Path) -> Iterator[Pod]:
    made = Pod(tmp_path)
    yield made
    made.close()


def ends_with(result: bytes) -> Handler:
    return accepting(lambda websocket: websocket.send(RESULT, result))


def failure(reason: str, message: str, *causes: Json) -> bytes:
    content: Json = {"status": "Failure", "reason": reason, "message": message, "details": {"causes": list(causes)}}
    return msgspec.json.encode(content)


def test_the_request_names_container_and_each_word_of_the_command(pod: Pod) -> None:
    pod.run(ends_with(SUCCESS))
    address = urlsplit(pod.came.line.split()[1])
    assert address.path == "/api/v1/namespaces/ns/pods/pod/exec"
    query = parse_qsl(address.query)
    assert [value for key, value in query if key == "command"] == ["sh", "-c", "echo a b"]
    assert dict(query)["container"] == "main"
    assert pod.came.header("Authorization") == "Bearer secret"


def test_outputs_are_collected_by_stream(pod: Pod) -> None:
    def serve(websocket: ServerSocket) -> None:
        for channel, data in ((STDOUT, b"a"), (STDERR, b"e"), (STDOUT, b"b"), (STDOUT, b""), (RESULT, SUCCESS)):
            websocket.send(channel, data)

    assert pod.run(accepting(serve)) == ExecResult(stdout=b"ab", stderr=b"e", exit_code=0)


def test_the_exit_code_is_the_commands_own(pod: Pod) -> None:
    result = failure("NonZeroExitCode", "exit code 7", {"reason": "ExitCode", "message": "7"})
    assert pod.run(ends_with(result)).exit_code == 7


def test_of_a_long_output_the_end_is_kept(pod: Pod) -> None:
    def serve(websocket: ServerSocket) -> None:
        for _ in range(20):
            websocket.send(STDOUT, b"x" * 100_000)
        websocket.send(STDOUT, b"end")
        websocket.send(RESULT, SUCCESS)

    stdout = pod.run(accepting(serve)).stdout
    assert len(stdout) == OUTPUT_BYTES_KEPT
    assert stdout.endswith(b"xend")


def test_a_command_that_does_not_end_in_time(pod: Pod) -> None:
    def serve(websocket: ServerSocket) -> None:
        websocket.send(STDOUT, b"working")
        websocket.receive()

    with pytest.raises(ExecTimeoutError, match=r"ns/pod did not end in 1\.5 s"):
        pod.run(accepting(serve), 1.5)


def test_a_token_that_is_cancelled_ends_the_wait_at_once(pod: Pod) -> None:
    stop = StopToken()

    def serve(websocket: ServerSocket) -> None:
        threading.Thread(target=stop.cancel).start()
        websocket.receive()

    started = time.monotonic()
    with pytest.raises(TransportError):
        pod.run(accepting(serve), 30, stop)
    assert time.monotonic() - started < 15


@pytest.mark.parametrize(
    ("handler", "expected"),
    [
        pytest.param(accepting(ServerSocket.close), TransportError, id="a close without a result"),
        pytest.param(accepting(lambda websocket: None), TransportError, id="an end without a result"),
        pytest.param(Exchange.reset, TransportError, id="a reset"),
        pytest.param(lambda exchange: exchange.answer(), TransportError, id="an answer that is no websocket"),
        pytest.param(
            lambda exchange: exchange.answer(404, b'{"message":"no pod","reason":"NotFound"}'),
            NotFoundError,
            id="no such pod",
        ),
        pytest.param(lambda exchange: exchange.answer(403, b"{}"), ForbiddenError, id="not allowed"),
        pytest.param(ends_with(b"command terminated"), DecodeError, id="a result that does not decode"),
        pytest.param(
            ends_with(failure("InternalError", "no such executable")), TransportError, id="a command that did not run"
        ),
    ],
)
def test_what_else_may_come_is_our_error(pod: Pod, handler: Handler, expected: type[Exception]) -> None:
    with pytest.raises(expected):
        pod.run(handler)
