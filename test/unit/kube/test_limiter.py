"""Free while the server answers, slow for all together while it does not."""

from __future__ import annotations

import threading

from pkg.kube.limiter import Limiter
from pkg.kube.stop import StopToken
from pkg.testing.fakeclock import FakeClock


def ill(clock: FakeClock) -> Limiter:
    limiter = Limiter(clock=clock, failures_until_ill=3, seconds_between=0.5)
    for _ in range(3):
        limiter.report(healthy=False)
    return limiter


def test_a_healthy_server_is_not_waited_for() -> None:
    clock = FakeClock()
    limiter = Limiter(clock=clock)
    limiter.report(healthy=True)
    assert all(limiter.admit(30) for _ in range(1000))
    assert clock.waits == []


def test_few_failures_with_answers_in_between_are_not_an_illness() -> None:
    limiter = Limiter(clock=FakeClock(), failures_until_ill=3)
    for _ in range(10):
        limiter.report(healthy=False)
        limiter.report(healthy=False)
        limiter.report(healthy=True)
    assert not limiter.ill


def test_while_it_is_ill_requests_are_spread() -> None:
    clock = FakeClock(automatic=True)
    limiter = ill(clock)
    for _ in range(21):
        assert limiter.admit(30)
    assert clock.monotonic() == 10.0


def test_a_turn_that_would_come_too_late_is_refused_at_once() -> None:
    limiter = ill(FakeClock())
    assert limiter.admit(0.1)
    assert not limiter.admit(0.1)


def test_the_first_answer_lets_all_go_at_once() -> None:
    clock = FakeClock()
    limiter = ill(clock)
    assert limiter.admit(30)
    admitted: list[bool] = []
    waiting = [threading.Thread(target=lambda: admitted.append(limiter.admit(30))) for _ in range(5)]
    for thread in waiting:
        thread.start()
    clock.wait_for_waiters(5)
    limiter.report(healthy=True)
    for thread in waiting:
        thread.join(10)
    assert admitted == [True] * 5
    assert clock.monotonic() == 0.0


def admitted_at(clock: FakeClock, limiter: Limiter, count: int) -> list[float]:
    times = []
    for _ in range(count):
        assert limiter.admit(30)
        times.append(clock.monotonic())
    return times


def test_a_process_that_has_no_answer_yet_sends_four_requests_a_second() -> None:
    clock = FakeClock(automatic=True)
    assert admitted_at(clock, Limiter(clock=clock), 12) == [0.0] * 4 + [1.0] * 4 + [2.0] * 4


def test_after_a_stream_has_ended_four_probe_and_the_others_wait_for_an_answer() -> None:
    clock = FakeClock(automatic=True)
    limiter = Limiter(clock=clock)
    limiter.report(healthy=True)
    limiter.doubt()
    limiter.doubt()
    assert admitted_at(clock, limiter, 5) == [0.0] * 4 + [1.0]
    limiter.report(healthy=True)
    assert admitted_at(clock, limiter, 100) == [1.0] * 100


def test_refusals_end_an_illness_and_prove_nothing() -> None:
    clock = FakeClock(automatic=True)
    limiter = ill(clock)
    limiter.report_refusal()
    assert not limiter.ill
    assert admitted_at(clock, limiter, 8) == [0.0] * 4 + [1.0] * 4


def test_the_illness_counts_toward_the_four_a_second() -> None:
    clock = FakeClock(automatic=True)
    limiter = Limiter(clock=clock)
    times = admitted_at(clock, limiter, 4)
    for _ in range(3):
        limiter.report(healthy=False)
    times += admitted_at(clock, limiter, 20)
    assert all(sum(start <= at < start + 1 for at in times) <= 4 for start in times)


def test_a_token_ends_the_wait_for_a_turn() -> None:
    clock, stop = FakeClock(), StopToken()
    limiter = ill(clock)
    assert limiter.admit(30)
    waiting = threading.Thread(target=lambda: limiter.admit(30, stop))
    waiting.start()
    clock.wait_for_waiters()
    stop.cancel()
    waiting.join(10)
    assert not waiting.is_alive()
