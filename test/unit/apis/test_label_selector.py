"""Label selectors say the same as text, as a test and as typed by a person."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkg.apis.label_selector import matches, parse_selector, selector_problems, selector_string
from pkg.apis.meta import LabelSelector, LabelSelectorRequirement


@pytest.mark.parametrize(
    ("text", "labels", "expected"),
    [
        pytest.param("", {}, True, id="the empty selector matches everything"),
        pytest.param("a=b", {"a": "b"}, True, id="equal"),
        pytest.param("a==b", {"a": "c"}, False, id="not equal"),
        pytest.param("a=", {"a": ""}, True, id="an empty value"),
        pytest.param("a!=b", {}, True, id="unequal matches what lacks the label"),
        pytest.param("a!=b", {"a": "b"}, False, id="unequal refuses the value"),
        pytest.param("a in (b, c)", {"a": "c"}, True, id="one of a set"),
        pytest.param("a in (b,c)", {}, False, id="a set needs the label"),
        pytest.param("a notin (b,c)", {"a": "c"}, False, id="none of a set"),
        pytest.param("a", {"a": ""}, True, id="exists"),
        pytest.param("!a", {"a": "b"}, False, id="does not exist"),
        pytest.param("a in (x,y),b=1,!c", {"a": "x", "b": "1"}, True, id="all parts must hold"),
        pytest.param("a=b,a=c", {"a": "b"}, False, id="two values for one label match nothing"),
        pytest.param("example.com/a=b", {"example.com/a": "b"}, True, id="a prefixed name"),
    ],
)
def test_matches(text: str, labels: dict[str, str], expected: bool) -> None:
    assert matches(parse_selector(text), labels) is expected


@pytest.mark.parametrize(
    "text",
    ["a in b", "a,,b", "a>1", "-a=b", "a=b c", "a in ()", "a b", "x/y/z=1", "=b", "A_/b=1", "a in (b", "!"],
)
def test_what_is_no_selector_is_refused_and_quoted(text: str) -> None:
    with pytest.raises(ValueError, match="invalid label selector"):
        parse_selector(text)


@pytest.mark.parametrize(
    ("requirement", "expected"),
    [
        (LabelSelectorRequirement(key="a", operator="In", values=("y", "x")), "a in (x,y)"),
        (LabelSelectorRequirement(key="a", operator="NotIn", values=("x",)), "a notin (x)"),
        (LabelSelectorRequirement(key="a", operator="Exists"), "a"),
        (LabelSelectorRequirement(key="a", operator="DoesNotExist"), "!a"),
    ],
)
def test_the_query_text(requirement: LabelSelectorRequirement, expected: str) -> None:
    selector = LabelSelector(match_labels={"z": "1", "b": "2"}, match_expressions=(requirement,))
    assert selector_string(selector) == f"b=2,z=1,{expected}"


@pytest.mark.parametrize(
    "requirement",
    [
        LabelSelectorRequirement(key="a", operator="In"),
        LabelSelectorRequirement(key="a", operator="Exists", values=("b",)),
        LabelSelectorRequirement(key="a", operator="Near", values=("b",)),
    ],
)
def test_an_invalid_requirement_never_becomes_a_query(requirement: LabelSelectorRequirement) -> None:
    selector = LabelSelector(match_expressions=(requirement,))
    assert len(selector_problems(selector)) == 1
    assert not matches(selector, {})
    with pytest.raises(ValueError, match="operator"):
        selector_string(selector)


def test_no_selector_selects_everything() -> None:
    assert selector_string(None) == ""
    assert matches(None, None)


words = st.from_regex(r"[a-z]([a-z.-]{0,5}[a-z])?", fullmatch=True)
requirements = st.one_of(
    st.builds(
        LabelSelectorRequirement,
        key=words,
        operator=st.sampled_from(["In", "NotIn"]),
        values=st.lists(words, min_size=1, max_size=3).map(tuple),
    ),
    st.builds(LabelSelectorRequirement, key=words, operator=st.sampled_from(["Exists", "DoesNotExist"])),
)
label_maps = st.dictionaries(words, words, max_size=3)
selectors = st.builds(
    LabelSelector,
    match_labels=st.one_of(st.none(), label_maps),
    match_expressions=st.one_of(st.none(), st.lists(requirements, max_size=3).map(tuple)),
)


@given(selectors, label_maps)
def test_text_and_back_selects_the_same(selector: LabelSelector, labels: dict[str, str]) -> None:
    assert matches(parse_selector(selector_string(selector)), labels) is matches(selector, labels)
