"""The loopback listener: one file, one reader, ten minutes."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pytest

from pkg.controllers.download_listener import DownloadListener
from pkg.kube.stop import StopToken
from pkg.objectstore.errors import StoreUnreachableError
from pkg.testing.fakeclock import FakeClock

LONG_SECONDS = 30.0


class World:
    """A listener that serves; `get` is the CLI."""

    def __init__(self, scratch_dir: Path) -> None:
        self.clock = FakeClock()
        self.listener = DownloadListener(self.clock, scratch_dir)
        self.stop = StopToken()
        self.thread = threading.Thread(target=self.listener.run, args=(self.stop,))
        self.fetched = 0
        self.thread.start()

    def grant(self, name: str = "request", token: str = "t0ken", content: bytes = b"log", seconds: float = 600) -> None:
        def fetch(file: BinaryIO) -> int:
            self.fetched += 1
            return file.write(content)

        self.listener.grant(name, token, self.clock.monotonic() + seconds, fetch)

    def get(self, path: str = "/download/request", token: str = "t0ken") -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.listener.port, timeout=LONG_SECONDS)
        try:
            connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def end(self) -> None:
        self.stop.cancel()
        self.thread.join(LONG_SECONDS)
        assert not self.thread.is_alive()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.end()


def test_who_has_the_token_gets_the_file_whole(world: World) -> None:
    content = bytes(range(256)) * 5000
    world.grant(content=content)
    assert world.get() == (200, content)


def test_an_empty_file_is_an_answer_too(world: World) -> None:
    world.grant(content=b"")
    assert world.get() == (200, b"")


def test_a_token_is_good_for_one_read(world: World) -> None:
    world.grant()
    world.get()
    assert world.get()[0] == 403
    assert world.fetched == 1


@pytest.mark.parametrize(
    ("path", "token"),
    [
        pytest.param("/download/request", "wrong", id="a wrong token"),
        pytest.param("/download/request", "", id="no token"),
        pytest.param("/download/request", "t0k\u00e9n", id="a token of other letters"),
        pytest.param("/download/other", "t0ken", id="the token of another request"),
        pytest.param("/", "t0ken", id="another path"),
        pytest.param("/download/../download/request", "t0ken", id="a path with dots"),
    ],
)
def test_anything_else_is_refused_and_costs_the_right_reader_nothing(world: World, path: str, token: str) -> None:
    world.grant()
    assert world.get(path, token)[0] == 403
    assert world.fetched == 0
    assert world.get() == (200, b"log")


def test_a_token_ends_with_its_time(world: World) -> None:
    world.grant(seconds=600)
    world.clock.advance(600)
    assert world.get()[0] == 403
    assert world.fetched == 0


def test_a_new_grant_of_the_same_request_replaces_the_old_token(world: World) -> None:
    world.grant(token="first")
    world.grant(token="second")
    assert world.get(token="first")[0] == 403
    assert world.get(token="second")[0] == 200


def test_a_store_that_fails_is_a_bad_gateway_with_its_sentence(world: World) -> None:
    def fail(file: BinaryIO) -> int:
        file.write(b"half")
        raise StoreUnreachableError("no answer\nfrom the store")

    world.listener.grant("request", "t0ken", 600, fail)
    status, body = world.get()
    assert status == 502
    assert b"no answer from the store" in body
    assert b"half" not in body


def test_nothing_of_a_download_stays_on_the_disk(world: World, tmp_path: Path) -> None:
    world.grant()
    world.get()
    assert list(tmp_path.iterdir()) == []


def test_it_listens_on_loopback_only(world: World) -> None:
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", world.listener.port), LONG_SECONDS)


def test_a_listener_that_is_stopped_before_it_runs_ends(tmp_path: Path) -> None:
    listener, stop = DownloadListener(FakeClock(), tmp_path), StopToken()
    stop.cancel()
    thread = threading.Thread(target=listener.run, args=(stop,))
    thread.start()
    thread.join(LONG_SECONDS)
    assert not thread.is_alive()
