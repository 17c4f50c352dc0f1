"""A cancellation is never lost and never runs twice."""

from __future__ import annotations

import threading

from pkg.kube.clock import RealClock
from pkg.kube.stop import StopToken


def test_the_first_reason_stays() -> None:
    token = StopToken()
    token.cancel("one")
    token.cancel("two")
    assert (token.cancelled, token.reason) == (True, "one")


def test_a_callback_runs_once_and_a_late_one_at_once() -> None:
    token, calls = StopToken(), list[str]()
    token.on_cancel(lambda: calls.append("early"))
    token.cancel()
    token.cancel()
    token.on_cancel(lambda: calls.append("late"))
    assert calls == ["early", "late"]


def test_a_callback_that_was_unregistered_does_not_run() -> None:
    token, calls = StopToken(), list[str]()
    unregister = token.on_cancel(lambda: calls.append("never"))
    unregister()
    unregister()
    token.cancel()
    assert calls == []


def test_a_child_ends_with_its_parent_and_not_the_other_way_round() -> None:
    parent = StopToken()
    one, other = parent.child(), parent.child()
    one.cancel("done")
    assert (parent.cancelled, other.cancelled) == (False, False)
    parent.cancel("shutdown")
    assert (one.reason, other.reason) == ("done", "shutdown")


def test_a_child_of_a_cancelled_parent_is_cancelled() -> None:
    parent = StopToken()
    parent.cancel("over")
    assert parent.child().reason == "over"


def test_a_detached_child_is_forgotten() -> None:
    parent = StopToken()
    child = parent.child()
    child.detach()
    parent.cancel()
    assert not child.cancelled


def test_a_wait_on_the_clock_ends_with_the_token() -> None:
    token = StopToken()
    waiting = threading.Thread(target=RealClock().wait, args=(token, 60))
    waiting.start()
    token.cancel()
    waiting.join(10)
    assert not waiting.is_alive()
