"""What a `Client` can rely on, as cases that run against the fake API server and against a real one.

Each case is a function of (client, namespace) that raises AssertionError; the namespace exists and is its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias, TypeVar

import msgspec

from pkg.apis.meta import JsonObject, Object
from pkg.kube.client import Client
from pkg.kube.discovery import discover
from pkg.kube.errors import AlreadyExistsError, ConflictError, KubeError, NotFoundError
from pkg.kube.refs import CONFIG_MAPS
from pkg.kube.wire import ByteStream

Case: TypeAlias = Callable[[Client, str], None]
E = TypeVar("E", bound=KubeError)


def _map(name: str, **data: str) -> JsonObject:
    return {"metadata": {"name": name}, "data": dict(data)}


def _data(obj: JsonObject) -> object:
    return obj.get("data")


def _version(obj: JsonObject) -> str:
    return msgspec.convert(obj, Object).metadata.resource_version


def _raises(error: type[E], call: Callable[[], object]) -> E:
    try:
        call()
    except error as raised:
        return raised
    raise AssertionError(f"{error.__name__} was expected")


def a_created_object_is_read_back(client: Client, namespace: str) -> None:
    """Create, get and get_raw agree, and the server's fields are there."""
    created = client.create(CONFIG_MAPS, namespace, _map("a", x="1"), Object)
    read = client.get(CONFIG_MAPS, namespace, "a", Object)
    assert created == read
    assert read.metadata.namespace == namespace
    assert read.metadata.uid
    assert read.metadata.creation_timestamp is not None
    assert _data(client.get_raw(CONFIG_MAPS, namespace, "a")) == {"x": "1"}


def what_is_not_there_is_not_found(client: Client, namespace: str) -> None:
    """Get, patch and delete of a missing object."""
    error = _raises(NotFoundError, lambda: client.get(CONFIG_MAPS, namespace, "a", Object))
    assert (error.code, error.reason) == (404, "NotFound")
    assert '"a" not found' in error.message
    _raises(NotFoundError, lambda: client.patch_raw(CONFIG_MAPS, namespace, "a", {}))
    _raises(NotFoundError, lambda: client.delete(CONFIG_MAPS, namespace, "a"))


def a_name_is_taken_once(client: Client, namespace: str) -> None:
    """Create of what exists is AlreadyExists, not Conflict."""
    client.create_raw(CONFIG_MAPS, namespace, _map("a"))
    error = _raises(AlreadyExistsError, lambda: client.create_raw(CONFIG_MAPS, namespace, _map("a")))
    assert not isinstance(error, ConflictError)


def a_generated_name_is_filled_in(client: Client, namespace: str) -> None:
    """Create with generateName twice gives two names."""
    asked: JsonObject = {"metadata": {"generateName": "a-"}}
    names = {client.create(CONFIG_MAPS, namespace, asked, Object).metadata.name for _ in range(2)}
    assert len(names) == 2
    assert all(name.startswith("a-") and len(name) > 2 for name in names)


def a_merge_patch_merges_and_null_removes(client: Client, namespace: str) -> None:
    """Maps are merged, null removes a key, the version moves."""
    before = client.create_raw(CONFIG_MAPS, namespace, _map("a", x="1", y="2"))
    after = client.patch_raw(CONFIG_MAPS, namespace, "a", {"data": {"x": None, "z": "3"}})
    assert _data(after) == {"y": "2", "z": "3"}
    assert _version(after) != _version(before)


def a_patch_that_changes_nothing_keeps_the_version(client: Client, namespace: str) -> None:
    """A no-op write is no event."""
    before = client.create_raw(CONFIG_MAPS, namespace, _map("a", x="1"))
    assert _version(client.patch_raw(CONFIG_MAPS, namespace, "a", {"data": {"x": "1"}})) == _version(before)


