"""Which snapshots a queue means."""

from __future__ import annotations

import pytest

from pkg.restic import command
from pkg.restic.forget_plan import plan_forget
from pkg.restic.messages import Snapshot

A, B = "aaaaaaaa" + "1" * 56, "aaaaaaaa" + "2" * 56
C = "cccccccc" + "3" * 56


def snapshot(identity: str, namespace: str = "shop") -> Snapshot:
    return Snapshot(id=identity, tags=(f"ns={namespace}", "volume=v"))


HERE = [snapshot(A), snapshot(B), snapshot(C)]


@pytest.mark.parametrize(
    ("entry", "forgets", "gone", "refusal"),
    [
        pytest.param(A, A, False, "", id="a full id means its snapshot"),
        pytest.param("0" * 64, "", True, "", id="a full id that is not there is gone"),
        pytest.param("cccccccc", C, False, "", id="0.9's short id where it is clear"),
        pytest.param("00000000", "", True, "", id="a short id that nothing begins with is gone"),
        pytest.param("aaaaaaaa", "", False, "could be any of 2", id="a short id that is not clear"),
        pytest.param("ccccccc", "", False, "no snapshot id", id="seven digits are no id"),
        pytest.param("latest", "", False, "no snapshot id", id="a word of restic's is no id"),
        pytest.param("--keep-last=1", "", False, "no snapshot id", id="an option is no id"),
    ],
)
def test_an_entry_means_one_snapshot_or_none(entry: str, forgets: str, gone: bool, refusal: str) -> None:
    plan = plan_forget([entry], HERE, "shop")
    assert plan.forget == ({entry: forgets} if forgets else {})
    assert plan.gone == ((entry,) if gone else ())
    assert refusal in plan.refused.get(entry, "")


def test_a_short_id_of_another_namespace_is_left_alone() -> None:
    plan = plan_forget(["cccccccc"], [snapshot(C, "other")], "shop")
    assert plan.forget == {}
    assert "namespace other" in plan.refused["cccccccc"]


def test_only_what_is_not_there_any_more_is_settled() -> None:
    plan = plan_forget([A, C, "0" * 64, "latest"], HERE, "shop")
    assert plan.settled([C]) == {A, "0" * 64}


@pytest.mark.parametrize("ids", [[], ["aaaaaaaa"], ["latest"], [A, "--prune"], [A.upper()]])
def test_restic_is_never_given_what_is_no_full_id(ids: list[str]) -> None:
    with pytest.raises(ValueError, match="only full snapshot ids"):
        command.forget(ids)


def test_a_prune_is_bounded() -> None:
    made = command.prune(max_unused="10%", max_repack_size="20G", repack_cacheable_only=True, lock_wait_seconds=600)
    assert made.arguments == (
        *("prune", "--json", "--retry-lock", "600s", "--max-unused", "10%", "--max-repack-size", "20G"),
        "--repack-cacheable-only",
    )
