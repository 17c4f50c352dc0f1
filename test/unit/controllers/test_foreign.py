"""Whose a place in the bucket is."""

from __future__ import annotations

import pytest

from pkg.controllers.foreign import Adoption, Evidence, Standing, Tenure, explain, judge

US, THEM = "cluster-1", "cluster-2"


def evidence(stamp: str, *, foreign: str = "", held: bool = False, adopt: str = "", done: str = "") -> Evidence:
    return Evidence(
        cluster_id=US,
        stamp=stamp,
        foreign_owner=foreign,
        held_before=held,
        adoption=Adoption(text=adopt),
        carried_out=done,
    )


@pytest.mark.parametrize(
    ("seen", "tenure", "owner"),
    [
        pytest.param(evidence(""), Tenure.FREE, "", id="an empty place is free"),
        pytest.param(evidence(US), Tenure.OURS, US, id="our stamp makes it ours"),
        pytest.param(evidence(US, held=True), Tenure.OURS, US, id="our stamp makes it ours again and again"),
        pytest.param(evidence(THEM), Tenure.FOREIGN, THEM, id="a new installation restores from another's place"),
        pytest.param(evidence("", foreign="ark-0.9"), Tenure.FOREIGN, "ark-0.9", id="backups of 0.9 are foreign data"),
        pytest.param(
            evidence("", foreign=THEM), Tenure.FOREIGN, THEM, id="a lost stamp leaves foreign backups foreign"
        ),
        pytest.param(evidence(THEM, held=True), Tenure.CONTESTED, THEM, id="two writers contest a place"),
        pytest.param(evidence("", held=True), Tenure.FREE, "", id="a place that we held and that was emptied is free"),
        pytest.param(
            evidence("", foreign=THEM, held=True), Tenure.FREE, "", id="our own stamp that got lost is renewed"
        ),
        pytest.param(evidence(THEM, adopt=THEM), Tenure.ADOPTABLE, THEM, id="an adoption was asked for"),
        pytest.param(evidence(THEM, adopt=f"x, {THEM};now"), Tenure.ADOPTABLE, THEM, id="an adoption of several"),
        pytest.param(
            evidence("", foreign="ark-0.9", adopt="ark-0.9"), Tenure.ADOPTABLE, "ark-0.9", id="0.9 is adopted"
        ),
        pytest.param(evidence(THEM, adopt="cluster-3"), Tenure.FOREIGN, THEM, id="an adoption of somebody else"),
        pytest.param(
            evidence(THEM, adopt=f"{THEM};1", done=f"{THEM};1"), Tenure.FOREIGN, THEM, id="a decision counts once"
        ),
        pytest.param(
            evidence(THEM, adopt=f"{THEM};1", done=f"{THEM};1", held=True),
            Tenure.CONTESTED,
            THEM,
            id="a place that was taken back is not taken again by the old decision",
        ),
        pytest.param(
            evidence(THEM, adopt=f"{THEM};2", done=f"{THEM};1", held=True),
            Tenure.ADOPTABLE,
            THEM,
            id="a contested place is taken back by a new decision",
        ),
    ],
)
def test_whose_a_place_is(seen: Evidence, tenure: Tenure, owner: str) -> None:
    assert judge(seen) == Standing(tenure=tenure, owner=owner)


@pytest.mark.parametrize("tenure", list(Tenure))
def test_only_an_own_and_a_free_place_is_written(tenure: Tenure) -> None:
    writable = Standing(tenure=tenure, owner=THEM).writable
    assert writable == (tenure in (Tenure.OURS, Tenure.FREE))
    assert bool(explain(Standing(tenure=tenure, owner=THEM), place="bucket b", cluster_id=US)) != writable


def test_the_sentence_names_both_clusters() -> None:
    for tenure in (Tenure.FOREIGN, Tenure.CONTESTED):
        text = explain(Standing(tenure=tenure, owner=THEM), place="bucket b", cluster_id=US)
        assert US in text
        assert THEM in text
        assert "ark adopt" in text