def a_patch_with_a_stale_version_is_a_conflict(client: Client, namespace: str) -> None:
    """The resourceVersion in a merge patch is compare-and-set."""
    stale = _version(client.create_raw(CONFIG_MAPS, namespace, _map("a", x="1")))
    client.patch_raw(CONFIG_MAPS, namespace, "a", {"data": {"x": "2"}})
    patch: JsonObject = {"metadata": {"resourceVersion": stale}, "data": {"x": "3"}}
    _raises(ConflictError, lambda: client.patch_raw(CONFIG_MAPS, namespace, "a", patch))
    assert _data(client.get_raw(CONFIG_MAPS, namespace, "a")) == {"x": "2"}


def a_delete_of_another_uid_or_version_is_a_conflict(client: Client, namespace: str) -> None:
    """Preconditions hold a delete back."""
    created = client.create(CONFIG_MAPS, namespace, _map("a"), Object)
    _raises(ConflictError, lambda: client.delete(CONFIG_MAPS, namespace, "a", uid="another"))
    _raises(ConflictError, lambda: client.delete(CONFIG_MAPS, namespace, "a", resource_version="1"))
    client.delete(CONFIG_MAPS, namespace, "a", uid=created.metadata.uid)
    _raises(NotFoundError, lambda: client.get(CONFIG_MAPS, namespace, "a", Object))


def a_finalizer_keeps_a_deleted_object_until_it_is_removed(client: Client, namespace: str) -> None:
    """Delete sets the deletion timestamp; removing the last finalizer deletes."""
    asked: JsonObject = {"metadata": {"name": "a", "finalizers": ["ark.heptio.com/test"]}}
    client.create_raw(CONFIG_MAPS, namespace, asked)
    client.delete(CONFIG_MAPS, namespace, "a")
    assert client.get(CONFIG_MAPS, namespace, "a", Object).metadata.deletion_timestamp is not None
    client.patch_raw(CONFIG_MAPS, namespace, "a", {"metadata": {"finalizers": None}})
    _raises(NotFoundError, lambda: client.get(CONFIG_MAPS, namespace, "a", Object))


def apply_owns_exactly_what_it_applied_last(client: Client, namespace: str) -> None:
    """A field that a manager leaves out of its next apply goes; other fields stay."""
    client.create_raw(CONFIG_MAPS, namespace, _map("a", mine="0", other="1"))
    first: JsonObject = {"data": {"mine": "1", "extra": "2"}}
    client.apply(CONFIG_MAPS, namespace, "a", first, field_manager="ark")
    after = client.apply(CONFIG_MAPS, namespace, "a", {"data": {"mine": "3"}}, field_manager="ark")
    assert _data(after) == {"mine": "3", "other": "1"}


def apply_creates_what_is_missing(client: Client, namespace: str) -> None:
    """An apply to a name that is free is a create."""
    applied = client.apply(CONFIG_MAPS, namespace, "a", {"data": {"x": "1"}}, field_manager="ark")
    assert _data(applied) == {"x": "1"}
    assert client.get(CONFIG_MAPS, namespace, "a", Object).metadata.uid


def a_list_comes_in_pages_of_one_version(client: Client, namespace: str) -> None:
    """Pages add up to the whole, and later pages do not show later changes."""
    for number in range(5):
        client.create_raw(CONFIG_MAPS, namespace, _map(f"p{number}") | {"metadata": _labelled(f"p{number}")})
    pages = list(client.list_pages(CONFIG_MAPS, namespace, label_selector="page=yes", limit=2))
    assert [len(page.items) for page in pages] == [2, 2, 1]
    assert len({page.resource_version for page in pages}) == 1
    names = [msgspec.json.decode(raw, type=Object).metadata.name for page in pages for raw in page.items]
    assert names == [f"p{number}" for number in range(5)]


def _labelled(name: str) -> JsonObject:
    return {"name": name, "labels": {"page": "yes"}}


