"""What differs, by name and never by value, and the patch that undoes it."""

from __future__ import annotations

import pytest

from pkg.apis.meta import JsonObject
from pkg.restore.comparison import differences_text, update_patch, without_volatile


@pytest.mark.parametrize(
    ("live", "wanted", "patch"),
    [
        pytest.param({"data": {"a": "1"}}, {"data": {"a": "1"}}, {}, id="nothing differs"),
        pytest.param({"data": {"a": "1"}}, {"data": {"a": "2"}}, {"data": {"a": "2"}}, id="a changed value"),
        pytest.param(
            {"data": {"a": "1", "b": "1"}}, {"data": {"a": "1"}}, {"data": {"b": None}}, id="a field too many"
        ),
        pytest.param({"spec": {"x": [1, 2]}}, {"spec": {"x": [2]}}, {"spec": {"x": [2]}}, id="a list is one field"),
        pytest.param({"data": {}}, {}, {"data": None}, id="a whole part too many"),
        pytest.param(
            {"metadata": {"name": "x", "labels": {"theirs": "1", "ours": "old"}}},
            {"metadata": {"name": "x", "labels": {"ours": "new"}}},
            {"metadata": {"labels": {"ours": "new"}}},
            id="labels of others stay",
        ),
        pytest.param(
            {"metadata": {"name": "x", "annotations": {"theirs": "1"}}},
            {"metadata": {"name": "x"}},
            {},
            id="annotations of others are no reason to write",
        ),
    ],
)
def test_the_patch_makes_one_like_the_other(live: JsonObject, wanted: JsonObject, patch: JsonObject) -> None:
    assert update_patch(live, wanted) == patch


def test_fields_are_named_and_values_are_not() -> None:
    text = differences_text({"data": {"password": "secret-1", "same": "x"}}, {"data": {"password": "secret-2"}})
    assert text == "data.password, data.same"


def test_many_differences_are_counted() -> None:
    live: JsonObject = {"data": {str(number): "a" for number in range(9)}}
    assert differences_text(live, {"data": {}}) == "data.0, data.1, data.2, data.3, data.4 and 4 more"


def test_what_controllers_count_is_no_difference() -> None:
    obj: JsonObject = {"metadata": {"name": "x", "annotations": {"deployment.kubernetes.io/revision": "3"}}}
    assert without_volatile(obj) == {"metadata": {"name": "x"}}
    other: JsonObject = {"metadata": {"name": "x", "annotations": {"own": "3"}}}
    assert without_volatile(other) == other
