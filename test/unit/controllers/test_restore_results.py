"""Results and log of a restore are kept somewhere, whatever the bucket allows."""

from __future__ import annotations

import gzip

import pytest

from pkg.apis.ark import Restore
from pkg.apis.meta import JsonObject, ObjectMeta
from pkg.controllers.restore_results import ResultsSink
from pkg.kube import refs
from pkg.kube.errors import ForbiddenError
from pkg.objectstore.errors import CredentialsRefusedError, StoreError, StoreReadOnlyError, StoreUnreachableError
from pkg.restore.bounded import bounded_log, bounded_results
from pkg.restore.errors import ResultsNotKeptError
from pkg.restore.results import Results, decode_results
from pkg.restore.results_map import LOG_KEY, RESULTS_KEY, file_in
from pkg.testing.fakeapi import FakeApi
from pkg.testing.fakestore import FakeStore

RESTORE = Restore(metadata=ObjectMeta(name="r1", namespace="heptio-ark", uid="restore-uid-1"))
RESULTS, LOG = "b1/restore-r1-results.gz", "b1/restore-r1-logs.gz"


@pytest.fixture
def api() -> FakeApi:
    made = FakeApi()
    made.add(refs.NAMESPACES, {"metadata": {"name": "heptio-ark"}})
    return made


def refusing(error: StoreError) -> FakeStore:
    store = FakeStore()

    def refuse(verb: str, key: str) -> None:
        raise error

    store.before = refuse
    return store


def test_into_the_bucket_where_that_may_be_written(api: FakeApi) -> None:
    store = FakeStore()
    sink = ResultsSink(api.client, RESTORE, store)
    sink.publish(RESULTS, b"results")
    assert (store.objects, sink.config_map, api.list(refs.CONFIG_MAPS)) == ({RESULTS: b"results"}, "", [])


@pytest.mark.parametrize(
    "error",
    [StoreReadOnlyError("restore only"), CredentialsRefusedError("may only read")],
    ids=["a server that only restores", "credentials that may only read"],
)
def test_into_a_config_map_otherwise(api: FakeApi, error: StoreError) -> None:
    sink = ResultsSink(api.client, RESTORE, refusing(error))
    sink.publish(RESULTS, b"results")
    sink.publish(LOG, b"log")
    [found] = api.list(refs.CONFIG_MAPS)
    assert (file_in(found, RESULTS_KEY), file_in(found, LOG_KEY)) == (b"results", b"log")
    metadata = found["metadata"]
    assert isinstance(metadata, dict)
    assert metadata["name"] == sink.config_map
    owner: JsonObject = {"apiVersion": "ark.heptio.com/v1", "kind": "Restore", "name": "r1", "uid": "restore-uid-1"}
    assert metadata["ownerReferences"] == [owner]


def test_an_attempt_that_goes_on_writes_the_same_one(api: FakeApi) -> None:
    for data in (b"first", b"second"):
        ResultsSink(api.client, RESTORE, refusing(StoreReadOnlyError("x"))).publish(RESULTS, data)
    [found] = api.list(refs.CONFIG_MAPS)
    assert file_in(found, RESULTS_KEY) == b"second"


def test_a_bucket_that_does_not_answer_is_an_error(api: FakeApi) -> None:
    with pytest.raises(StoreUnreachableError):
        ResultsSink(api.client, RESTORE, refusing(StoreUnreachableError("down"))).publish(RESULTS, b"x")
    assert api.list(refs.CONFIG_MAPS) == []


def test_nowhere_to_keep_them_is_an_error_of_its_own(api: FakeApi) -> None:
    api.fail_next(ForbiddenError("no", code=403), method="PATCH", ref=refs.CONFIG_MAPS)
    with pytest.raises(ResultsNotKeptError):
        ResultsSink(api.client, RESTORE, refusing(StoreReadOnlyError("x"))).publish(RESULTS, b"x")


def test_many_results_are_cut_with_a_count() -> None:
    results = Results()
    for number in range(4000):
        results.errors.about("shop", f"{number} " + f"{number * 7919:x}" * 40)
    data = results.encoded()
    small = bounded_results(data, 20_000)
    assert len(small) <= 20_000 < len(data)
    found = decode_results(small).errors
    kept = (found.namespaces or {})["shop"]
    assert kept[0].startswith("0 ")
    assert found.ark == (f"{4000 - len(kept)} more are not listed here",)


def test_few_results_stay_as_they_are() -> None:
    data = Results().encoded()
    assert bounded_results(data) == data


def test_the_end_of_a_long_log_is_kept_in_whole_lines() -> None:
    lines = [f"line {number} {number * 104729:x}" for number in range(50_000)]
    data = gzip.compress("\n".join(lines).encode() + b"\n")
    small = bounded_log(data, 50_000)
    assert len(small) <= 50_000 < len(data)
    kept = gzip.decompress(small).decode().splitlines()
    assert kept[0] == "... the beginning is left out"
    assert kept[1:] == lines[-len(kept) + 1 :]


@pytest.mark.parametrize("found", [{}, {"binaryData": {"log.gz": "%"}}], ids=["not there", "no base64"])
def test_a_file_that_is_not_there_is_said(found: JsonObject) -> None:
    with pytest.raises(ValueError, match=r"log\.gz"):
        file_in(found, LOG_KEY)
