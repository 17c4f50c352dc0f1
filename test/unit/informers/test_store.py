"""A store against a model: a plain dict, with the indexes computed anew for each question."""

from __future__ import annotations

import threading
from collections.abc import Iterable

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from pkg.apis.meta import Object, ObjectMeta
from pkg.informers.store import NAMESPACE_INDEX, Store
from pkg.informers.versions import at_least

NAMES = st.sampled_from(["a", "b", "c"])
NAMESPACES = st.sampled_from(["", "n1", "n2"])
VALUES = st.lists(st.sampled_from(["x", "y", "z"]), max_size=3)


def made(namespace: str, name: str, values: Iterable[str] = ()) -> Object:
    return Object(metadata=ObjectMeta(namespace=namespace, name=name, labels=dict.fromkeys(values, "")))


def values_of(obj: Object) -> list[str]:
    return list(obj.metadata.labels or {})


OBJECTS = st.builds(made, NAMESPACES, NAMES, VALUES)


class StoreMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.store: Store[Object] = Store()
        self.store.add_index("label", values_of)
        self.model: dict[str, Object] = {}

    @rule(obj=OBJECTS)
    def put(self, obj: Object) -> None:
        assert self.store.put(obj) == self.model.get(obj.metadata.key)
        self.model[obj.metadata.key] = obj

    @rule(namespace=NAMESPACES, name=NAMES)
    def delete(self, namespace: str, name: str) -> None:
        key = made(namespace, name).metadata.key
        assert self.store.delete(key) == self.model.pop(key, None)

    @rule(objects=st.lists(OBJECTS, max_size=5), keep=st.frozensets(st.sampled_from(["a", "n1/a", "n2/b"]), max_size=2))
    def replace(self, objects: list[Object], keep: frozenset[str]) -> None:
        new = {obj.metadata.key: obj for obj in objects}
        assert self.store.replace(new, keep=keep) == self.model
        self.model = {key: obj for key, obj in self.model.items() if key in keep} | new

    @invariant()
    def holds_what_the_model_holds(self) -> None:
        assert {obj.metadata.key: obj for obj in self.store.list()} == self.model
        assert len(self.store) == len(self.model)

    @invariant()
    def indexes_are_as_new_as_the_objects(self) -> None:
        for value in ("x", "y", "z"):
            found = {obj.metadata.key for obj in self.store.by_index("label", value)}
            assert found == {key for key, obj in self.model.items() if value in values_of(obj)}
        for namespace in ("", "n1", "n2"):
            found = {obj.metadata.key for obj in self.store.by_index(NAMESPACE_INDEX, namespace)}
            assert found == {key for key, obj in self.model.items() if obj.metadata.namespace == namespace}


TestStore = StoreMachine.TestCase
TestStore.settings = settings(max_examples=15, stateful_step_count=15, deadline=None)


def test_an_index_that_is_added_late_knows_what_is_there() -> None:
    store: Store[Object] = Store()
    store.put(made("n1", "a", ["x"]))
    store.add_index("label", values_of)
    assert [obj.metadata.name for obj in store.by_index("label", "x")] == ["a"]


def test_an_index_name_is_taken_once() -> None:
    store: Store[Object] = Store()
    with pytest.raises(ValueError, match="namespace already"):
        store.add_index(NAMESPACE_INDEX, values_of)


def test_an_index_that_nobody_added_is_an_error() -> None:
    store: Store[Object] = Store()
    with pytest.raises(KeyError):
        store.by_index("label", "x")


def test_a_waiter_for_a_version_goes_on_when_it_is_reached() -> None:
    store: Store[Object] = Store()
    found: list[bool] = []
    waiter = threading.Thread(target=lambda: found.append(store.wait_for_rv("100", 10.0)))
    waiter.start()
    for version in ("9", "99", "100"):
        store.reached(version)
    waiter.join(10.0)
    assert found == [True]
    assert store.version == "100"


@pytest.mark.parametrize(
    ("version", "wanted", "new_enough"),
    [
        pytest.param("10", "9", True, id="numbers are compared as numbers"),
        pytest.param("9", "10", False, id="and not as text"),
        pytest.param("10", "10", True, id="the same version is new enough"),
        pytest.param("18446744073709551617", "18446744073709551616", True, id="numbers of any size"),
        pytest.param("", "1", False, id="an empty store has nothing"),
    ],
)
def test_versions_are_compared(version: str, wanted: str, new_enough: bool) -> None:
    assert at_least(version, wanted) is new_enough


@pytest.mark.parametrize("wanted", ["", "0", "-1", "v1", "01", "\u0661"])
def test_what_is_no_version_cannot_be_waited_for(wanted: str) -> None:
    with pytest.raises(ValueError, match="is no resourceVersion"):
        Store[Object]().wait_for_rv(wanted, 0.0)