def selectors_narrow_a_list(client: Client, namespace: str) -> None:
    """By label and by field."""
    client.create_raw(CONFIG_MAPS, namespace, {"metadata": _labelled("a")})
    client.create_raw(CONFIG_MAPS, namespace, _map("b"))
    by_label = client.list(CONFIG_MAPS, namespace, Object, label_selector="page in (yes)")
    assert [obj.metadata.name for obj in by_label] == ["a"]
    by_field = client.list(CONFIG_MAPS, namespace, Object, field_selector="metadata.name=b")
    assert [obj.metadata.name for obj in by_field] == ["b"]


class _Event(msgspec.Struct):
    type: str
    object: Object


def _events(stream: ByteStream, count: int) -> list[str]:
    """Reads until so many events came, without bookmarks."""
    data, found = b"", list[str]()
    while len(found) < count:
        data += stream.read(1 << 16)
        events = [msgspec.json.decode(line, type=_Event) for line in data.split(b"\n")[:-1]]
        found = [f"{event.type} {event.object.metadata.name}" for event in events if event.type != "BOOKMARK"]
    return found


def a_watch_replays_what_came_after_its_version_and_follows(client: Client, namespace: str) -> None:
    """Create, change and delete are seen, before and after the watch was opened."""
    selector = "metadata.name=a"
    version = client.list_page(CONFIG_MAPS, namespace).resource_version
    client.create_raw(CONFIG_MAPS, namespace, _map("a"))
    client.create_raw(CONFIG_MAPS, namespace, _map("other"))
    stream = client.watch(CONFIG_MAPS, namespace, resource_version=version, timeout_seconds=60, field_selector=selector)
    try:
        assert _events(stream, 1) == ["ADDED a"]
        client.patch_raw(CONFIG_MAPS, namespace, "a", {"data": {"x": "1"}})
        client.delete(CONFIG_MAPS, namespace, "a")
        assert _events(stream, 2) == ["MODIFIED a", "DELETED a"]
    finally:
        stream.close()


def a_watch_that_is_shut_down_is_at_its_end(client: Client, namespace: str) -> None:
    """Shutdown is the end for the reader, now and later."""
    version = client.list_page(CONFIG_MAPS, namespace).resource_version
    stream = client.watch(CONFIG_MAPS, namespace, resource_version=version, timeout_seconds=60)
    stream.shutdown()
    assert stream.read(1000) == b""
    stream.shutdown()
    stream.close()


def discovery_finds_a_kind_by_any_of_its_names(client: Client, namespace: str) -> None:
    """Plural, singular and kind in any case; unknown names are None."""
    found = discover(client)
    for name in ("configmaps", "ConfigMap", "configmap"):
        resource = found.resolve(name)
        assert resource is not None
        assert (resource.ref.plural, resource.ref.namespaced) == ("configmaps", True)
        assert resource.can("list", "watch", "create")
    assert found.resolve("no-such-thing") is None
    assert found.serves("apps/v1", "DaemonSet")
    assert not found.serves("apps/v0", "DaemonSet")


CASES: tuple[Case, ...] = (
    a_created_object_is_read_back,
    what_is_not_there_is_not_found,
    a_name_is_taken_once,
    a_generated_name_is_filled_in,
    a_merge_patch_merges_and_null_removes,
    a_patch_that_changes_nothing_keeps_the_version,
    a_patch_with_a_stale_version_is_a_conflict,
    a_delete_of_another_uid_or_version_is_a_conflict,
    a_finalizer_keeps_a_deleted_object_until_it_is_removed,
    apply_owns_exactly_what_it_applied_last,
    apply_creates_what_is_missing,
    a_list_comes_in_pages_of_one_version,
    selectors_narrow_a_list,
    a_watch_replays_what_came_after_its_version_and_follows,
    a_watch_that_is_shut_down_is_at_its_end,
    discovery_finds_a_kind_by_any_of_its_names,
)
