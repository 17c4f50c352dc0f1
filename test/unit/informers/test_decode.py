"""One object that does not decode is about that object only."""

from __future__ import annotations

import msgspec
import pytest

from pkg.apis.core import Pod
from pkg.apis.meta import Json, Object
from pkg.informers.decode import Bookmark, Decoder, ErrorEvent, EventType, ObjectEvent, Undecodable
from pkg.kube.errors import DecodeError, ExpiredError, ThrottledError
from pkg.testing.scriptedapi import an_object, event


def raw(obj: Json) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(obj))


def test_an_object_is_decoded_into_its_struct_and_unknown_fields_are_skipped() -> None:
    pod = Decoder(Pod).item(raw(an_object("a", spec={"nodeName": "n1", "unheardOf": {"x": [1]}})))
    assert isinstance(pod, Pod)
    assert pod.spec.node_name == "n1"


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param({"nodeName": 5}, id="a number where a text is expected"),
        pytest.param("gone", id="a text where a map is expected"),
        pytest.param({"volumes": [{"name": None}]}, id="a null where a text is expected"),
    ],
)
def test_a_shape_that_is_not_expected_is_undecodable_with_its_key_and_version(spec: Json) -> None:
    item = Decoder(Pod).item(raw(an_object("a", "7", spec=spec)))
    assert isinstance(item, Undecodable)
    assert (item.key, item.resource_version) == ("ns/a", "7")
    assert "$.spec" in item.error


def test_the_key_of_an_undecodable_cluster_scoped_object_is_its_name() -> None:
    item = Decoder(Pod).item(raw(an_object("a", namespace="", spec=1)))
    assert isinstance(item, Undecodable)
    assert item.key == "a"


@pytest.mark.parametrize("body", [b'{"spec":{}}', b'{"metadata":{}}', b"[]", b'{"metadata":3}', b"\xff"])
def test_what_has_no_name_is_an_error(body: bytes) -> None:
    with pytest.raises(DecodeError):
        Decoder(Pod).item(body)


def test_a_transform_makes_the_object_that_is_stored() -> None:
    decoder = Decoder(Object, lambda obj: msgspec.structs.replace(obj, kind="Small"))
    item = decoder.item(raw(an_object("a")))
    assert isinstance(item, Object)
    assert item.kind == "Small"


def test_a_transform_that_raises_is_about_that_object_only() -> None:
    def transform(obj: Object) -> Object:
        raise RuntimeError(obj.metadata.name)

    item = Decoder(Object, transform).item(raw(an_object("a")))
    assert isinstance(item, Undecodable)
    assert item.error == "a"


@pytest.mark.parametrize("word", ["ADDED", "MODIFIED", "DELETED"])
def test_an_event_carries_its_object_and_version(word: str) -> None:
    decoded = Decoder(Object).event(event(word, an_object("a", "9")))
    assert isinstance(decoded, ObjectEvent)
    assert (decoded.type, decoded.resource_version) == (EventType(word), "9")


def test_a_bookmark_is_decoded_whatever_kind_it_has() -> None:
    line = event(
        "BOOKMARK", {"kind": "Pod", "metadata": {"resourceVersion": "12", "creationTimestamp": None}, "spec": 5}
    )
    assert Decoder(Pod).event(line) == Bookmark(resource_version="12")


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({"code": 410, "reason": "Expired", "message": "too old resource version"}, ExpiredError),
        ({"code": 410, "reason": "Gone"}, ExpiredError),
        ({"code": 429, "reason": "TooManyRequests"}, ThrottledError),
    ],
)
def test_an_error_event_is_the_error_of_its_status(status: Json, expected: type[Exception]) -> None:
    decoded = Decoder(Object).event(event("ERROR", status))
    assert isinstance(decoded, ErrorEvent)
    assert type(decoded.error) is expected


@pytest.mark.parametrize("line", [b"", b"{}", b"null", b'{"type":"ADDED"}', b'{"type":1,"object":{}}', b"<html>"])
def test_a_line_that_is_no_event_is_an_error(line: bytes) -> None:
    with pytest.raises(DecodeError):
        Decoder(Object).event(line)
