"""Code that writes into a cached object is found."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from pkg.apis.meta import Object, ObjectMeta
from pkg.informers.decode import Decoder
from pkg.informers.mutation import CacheMutatedError, mutation_detection
from pkg.informers.store import Store


@pytest.fixture(autouse=True)
def detect_mutations() -> None:
    """Leave the switch to the tests."""


def watched(work: Callable[[], None]) -> None:
    with mutation_detection():
        work()


def labelled(name: str, **labels: str) -> Object:
    return Object(metadata=ObjectMeta(name=name, namespace="ns", labels=labels))


def write(obj: Object | None) -> None:
    assert obj is not None
    assert obj.metadata.labels is not None
    obj.metadata.labels["team"] = "mine"


def test_a_label_that_a_reader_writes_into_the_cache_is_reported_with_the_objects_name() -> None:
    def changes() -> None:
        store: Store[Object] = Store()
        store.put(labelled("a", app="web"))
        write(store.get("ns/a"))

    with pytest.raises(CacheMutatedError, match=r"ns/a: .*'team': 'mine'"):
        watched(changes)


@pytest.mark.parametrize("end", ["replaced", "deleted", "missing from a list"])
def test_a_change_to_an_object_that_is_gone_since_is_still_reported(end: str) -> None:
    def changes() -> None:
        store: Store[Object] = Store()
        store.put(labelled("a"))
        write(store.get("ns/a"))
        match end:
            case "replaced":
                store.put(labelled("a"))
            case "deleted":
                store.delete("ns/a")
            case _:
                store.replace({})

    with pytest.raises(CacheMutatedError, match="ns/a"):
        watched(changes)


def test_readers_and_new_versions_are_no_mutation() -> None:
    with mutation_detection():
        store: Store[Object] = Store()
        store.put(labelled("a"))
        store.put(labelled("a", app="web"))
        assert store.get("ns/a") is not None
        store.delete("ns/a")


def test_nothing_is_remembered_outside() -> None:
    store: Store[Object] = Store()
    store.put(labelled("a"))
    write(store.get("ns/a"))
    with mutation_detection():
        store.put(labelled("a"))


def test_a_transform_that_is_not_idempotent_is_reported() -> None:
    def grows(obj: Object) -> Object:
        labels = {**(obj.metadata.labels or {}), f"seen-{len(obj.metadata.labels or {})}": "yes"}
        return Object(metadata=msgspec.structs.replace(obj.metadata, labels=labels))

    def decode() -> None:
        Decoder(Object, grows).item(b'{"metadata":{"name":"a","namespace":"ns"}}')

    with pytest.raises(CacheMutatedError, match="ns/a: the transform gives something else"):
        watched(decode)


def test_a_transform_that_drops_what_is_not_needed_is_fine() -> None:
    def slim(obj: Object) -> Object:
        return Object(metadata=msgspec.structs.replace(obj.metadata, annotations=None))

    def decode() -> None:
        item = Decoder(Object, slim).item(b'{"metadata":{"name":"a","annotations":{"long":"text"}}}')
        assert isinstance(item, Object)
        assert item.metadata.annotations is None

    watched(decode)
