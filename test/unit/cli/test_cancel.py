"""`ark backup cancel` and `ark restore cancel`."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pkg.kube import refs
from pkg.kube.resources import ResourceRef
from pkg.testing.fakeapi import FakeApi

Ark = Callable[..., tuple[int, str, str]]
KINDS = [("backup", refs.BACKUPS), ("restore", refs.RESTORES)]


@pytest.mark.parametrize(("kind", "ref"), KINDS)
@pytest.mark.parametrize("phase", ["", "New", "InProgress"])
def test_what_has_not_ended_is_asked_to_end(ark: Ark, api: FakeApi, kind: str, ref: ResourceRef, phase: str) -> None:
    api.add(ref, {"metadata": {"name": "b1", "namespace": "heptio-ark"}, "status": {"phase": phase}})
    code, out, _ = ark(kind, "cancel", "b1")
    assert code == 0
    assert "will be canceled" in out
    found = api.get(ref, "heptio-ark", "b1")
    assert found is not None
    assert found["spec"] == {"cancel": True}


@pytest.mark.parametrize(("kind", "ref"), KINDS)
def test_what_has_ended_stays_as_it_is(ark: Ark, api: FakeApi, kind: str, ref: ResourceRef) -> None:
    api.add(ref, {"metadata": {"name": "b1", "namespace": "heptio-ark"}, "status": {"phase": "Completed"}})
    code, _, err = ark(kind, "cancel", "b1")
    assert code == 1
    assert "has ended already: it is Completed" in err
    assert api.count("PATCH") == 0


@pytest.mark.parametrize(("kind", "ref"), KINDS)
def test_what_is_not_there_is_one_sentence(ark: Ark, kind: str, ref: ResourceRef) -> None:
    code, _, err = ark(kind, "cancel", "nothing")
    assert code == 1
    assert f'there is no {kind} "nothing"' in err
