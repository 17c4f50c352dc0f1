"""The API server in memory passes the same cases as a real one, and can be made to fail."""

from __future__ import annotations

import pytest

from pkg.apis.meta import Object
from pkg.kube.errors import ExpiredError, ServerError, TransportError
from pkg.kube.refs import BACKUPS, CONFIG_MAPS
from pkg.testing.client_contract import CASES, Case
from pkg.testing.fakeapi import FakeApi


@pytest.mark.parametrize("case", [pytest.param(case, id=case.__name__) for case in CASES])
def test_it_does_what_a_real_one_does(case: Case) -> None:
    case(FakeApi().client, "ns")


def test_status_is_written_through_its_subresource_only() -> None:
    api = FakeApi()
    client = api.client
    client.create_raw(BACKUPS, "ns", {"metadata": {"name": "a"}, "spec": {"ttl": "1h"}, "status": {"phase": "New"}})
    assert "status" not in client.get_raw(BACKUPS, "ns", "a")
    client.patch_raw(BACKUPS, "ns", "a", {"status": {"phase": "New"}, "spec": {"ttl": "2h"}}, subresource="status")
    read = client.get_raw(BACKUPS, "ns", "a")
    assert (read["status"], read["spec"]) == ({"phase": "New"}, {"ttl": "1h"})
    client.patch_raw(BACKUPS, "ns", "a", {"status": {"phase": "Evil"}, "spec": {"ttl": "2h"}})
    read = client.get_raw(BACKUPS, "ns", "a")
    assert (read["status"], read["spec"]) == ({"phase": "New"}, {"ttl": "2h"})
    assert client.get(BACKUPS, "ns", "a", Object).metadata.generation == 2


def test_a_fault_hits_the_request_it_is_meant_for_once() -> None:
    api = FakeApi()
    api.add(CONFIG_MAPS, {"metadata": {"name": "a", "namespace": "ns"}})
    api.fail_next(ServerError("ill", code=500), method="GET", ref=CONFIG_MAPS, name="a")
    api.client.list(CONFIG_MAPS, "ns", Object)
    with pytest.raises(ServerError):
        api.client.get_raw(CONFIG_MAPS, "ns", "a")
    assert api.client.get_raw(CONFIG_MAPS, "ns", "a")
    assert api.count("GET", CONFIG_MAPS) == 3


def test_a_version_that_was_forgotten_cannot_be_watched() -> None:
    api = FakeApi()
    version = api.client.list_page(CONFIG_MAPS).resource_version
    api.forget_history()
    with pytest.raises(ExpiredError):
        api.client.watch(CONFIG_MAPS, resource_version=version, timeout_seconds=60)
    again = api.client.list_page(CONFIG_MAPS).resource_version
    api.client.watch(CONFIG_MAPS, resource_version=again, timeout_seconds=60)
    assert len(api.watches) == 1


def test_watches_can_be_broken() -> None:
    api = FakeApi()
    stream = api.client.watch(CONFIG_MAPS, resource_version="0", timeout_seconds=60)
    api.end_watches(TransportError("reset"))
    with pytest.raises(TransportError):
        stream.read(100)
