"""The generated definitions keep the rules of a structural schema and of 0.9's objects."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

import msgspec
import pytest

from pkg.apis import schema
from pkg.apis.ark import Backup, BackupStatus
from pkg.apis.meta import Json, JsonObject
from pkg.apis.schema_docs import docs_of
from pkg.apis.schema_emit import struct_schema

CRD_DIRECTORY = pathlib.Path("config/crd")


def at(tree: Json, *path: str | int) -> Json:
    for step in path:
        tree = tree[step]  # type: ignore[index]  # a test walks JSON by a literal path
    return tree


def schema_of(kind: str) -> JsonObject:
    for crd in schema.crds():
        if at(crd, "spec", "names", "kind") == kind:
            found = at(crd, "spec", "versions", 0, "schema", "openAPIV3Schema")
            assert isinstance(found, dict)
            return found
    raise AssertionError(kind)


def nodes(tree: Json) -> Iterator[JsonObject]:
    if isinstance(tree, dict):
        yield tree
        for value in tree.values():
            yield from nodes(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from nodes(value)


def test_config_crd_is_what_the_structs_say() -> None:
    assert schema.stale_files(CRD_DIRECTORY) == []


def test_a_changed_missing_or_foreign_file_is_out_of_date(tmp_path: pathlib.Path) -> None:
    schema.write_files(tmp_path)
    (tmp_path / "backups.yaml").write_text("changed")
    (tmp_path / "restores.yaml").unlink()
    (tmp_path / "foreign.yaml").write_text("")
    assert schema.main(["--check", str(tmp_path)]) == 1
    assert schema.stale_files(tmp_path) == ["backups.yaml", "foreign.yaml", "restores.yaml"]
    assert schema.main(["--write", str(tmp_path)]) == 0
    assert schema.main(["--check", str(tmp_path)]) == 0


def test_there_are_nine_kinds_and_no_short_name_twice() -> None:
    names = [at(crd, "spec", "names", "shortNames", 0) for crd in schema.crds()]
    assert len(set(map(str, names))) == 9


def test_every_kind_but_config_has_a_status_subresource() -> None:
    without = [
        at(crd, "spec", "names", "kind")
        for crd in schema.crds()
        if "subresources" not in at(crd, "spec", "versions", 0)  # type: ignore[operator]  # it is a dict
    ]
    assert without == ["Config"]


@pytest.mark.parametrize("word", ["$ref", "anyOf", "oneOf", "pattern", "enum"])
def test_no_schema_uses(word: str) -> None:
    assert not any(word in node for crd in schema.crds() for node in nodes(crd))


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(("spec", "includedNamespaces"), id="a list"),
        pytest.param(("spec", "labelSelector"), id="a struct"),
        pytest.param(("spec", "includeClusterResources"), id="a boolean"),
        pytest.param(("spec", "hooks", "properties", "resources"), id="a list inside"),
        pytest.param(("status", "volumeBackups"), id="a map"),
        pytest.param(("status", "expiration"), id="a time"),
    ],
)
def test_what_0_9_wrote_as_null_is_nullable(path: tuple[str, ...]) -> None:
    top, *rest = path
    assert at(schema_of("Backup"), "properties", top, "properties", *rest, "nullable") is True


def test_a_status_requires_nothing_and_keeps_what_it_does_not_know() -> None:
    found = struct_schema(BackupStatus, permissive=True)
    assert not any("required" in node for node in nodes(found))
    assert found["x-kubernetes-preserve-unknown-fields"] is True


def test_a_spec_does_not_keep_what_it_does_not_know() -> None:
    assert "x-kubernetes-preserve-unknown-fields" not in at(schema_of("Backup"), "properties", "spec")  # type: ignore[operator]  # it is a dict


def test_descriptions_come_from_the_docstrings() -> None:
    described = at(schema_of("Backup"), "properties", "spec", "properties", "tolerateUnreadFiles", "description")
    assert described == "Files that restic could not read degrade a volume to a warning only."


def test_an_attribute_of_several_lines_is_one_sentence() -> None:
    class Documented:
        """Summary of
        two lines.

        Attributes:
            first: begins
                and goes on.
            second: alone.
        """

    docs = docs_of(Documented)
    assert docs.summary == "Summary of two lines."
    assert docs.fields == {"first": "begins and goes on.", "second": "alone."}


def test_the_hash_follows_the_schema_and_nothing_else() -> None:
    crd = schema.crds()[0]
    assert schema.schema_hash(crd) == at(crd, "metadata", "annotations", "ark.heptio.com/schema-hash")
    assert schema.schema_hash({"spec": crd["spec"]}) == schema.schema_hash(crd)
    assert schema.schema_hash({"spec": {"other": 1}}) != schema.schema_hash(crd)


def test_a_type_without_a_structural_schema_is_refused() -> None:
    class Odd(msgspec.Struct):
        either: int | str = 0

    with pytest.raises(TypeError, match="structural"):
        struct_schema(Odd, permissive=False)


def test_a_backup_of_0_9_decodes() -> None:
    text = b"""{"apiVersion":"ark.heptio.com/v1","kind":"Backup","metadata":{"name":"nightly","creationTimestamp":null},
      "spec":{"includedNamespaces":["*"],"excludedNamespaces":null,"includedResources":null,"excludedResources":null,
      "labelSelector":null,"snapshotVolumes":null,"ttl":"720h0m0s","includeClusterResources":null,
      "hooks":{"resources":null}},"status":{"version":1,"expiration":null,"phase":"Completed","volumeBackups":null,
      "validationErrors":null,"startTimestamp":"2018-11-08T10:00:00Z","completionTimestamp":null}}"""
    backup = msgspec.json.decode(text, type=Backup)
    assert backup.status.phase == "Completed"
    assert backup.spec.included_namespaces == ("*",)
