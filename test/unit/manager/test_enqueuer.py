"""From notifications to keys with their priorities."""

from __future__ import annotations

import pytest

from pkg.apis.meta import Object, ObjectMeta, OwnerReference
from pkg.manager.enqueuer import Enqueuer, own_key, owner_keys
from pkg.manager.predicates import version_changed
from pkg.workqueue.key import Key

JOB = OwnerReference(api_version="batch/v1", kind="Job", name="run", controller=True)
OTHER = OwnerReference(api_version="batch/v1", kind="Job", name="sharer")
CUSTOM = OwnerReference(api_version="example.com/v1", kind="Job", name="namesake", controller=True)
NODE = OwnerReference(api_version="v1", kind="Node", name="n1", controller=True)


def made(name: str, version: str = "1", *owners: OwnerReference) -> Object:
    return Object(metadata=ObjectMeta(namespace="ns", name=name, resource_version=version, owner_references=owners))


class Noted:
    def __init__(self) -> None:
        self.added: list[tuple[str, int]] = []

    def __call__(self, key: Key, *, priority: int) -> None:
        self.added.append((key.name, priority))


def test_what_was_there_and_what_is_unchanged_comes_behind_live_changes() -> None:
    noted = Noted()
    handler = Enqueuer(noted, own_key)
    handler.on_add(made("initial"), True)
    handler.on_add(made("new"), False)
    handler.on_update(made("resync"), made("resync"))
    handler.on_update(made("changed"), made("changed", "2"))
    handler.on_delete(made("gone"), False)
    assert dict(noted.added) == {"initial": -100, "new": 0, "resync": -100, "changed": 0, "gone": 0}


def test_an_update_names_the_keys_before_and_after() -> None:
    noted = Noted()
    Enqueuer(noted, owner_keys("Job", "batch", any_owner=True)).on_update(made("a", "1", JOB), made("a", "2", OTHER))
    assert [name for name, _ in noted.added] == ["run", "sharer"]


def test_what_the_predicate_drops_is_not_enqueued() -> None:
    noted = Noted()
    handler = Enqueuer(noted, own_key, version_changed)
    handler.on_update(made("resync"), made("resync"))
    handler.on_add(made("new"), False)
    assert noted.added == [("new", 0)]


@pytest.mark.parametrize(
    ("mapper", "found"),
    [
        pytest.param(owner_keys("Job", "batch"), [Key("ns", "run")], id="the controller of a kind and group"),
        pytest.param(
            owner_keys("Job", "batch", any_owner=True), [Key("ns", "run"), Key("ns", "sharer")], id="every owner"
        ),
        pytest.param(owner_keys("Node", "", namespaced=False), [Key("", "n1")], id="an owner without a namespace"),
        pytest.param(owner_keys("Deployment", "apps"), [], id="nobody"),
    ],
)
def test_an_object_is_mapped_to_its_owner(mapper: object, found: list[Key]) -> None:
    assert callable(mapper)
    assert list(mapper(made("pod", "1", JOB, OTHER, CUSTOM, NODE))) == found
