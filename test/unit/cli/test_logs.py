"""Logs come by the presigned address where it answers, else through the API server, and nothing is left behind."""

from __future__ import annotations

import base64
import gzip
import http.server
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from pkg.apis.meta import JsonObject
from pkg.kube import refs
from pkg.kube.resources import ResourceRef
from pkg.kube.stop import StopToken
from pkg.restore.results import RestoreResult, RestoreResults, encode_results
from pkg.testing.fakeapi import FakeApi
from pkg.testing.fakeclock import FakeClock

Ark = Callable[..., tuple[int, str, str]]
LOG = gzip.compress(b'level=info msg="Backup started"\n')


@dataclass
class Files:
    """An HTTP server on loopback: the bucket's address and the server's listener in one."""

    bodies: dict[str, bytes] = field(default_factory=dict)
    seen: list[tuple[str, str]] = field(default_factory=list)
    port: int = 0

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/bucket/b1-logs.gz?signature=secret"


@pytest.fixture
def files() -> Iterator[Files]:
    made = Files()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.split("?")[0]
            made.seen.append((path, self.headers.get("Authorization", "")))
            body = next((body for prefix, body in made.bodies.items() if path.startswith(prefix)), None)
            self.send_response(200 if body is not None else 403)
            self.end_headers()
            self.wfile.write(body or b"no")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's name
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, name="files")
    thread.start()
    yield made
    server.shutdown()
    thread.join()
    server.server_close()


def answer(api: FakeApi, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, status: JsonObject) -> None:
    """The server's answer, given while the CLI waits for it."""
    original = clock.wait

    def wait(stop: StopToken, seconds: float) -> bool:
        for request in api.list(refs.DOWNLOAD_REQUESTS):
            api.add(refs.DOWNLOAD_REQUESTS, {**request, "status": {"phase": "Processed", **status}})
        return original(stop, seconds)

    monkeypatch.setattr(clock, "wait", wait)


@pytest.fixture
def ended(api: FakeApi) -> FakeApi:
    metadata: JsonObject = {"name": "b1", "namespace": "heptio-ark"}
    api.add(refs.BACKUPS, {"metadata": metadata, "status": {"phase": "Completed"}})
    return api


