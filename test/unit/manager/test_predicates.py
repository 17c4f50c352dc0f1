"""Which changes pass, predicate by predicate."""

from __future__ import annotations

import pytest

from pkg.apis.label_selector import parse_selector
from pkg.apis.meta import Object, ObjectMeta
from pkg.manager.predicates import (
    Change,
    Predicate,
    all_of,
    annotations_changed,
    any_of,
    generation_changed,
    labelled,
    labels_changed,
    none_of,
    version_changed,
)


def made(version: str = "1", generation: int = 1, **more: dict[str, str]) -> Object:
    return Object(metadata=ObjectMeta(name="a", resource_version=version, generation=generation, **more))  # type: ignore[arg-type] # labels and annotations only


OLD = made()
RESYNC = Change(OLD, OLD)
STATUS = Change(OLD, made("2"))
SPEC = Change(OLD, made("2", 2))
LABELS = Change(OLD, made("2", labels={"app": "web"}))
ANNOTATIONS = Change(OLD, made("2", annotations={"note": "x"}))


@pytest.mark.parametrize(
    ("predicate", "passes"),
    [
        pytest.param(version_changed, [STATUS, SPEC, LABELS, ANNOTATIONS], id="version"),
        pytest.param(generation_changed, [SPEC], id="generation"),
        pytest.param(labels_changed, [LABELS], id="labels"),
        pytest.param(annotations_changed, [ANNOTATIONS], id="annotations"),
    ],
)
def test_an_update_passes_when_what_is_asked_for_differs(
    predicate: Predicate[Object], passes: list[Change[Object]]
) -> None:
    changes = [RESYNC, STATUS, SPEC, LABELS, ANNOTATIONS]
    assert [change for change in changes if predicate(change)] == passes


@pytest.mark.parametrize("predicate", [version_changed, generation_changed, labels_changed, annotations_changed])
@pytest.mark.parametrize("change", [Change(None, OLD), Change(OLD, None)], ids=["add", "delete"])
def test_adds_and_deletes_always_pass(predicate: Predicate[Object], change: Change[Object]) -> None:
    assert predicate(change)


@pytest.mark.parametrize(
    ("change", "passes"),
    [
        pytest.param(LABELS, True, id="matches now"),
        pytest.param(Change(LABELS.new, OLD), True, id="matched before"),
        pytest.param(Change(LABELS.new, None), True, id="matched and is gone"),
        pytest.param(STATUS, False, id="never matched"),
    ],
)
def test_a_selector_passes_what_matches_or_matched(change: Change[Object], passes: bool) -> None:
    assert labelled(parse_selector("app=web"))(change) is passes


@pytest.mark.parametrize(
    ("predicate", "passes"),
    [
        pytest.param(all_of(version_changed, labels_changed), [LABELS], id="all"),
        pytest.param(any_of(generation_changed, labels_changed), [SPEC, LABELS], id="any"),
        pytest.param(none_of(generation_changed, labels_changed), [RESYNC, STATUS], id="none"),
    ],
)
def test_predicates_combine(predicate: Predicate[Object], passes: list[Change[Object]]) -> None:
    assert [change for change in (RESYNC, STATUS, SPEC, LABELS) if predicate(change)] == passes
