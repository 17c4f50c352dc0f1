"""The lister of a store and the fake one answer alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from pkg.apis.meta import Object, ObjectMeta
from pkg.informers.lister import Lister, StoreLister
from pkg.informers.store import Store
from pkg.testing.fakes import FakeLister


def made(namespace: str, name: str, label: str = "") -> Object:
    return Object(metadata=ObjectMeta(namespace=namespace, name=name, labels={"app": label}))


def app_of(obj: Object) -> Iterable[str]:
    return [obj.metadata.label("app")]


OBJECTS = (made("n1", "a", "x"), made("n1", "b", "y"), made("n2", "a", "x"), made("", "cluster"))


def from_store() -> Lister[Object]:
    store: Store[Object] = Store()
    store.add_index("app", app_of)
    for obj in OBJECTS:
        store.put(obj)
    return StoreLister(store)


def from_fake() -> Lister[Object]:
    fake = FakeLister(OBJECTS)
    fake.add_index("app", app_of)
    return fake


def keys(objects: Iterable[Object]) -> list[str]:
    return sorted(obj.metadata.key for obj in objects)


@pytest.mark.parametrize("make", [from_store, from_fake])
def test_it_gets_lists_and_looks_up(make: Callable[[], Lister[Object]]) -> None:
    lister = make()
    assert lister.get("n1", "a") == OBJECTS[0]
    assert lister.get("", "cluster") == OBJECTS[3]
    assert lister.get("n2", "b") is None
    assert keys(lister.list()) == ["cluster", "n1/a", "n1/b", "n2/a"]
    assert keys(lister.list("n1")) == ["n1/a", "n1/b"]
    assert lister.list("nowhere") == []
    assert keys(lister.by_index("app", "x")) == ["n1/a", "n2/a"]
    assert lister.by_index("app", "none") == []
    with pytest.raises(KeyError):
        lister.by_index("nobody-added-this", "x")
