"""Raw objects keep every byte of meaning on their way into the tarball."""

from __future__ import annotations

import msgspec
import pytest

from pkg.backup.item import has_snapshot_annotations, read_head, with_kind, with_snapshots
from pkg.kube.refs import CONFIG_MAPS, PODS

LISTED = b'{"metadata":{"name":"a","namespace":"n"},"data":{"x":"1.10"},"big":123456789012345678901}'


def test_an_item_of_a_list_gets_its_kind_and_keeps_its_bytes() -> None:
    body = with_kind(CONFIG_MAPS, read_head(LISTED), LISTED)
    assert body == b'{"apiVersion":"v1","kind":"ConfigMap",' + LISTED[1:]


def test_an_object_that_says_its_kind_is_left_alone() -> None:
    full = b'{"apiVersion":"example.com/v2","kind":"Widget","metadata":{"name":"a"}}'
    assert with_kind(CONFIG_MAPS, read_head(full), full) == full


@pytest.mark.parametrize("body", [b"[]", b"{}", b'{"metadata":{}}', b"nonsense"])
def test_what_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        read_head(body)


def pod(annotations: object) -> bytes:
    return msgspec.json.encode({"metadata": {"name": "p", "annotations": annotations}, "spec": {"x": [1.5, None]}})


@pytest.mark.parametrize(
    ("before", "snapshots", "after"),
    [
        pytest.param({"a": "b"}, {"data": "s"}, {"a": "b", "snapshot.ark.heptio.com/data": "s"}, id="added"),
        pytest.param({"snapshot.ark.heptio.com/data": "old"}, {}, None, id="an old one is gone"),
        pytest.param(
            {"snapshot.ark.heptio.com/old": "x", "snapshot.ark.heptio.com/data": "old"},
            {"data": "new"},
            {"snapshot.ark.heptio.com/data": "new"},
            id="only this backup's are left",
        ),
        pytest.param(None, {"data": "s"}, {"snapshot.ark.heptio.com/data": "s"}, id="no annotations at all"),
    ],
)
def test_snapshot_annotations(before: object, snapshots: dict[str, str], after: object) -> None:
    found = msgspec.json.decode(with_snapshots(pod(before), snapshots))
    assert found["metadata"].get("annotations") == after
    assert found["spec"] == {"x": [1.5, None]}


def test_a_pod_without_such_annotations_is_not_decoded() -> None:
    assert not has_snapshot_annotations(pod({"a": "b"}))
    assert has_snapshot_annotations(pod({"snapshot.ark.heptio.com/": "b"}))
    assert PODS.kind == "Pod"
