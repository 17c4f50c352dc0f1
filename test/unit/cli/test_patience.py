"""A busy API server is asked again, but nothing is done twice."""

from __future__ import annotations

import pytest

from pkg.apis.meta import JsonObject
from pkg.cli.patience import PatientTransport
from pkg.kube.client import Client
from pkg.kube.errors import ServerError, ThrottledError, TransportError, status_error
from pkg.kube.refs import CONFIG_MAPS
from pkg.testing.fakeapi import FakeApi
from pkg.testing.fakeclock import FakeClock

BUSY = status_error("storage is (re)initializing", code=429, reason="TooManyRequests")
BROKEN = status_error("etcd has no leader", code=500, reason="InternalError")
NAMED: JsonObject = {"metadata": {"name": "x", "namespace": "a"}}


@pytest.fixture
def api() -> FakeApi:
    made = FakeApi()
    made.add(CONFIG_MAPS, NAMED)
    return made


@pytest.fixture
def client(api: FakeApi) -> Client:
    return Client(PatientTransport(api, FakeClock(automatic=True)))


@pytest.mark.parametrize("error", [BUSY, BROKEN])
def test_a_read_is_tried_again(api: FakeApi, client: Client, error: ServerError | ThrottledError) -> None:
    api.fail_next(error)
    api.fail_next(error)
    assert client.get_raw(CONFIG_MAPS, "a", "x")["kind"] == "ConfigMap"


def test_a_write_that_was_not_processed_is_tried_again(api: FakeApi, client: Client) -> None:
    api.fail_next(BUSY, method="POST")
    client.create_raw(CONFIG_MAPS, "a", {"metadata": {"name": "y"}})
    assert api.count("POST") == 2


def test_a_write_that_may_have_been_done_is_not(api: FakeApi, client: Client) -> None:
    api.fail_next(BROKEN, method="POST")
    with pytest.raises(ServerError):
        client.create_raw(CONFIG_MAPS, "a", {"metadata": {"name": "y"}})
    assert api.count("POST") == 1


def test_a_server_that_does_not_answer_is_reported_at_once(api: FakeApi, client: Client) -> None:
    api.fail_next(TransportError("refused"))
    with pytest.raises(TransportError):
        client.get_raw(CONFIG_MAPS, "a", "x")


def test_it_gives_up_in_the_end(api: FakeApi, client: Client) -> None:
    for _ in range(4):
        api.fail_next(BUSY)
    with pytest.raises(ThrottledError):
        client.get_raw(CONFIG_MAPS, "a", "x")
