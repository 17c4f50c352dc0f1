"""A name in the bucket belongs to one backup, and to one process of it at a time."""

from __future__ import annotations

import msgspec
import pytest

from pkg.backup.claim import ClaimDocument, take_claim
from pkg.backup.errors import ClaimLostError, NameTakenError
from pkg.testing.fakestore import FakeStore

KEY = "nightly/ark-claim.json"
MINE = ClaimDocument(backup_uid="b", cluster_uid="c", epoch=2)


def document(**changes: object) -> bytes:
    return msgspec.json.encode(msgspec.structs.replace(MINE, **changes))


def test_a_free_name_is_taken() -> None:
    store = FakeStore()
    take_claim(store, KEY, MINE).verify()
    assert store.objects[KEY] == b'{"backupUID":"b","clusterUID":"c","epoch":2}'


def test_taking_twice_is_taking_once() -> None:
    store = FakeStore()
    take_claim(store, KEY, MINE)
    take_claim(store, KEY, MINE)
    assert [verb for verb, _ in store.calls].count("put") == 1


def test_an_older_epoch_is_taken_over_and_notices() -> None:
    store = FakeStore()
    older = take_claim(store, KEY, msgspec.structs.replace(MINE, epoch=1))
    take_claim(store, KEY, MINE).verify()
    with pytest.raises(ClaimLostError, match="epoch 2"):
        older.verify()


def test_a_newer_epoch_is_left_alone() -> None:
    store = FakeStore()
    store.objects[KEY] = document(epoch=3)
    with pytest.raises(ClaimLostError, match="epoch 3"):
        take_claim(store, KEY, MINE)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(document(backup_uid="x"), id="another backup"),
        pytest.param(document(cluster_uid="x", epoch=1), id="another cluster"),
        pytest.param(b"not JSON", id="something else"),
        pytest.param(b"", id="an empty object"),
    ],
)
def test_a_foreign_claim_is_not_touched(content: bytes) -> None:
    store = FakeStore()
    store.objects[KEY] = content
    with pytest.raises(NameTakenError, match="already"):
        take_claim(store, KEY, MINE)
    assert store.objects == {KEY: content}


def test_a_claim_that_vanished_is_lost() -> None:
    store = FakeStore()
    claim = take_claim(store, KEY, MINE)
    store.objects.clear()
    with pytest.raises(ClaimLostError, match="nobody"):
        claim.verify()


def test_who_loses_the_race_for_a_free_name_looks_again() -> None:
    store = FakeStore()

    def rival(verb: str, key: str) -> None:
        if verb == "put":
            store.before = lambda verb, key: None
            store.put(KEY, document(backup_uid="rival"))

    store.before = rival
    with pytest.raises(NameTakenError, match="rival"):
        take_claim(store, KEY, MINE)


def test_a_takeover_compares_what_was_read() -> None:
    store = FakeStore()
    store.objects[KEY] = document(epoch=1)

    def newer(verb: str, key: str) -> None:
        if verb == "put":
            store.before = lambda verb, key: None
            store.put(KEY, document(epoch=3))

    store.before = newer
    with pytest.raises(ClaimLostError, match="epoch 3"):
        take_claim(store, KEY, MINE)
