"""Reading raw JSON objects by path without trusting their shape.

A tarball may hold anything, so a field of the wrong type reads as absent instead of raising somewhere deep.
"""

from __future__ import annotations

from collections.abc import Iterable

from pkg.apis.meta import Json, JsonObject


def value_at(obj: JsonObject, *path: str) -> Json:
    """The value at the path, None when it is absent."""
    value: Json = obj
    for name in path:
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value


def object_at(obj: JsonObject, *path: str) -> JsonObject:
    """The object at the path; a detached empty one when there is none."""
    value = value_at(obj, *path)
    return value if isinstance(value, dict) else {}


def objects_at(obj: JsonObject, *path: str) -> list[JsonObject]:
    """The objects of the list at the path."""
    value = value_at(obj, *path)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def text_at(obj: JsonObject, *path: str) -> str:
    """The string at the path, empty when there is none."""
    value = value_at(obj, *path)
    return value if isinstance(value, str) else ""


def texts_at(obj: JsonObject, *path: str) -> dict[str, str]:
    """The strings of the object at the path, such as labels; always a copy."""
    return {key: value for key, value in object_at(obj, *path).items() if isinstance(value, str)}


def drop(obj: JsonObject, *path: str) -> None:
    """Removes the field at the path, if it is there."""
    object_at(obj, *path[:-1]).pop(path[-1], None)


def drop_keys(obj: JsonObject, path: Iterable[str], keys: Iterable[str]) -> None:
    """Removes keys of the object at the path, and the object itself when nothing is left of it."""
    path = tuple(path)
    target = object_at(obj, *path)
    removed = [target.pop(key) for key in set(keys) & target.keys()]
    if removed and not target:
        drop(obj, *path)


def containers(pod_spec: JsonObject) -> list[JsonObject]:
    """All containers of a pod spec, the init containers first."""
    return [*objects_at(pod_spec, "initContainers"), *objects_at(pod_spec, "containers")]
