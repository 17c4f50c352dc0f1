"""What an API server does to one object: merge patches, field selectors, ownership of applied fields."""

from __future__ import annotations

from collections.abc import Mapping

from pkg.apis.label_selector import matches, parse_selector
from pkg.apis.meta import Json, JsonObject


def merge_patch(target: Json, patch: Json) -> Json:
    """RFC 7386: null removes, maps are merged, all else is replaced."""
    if not isinstance(patch, dict):
        return patch
    merged: JsonObject = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged


def removal_patch(before: Json, after: Json) -> JsonObject:
    """The merge patch that removes what a manager applied before and does not apply any more."""
    removed: JsonObject = {}
    if isinstance(before, dict) and isinstance(after, dict):
        for key, value in before.items():
            if key not in after:
                removed[key] = None
            elif inner := removal_patch(value, after[key]):
                removed[key] = inner
    return removed


def metadata_of(obj: Mapping[str, Json]) -> JsonObject:
    """The object's metadata, to be changed in place."""
    metadata = obj["metadata"]
    if not isinstance(metadata, dict):
        raise TypeError(f"metadata is a {type(metadata).__name__}")
    return metadata


def selected(obj: JsonObject, query: Mapping[str, str]) -> bool:
    """Whether the object matches the query's label and field selectors."""
    labels = metadata_of(obj).get("labels")
    texts = {str(key): str(value) for key, value in labels.items()} if isinstance(labels, dict) else {}
    if (selector := query.get("labelSelector", "")) and not matches(parse_selector(selector), texts):
        return False
    return all(_field_matches(obj, term) for term in query.get("fieldSelector", "").split(",") if term)


def _field_matches(obj: JsonObject, term: str) -> bool:
    path, operator, wanted = term.partition("!=") if "!=" in term else term.partition("=")
    value: Json = obj
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    equal = str(value if value is not None else "") == wanted.lstrip("=")
    return equal if operator == "=" else not equal