def test_the_presigned_address_is_used_when_it_answers(
    ark: Ark, ended: FakeApi, clock: FakeClock, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    files.bodies["/bucket/"] = LOG
    answer(ended, clock, monkeypatch, {"downloadURL": files.address, "serverPod": "ark-1", "token": "t"})
    assert ark("backup", "logs", "b1") == (0, 'level=info msg="Backup started"\n', "")
    assert [path for path, _ in files.seen] == ["/bucket/b1-logs.gz"]
    assert ended.list(refs.DOWNLOAD_REQUESTS) == []


@pytest.mark.parametrize(
    "address",
    [
        pytest.param("", id="there is no address"),
        pytest.param("http://127.0.0.1:1/bucket", id="nothing listens there"),
        pytest.param("REFUSED", id="it refuses"),
        pytest.param("OTHER", id="something else answers"),
    ],
)
def test_otherwise_the_server_is_asked_with_its_token(
    ark: Ark,
    ended: FakeApi,
    clock: FakeClock,
    files: Files,
    forwarded: list[tuple[str, int]],
    monkeypatch: pytest.MonkeyPatch,
    address: str,
) -> None:
    files.bodies["/download/"] = LOG
    if address == "OTHER":
        files.bodies["/bucket/"] = b"<html>login</html>"
    url = files.address if address in ("REFUSED", "OTHER") else address
    forwarded.append(("127.0.0.1", files.port))
    status: JsonObject = {"downloadURL": url, "serverPod": "ark-1", "serverPort": 5000, "token": "t0k3n"}
    answer(ended, clock, monkeypatch, status)
    assert ark("backup", "logs", "b1")[:2] == (0, 'level=info msg="Backup started"\n')
    path, header = files.seen[-1]
    assert path.startswith("/download/b1-")
    assert header == "Bearer t0k3n"
    assert ended.list(refs.DOWNLOAD_REQUESTS) == []


def test_when_neither_answers_both_are_named_but_no_secret(
    ark: Ark,
    ended: FakeApi,
    clock: FakeClock,
    files: Files,
    forwarded: list[tuple[str, int]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    forwarded.append(("127.0.0.1", files.port))
    status: JsonObject = {"downloadURL": files.address, "serverPod": "ark-1", "serverPort": 1, "token": "t0k3n"}
    answer(ended, clock, monkeypatch, status)
    code, _, err = ark("backup", "logs", "b1")
    assert code == 1
    assert "answered 403" in err
    assert "by the server ark-1" in err
    assert "secret" not in err
    assert "t0k3n" not in err


def test_a_refusal_of_the_server_is_shown(
    ark: Ark, ended: FakeApi, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(ended, clock, monkeypatch, {"reason": "BackupNotFound", "message": "there is no BackupLog of b1"})
    assert ark("backup", "logs", "b1") == (1, "", "An error occurred: there is no BackupLog of b1\n")


def test_a_server_that_does_not_answer_ends_with_124(ark: Ark, ended: FakeApi) -> None:
    code, _, err = ark("backup", "logs", "b1", "--timeout", "5s")
    assert code == 124
    assert "timed out waiting for download URL" in err
    assert ended.list(refs.DOWNLOAD_REQUESTS) == []


def test_a_damaged_log_is_said(
    ark: Ark, ended: FakeApi, clock: FakeClock, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    files.bodies["/bucket/"] = LOG[:-6]
    answer(ended, clock, monkeypatch, {"downloadURL": files.address})
    code, _, err = ark("backup", "logs", "b1")
    assert code == 1
    assert "damaged" in err


@pytest.mark.parametrize(("kind", "ref"), [("backup", refs.BACKUPS), ("restore", refs.RESTORES)])
def test_a_log_is_not_there_before_the_end(ark: Ark, api: FakeApi, kind: str, ref: ResourceRef) -> None:
    api.add(ref, {"metadata": {"name": "x", "namespace": "heptio-ark"}, "status": {"phase": "InProgress"}})
    code, _, err = ark(kind, "logs", "x")
    assert code == 1
    assert "InProgress" in err


def test_a_restores_description_shows_its_results(
    ark: Ark, api: FakeApi, clock: FakeClock, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    warnings = RestoreResult(cluster=("old volume",), namespaces={"shop": ("one", "two")})
    files.bodies["/bucket/"] = encode_results(RestoreResults(warnings=warnings))
    metadata: JsonObject = {"name": "r1", "namespace": "heptio-ark"}
    api.add(refs.RESTORES, {"metadata": metadata, "status": {"phase": "Completed", "warnings": 3}})
    answer(api, clock, monkeypatch, {"downloadURL": files.address})
    code, out, _ = ark("restore", "describe", "r1")
    assert code == 0
    assert (
        "Warnings:\n  Ark:      <none>\n  Cluster:  old volume\n  Namespaces:\n    shop:   one\n            two\n"
        in out
    )
    assert "Errors:  <none>\n" in out


def test_results_and_log_that_the_bucket_must_not_hold_come_from_their_config_map(ark: Ark, api: FakeApi) -> None:
    errors = RestoreResult(cluster=("no such class",))
    files = {"results.gz": encode_results(RestoreResults(errors=errors)), "log.gz": gzip.compress(b"the log\n")}
    kept: JsonObject = {name: base64.b64encode(data).decode() for name, data in files.items()}
    api.add(refs.CONFIG_MAPS, {"metadata": {"name": "kept", "namespace": "heptio-ark"}, "binaryData": kept})
    status: JsonObject = {"phase": "PartiallyFailed", "errors": 1, "resultsConfigMap": "kept", "backupName": "daily-1"}
    spec: JsonObject = {"scheduleName": "daily", "restoreLast": ["widgets"], "existingResourcePolicy": "update"}
    api.add(refs.RESTORES, {"metadata": {"name": "r1", "namespace": "heptio-ark"}, "spec": spec, "status": status})
    code, out, _ = ark("restore", "describe", "r1")
    assert code == 0
    for line in ("Errors:\n", "no such class", "daily-1", "Restored last:", "Existing resources:"):
        assert line in out
    assert ark("restore", "logs", "r1")[1] == "the log\n"
    api.remove(refs.CONFIG_MAPS, "heptio-ark", "kept")
    code, _, err = ark("restore", "logs", "r1")
    assert (code, "is gone" in err) == (1, True)


def test_a_description_is_shown_even_without_its_results(ark: Ark, api: FakeApi) -> None:
    metadata: JsonObject = {"name": "r1", "namespace": "heptio-ark"}
    api.add(refs.RESTORES, {"metadata": metadata, "status": {"phase": "PartiallyFailed", "errors": 3}})
    code, out, _ = ark("restore", "describe", "r1")
    assert code == 0
    assert "<error getting them: timed out waiting for download URL" in out
