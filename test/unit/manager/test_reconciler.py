from __future__ import annotations

from pkg.manager.reconciler import Result, again_in, done


def test_done_asks_for_nothing_and_again_in_for_a_time() -> None:
    assert done() == Result(again_seconds=None)
    assert again_in(2.5).again_seconds == 2.5
