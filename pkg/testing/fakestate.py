"""The objects of the fake API server and what each verb does to them."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Mapping

import msgspec

from pkg.apis.meta import Json, JsonObject
from pkg.kube.clock import Clock
from pkg.kube.errors import status_error
from pkg.kube.resources import ResourceRef
from pkg.kube.wire import APPLY_TYPE
from pkg.testing.fakeobjects import merge_patch, metadata_of, removal_patch, selected
from pkg.testing.fakerequests import Request
from pkg.testing.fakewatch import Change

WITHOUT_STATUS = frozenset({"Secret", "ConfigMap", "ServiceAccount", "Event", "Lease"})
_Key = tuple[str, str, str]


class FakeState:
    """Not thread-safe; its owner holds a lock. `publish` is called after each change was appended."""

    def __init__(self, clock: Clock, publish: Callable[[], None]) -> None:
        self.changes: list[Change] = []
        self.forgotten = 0
        self._clock = clock
        self._publish = publish
        self._objects: dict[_Key, JsonObject] = {}
        self._applied: dict[tuple[_Key, str, str], JsonObject] = {}
        self._uids = itertools.count(1)
        self._version = 100

    @property
    def version(self) -> int:
        """The newest resourceVersion."""
        return self._version

    def answer(self, asked: Request) -> bytes:
        """Does what was asked and returns the answer's body."""
        match asked.method:
            case "GET" if asked.name:
                answer: Json = self._existing(asked)
            case "GET":
                answer = self._page(asked)
            case "POST":
                answer = self._create(asked)
            case "PATCH":
                answer = self._patch(asked)
            case "DELETE":
                answer = self._delete(asked)
            case _:
                raise status_error(f"{asked.method} is not served", code=405, reason="MethodNotAllowed")
        return msgspec.json.encode(answer)

    def get(self, ref: ResourceRef, namespace: str, name: str) -> JsonObject | None:
        """A copy of the object, or None."""
        return copy.deepcopy(self._objects.get(_key(ref, namespace, name)))

    def list(self, ref: ResourceRef, namespace: str, query: Mapping[str, str]) -> list[JsonObject]:
        """Copies of the objects that match, by key."""
        found = [
            obj
            for key, obj in sorted(self._objects.items())
            if key[0] == ref.group_resource and namespace in ("", key[1]) and selected(obj, query)
        ]
        return copy.deepcopy(found)

    def add(self, ref: ResourceRef, obj: JsonObject) -> JsonObject:
        """Stores an object as it is, with what the server fills in where it is missing."""
        stored = copy.deepcopy(obj)
        stored |= {"apiVersion": ref.api_version, "kind": ref.kind}
        metadata = metadata_of(stored)
        if not metadata.get("name"):
            metadata["name"] = f"{metadata.get('generateName', '')}{next(self._uids):05d}"
        metadata.setdefault("uid", f"uid-{next(self._uids)}")
        metadata.setdefault("creationTimestamp", self._time())
        metadata.setdefault("generation", 1)
        return self._store(ref, stored)

    def remove(self, ref: ResourceRef, namespace: str, name: str) -> None:
        """Deletes an object at once."""
        key = _key(ref, namespace, name)
        before = self._objects.pop(key)
        self._applied = {owner: fields for owner, fields in self._applied.items() if owner[0] != key}
        self._change(ref, before, None)

    def forget_history(self) -> None:
        """Makes older resourceVersions too old."""
        self._version += 1
        self.forgotten = self._version
        self.changes.clear()

    def _page(self, asked: Request) -> JsonObject:
        items = self.list(asked.ref, asked.namespace, asked.query)
        start, limit = int(asked.query.get("continue") or 0), int(asked.query.get("limit") or 0)
        end = start + limit if limit else len(items)
        metadata: JsonObject = {"resourceVersion": str(self._version)}
        metadata |= {"continue": str(end)} if end < len(items) else {}
        page: list[Json] = list(items[start:end])
        return {
            "apiVersion": asked.ref.api_version,
            "kind": f"{asked.ref.kind}List",
            "metadata": metadata,
            "items": page,
        }

    def _create(self, asked: Request) -> JsonObject:
        obj = copy.deepcopy(asked.content)
        obj.setdefault("metadata", {})
        metadata = metadata_of(obj)
        if asked.name:
            metadata["name"] = asked.name  # an apply names it in its path
        if asked.ref.namespaced:
            metadata["namespace"] = asked.namespace
        if self.get(asked.ref, asked.namespace, str(metadata.get("name", ""))) is not None:
            message = f'{asked.ref.group_resource} "{metadata["name"]}" already exists'
            raise status_error(message, code=409, reason="AlreadyExists")
        if asked.ref.kind not in WITHOUT_STATUS:
            obj.pop("status", None)
        for assigned in ("uid", "resourceVersion", "creationTimestamp", "generation"):
            metadata.pop(assigned, None)
        return self.add(asked.ref, obj)

    def _patch(self, asked: Request) -> JsonObject:
        if asked.content_type == APPLY_TYPE:
            if not asked.subresource and self.get(asked.ref, asked.namespace, asked.name) is None:
                self._create(asked)
            patch = self._applied_patch(asked)
        else:
            patch = asked.content
        before = self._existing(asked)
        wanted = patch.get("metadata")
        for field in ("uid", "resourceVersion"):
            expected = wanted.get(field) if isinstance(wanted, dict) else None
            if expected and expected != metadata_of(before)[field]:
                raise _modified(asked)
        return self._update(asked, before, patch)

    def _applied_patch(self, asked: Request) -> JsonObject:
        owner = (_key(asked.ref, asked.namespace, asked.name), asked.query["fieldManager"], asked.subresource)
        removed = removal_patch(self._applied.get(owner, {}), asked.content)
        self._applied[owner] = copy.deepcopy(asked.content)
        merged = merge_patch(removed, asked.content)
        return merged if isinstance(merged, dict) else {}

    def _update(self, asked: Request, before: JsonObject, patch: JsonObject) -> JsonObject:
        merged = merge_patch(before, patch)
        after = merged if isinstance(merged, dict) else {}
        if asked.subresource == "status":
            after = {**before, "status": after.get("status"), "metadata": before["metadata"]}
        elif asked.ref.kind not in WITHOUT_STATUS:
            after = {**after, "status": before["status"]} if "status" in before else _without(after, "status")
        after["metadata"] = {**metadata_of(after), "resourceVersion": metadata_of(before)["resourceVersion"]}
        if after == before:
            return before
        if after.get("spec") != before.get("spec"):
            metadata_of(after)["generation"] = int(str(metadata_of(before).get("generation") or 0)) + 1
        stored = self._store(asked.ref, after)
        if metadata_of(stored).get("deletionTimestamp") and not metadata_of(stored).get("finalizers"):
            self.remove(asked.ref, asked.namespace, asked.name)
        return stored

    def _delete(self, asked: Request) -> JsonObject:
        before = self._existing(asked)
        metadata = metadata_of(before)
        wanted = asked.content.get("preconditions")
        for field, value in (wanted if isinstance(wanted, dict) else {}).items():
            if metadata.get(field) != value:
                raise _modified(asked)
        if not metadata.get("finalizers"):
            self.remove(asked.ref, asked.namespace, asked.name)
        elif not metadata.get("deletionTimestamp"):
            metadata["deletionTimestamp"] = self._time()
            self._store(asked.ref, before)
        return {"kind": "Status", "apiVersion": "v1", "status": "Success"}

    def _existing(self, asked: Request) -> JsonObject:
        found = self.get(asked.ref, asked.namespace, asked.name)
        if found is None:
            raise status_error(f'{asked.ref.group_resource} "{asked.name}" not found', code=404, reason="NotFound")
        return found

    def _store(self, ref: ResourceRef, obj: JsonObject) -> JsonObject:
        metadata = metadata_of(obj)
        key = _key(ref, str(metadata.get("namespace") or ""), str(metadata["name"]))
        before = self._objects.get(key)
        metadata["resourceVersion"] = str(self._version + 1)
        self._objects[key] = obj
        self._change(ref, before, obj)
        return copy.deepcopy(obj)

    def _change(self, ref: ResourceRef, before: JsonObject | None, after: JsonObject | None) -> None:
        self._version += 1
        self.changes.append(
            Change(
                ref=ref,
                resource_version=self._version,
                before=copy.deepcopy(before),
                after=copy.deepcopy(after),
            )
        )
        self._publish()

    def _time(self) -> str:
        return self._clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")


def _key(ref: ResourceRef, namespace: str, name: str) -> _Key:
    return (ref.group_resource, namespace if ref.namespaced else "", name)


def _without(obj: JsonObject, field: str) -> JsonObject:
    return {key: value for key, value in obj.items() if key != field}


def _modified(asked: Request) -> Exception:
    message = (
        f'Operation cannot be fulfilled on {asked.ref.group_resource} "{asked.name}": the object has been modified'
    )
    return status_error(message, code=409, reason="Conflict")
