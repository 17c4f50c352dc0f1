"""msgspec structs as structural OpenAPI schemas, in the small subset that a CustomResourceDefinition accepts.

Every nested struct is written out (no `$ref`), an optional field is `nullable` (0.9 wrote nulls), and a status is
permissive: nothing required and unknown fields kept, so that an upgrade or a rollback is never refused.
"""

from __future__ import annotations

import msgspec
from msgspec import inspect

from pkg.apis.meta import JsonObject, Object
from pkg.apis.schema_docs import docs_of

# The API server defines these itself; a definition says no more than that they are there.
_GIVEN: dict[str, JsonObject] = {
    "apiVersion": {"type": "string", "description": "Group and version, ark.heptio.com/v1."},
    "kind": {"type": "string", "description": "The kind."},
    "metadata": {"type": "object"},
}


def object_schema(kind: type[Object]) -> JsonObject:
    """The schema of a whole kind; only what lies below `status` is permissive."""
    properties: JsonObject = dict(_GIVEN)
    docs = docs_of(kind)
    for field in _struct(kind).fields:
        if field.encode_name in _GIVEN:
            continue
        found = _type_schema(field.type, permissive=field.encode_name == "status")
        properties[field.encode_name] = _described(found, docs.fields.get(field.name, ""))
    return {"type": "object", "description": docs.summary, "properties": properties}


def struct_schema(struct: type[msgspec.Struct], *, permissive: bool) -> JsonObject:
    """The schema of a nested struct."""
    docs = docs_of(struct)
    fields = _struct(struct).fields
    found: JsonObject = {"type": "object", "description": docs.summary}
    required = [field.encode_name for field in fields if field.required]
    if required and not permissive:
        found["required"] = [*required]
    found["properties"] = {
        field.encode_name: _described(_type_schema(field.type, permissive=permissive), docs.fields.get(field.name, ""))
        for field in fields
    }
    if permissive:
        found["x-kubernetes-preserve-unknown-fields"] = True
    return found


def _struct(struct: type[msgspec.Struct]) -> inspect.StructType:
    found = inspect.type_info(struct)
    assert isinstance(found, inspect.StructType)
    return found


def _described(schema: JsonObject, text: str) -> JsonObject:
    return schema | {"description": text} if text else schema


def _type_schema(found: inspect.Type, *, permissive: bool) -> JsonObject:
    match found:
        case inspect.UnionType():
            return _optional_schema(found, permissive=permissive)
        case inspect.StructType():
            return struct_schema(found.cls, permissive=permissive)
        case inspect.VarTupleType() | inspect.ListType():
            return {"type": "array", "items": _type_schema(found.item_type, permissive=permissive)}
        case inspect.DictType():
            values = _type_schema(found.value_type, permissive=permissive)
            return {"type": "object", "additionalProperties": values}
        case _:
            return _scalar_schema(found)


def _optional_schema(found: inspect.UnionType, *, permissive: bool) -> JsonObject:
    inner = [one for one in found.types if not isinstance(one, inspect.NoneType)]
    if len(inner) != 1 or not found.includes_none:
        raise TypeError(f"only `X | None` has a structural schema, not {found}")
    return _type_schema(inner[0], permissive=permissive) | {"nullable": True}


def _scalar_schema(found: inspect.Type) -> JsonObject:
    match found:
        case inspect.StrType():
            return {"type": "string"}
        case inspect.BoolType():
            return {"type": "boolean"}
        case inspect.IntType():
            return {"type": "integer", "format": "int64"}
        case inspect.DateTimeType():
            return {"type": "string", "format": "date-time"}
        case _:
            raise TypeError(f"no structural schema for {found}")
