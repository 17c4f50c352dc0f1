"""Delays that grow, spread out and forget."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkg.kube.backoff import Backoff, delay_after, retry_on_conflict, retry_transient
from pkg.kube.errors import ConflictError, ForbiddenError, KubeError, ServerError, ThrottledError, TransportError
from pkg.kube.stop import StopToken
from pkg.testing.fakeclock import FakeClock


def test_delays_double_up_to_the_cap() -> None:
    backoff = Backoff(clock=FakeClock(), random=lambda: 0.0)
    assert [backoff.next() for _ in range(8)] == [0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0, 30.0]


@given(st.lists(st.floats(0.0, 0.99), min_size=1, max_size=20))
def test_a_delay_is_stretched_by_less_than_twice(draws: list[float]) -> None:
    drawn = iter(draws)
    backoff = Backoff(clock=FakeClock(), random=lambda: next(drawn))
    plain = Backoff(clock=FakeClock(), random=lambda: 0.0)
    for _ in draws:
        least = plain.next()
        assert least <= backoff.next() < 2 * least


@pytest.mark.parametrize(("quiet_seconds", "expected"), [(119.0, 3.2), (120.5, 0.8)])
def test_it_starts_over_when_no_delay_was_needed_for_two_minutes(quiet_seconds: float, expected: float) -> None:
    clock = FakeClock()
    backoff = Backoff(clock=clock, random=lambda: 0.0)
    backoff.next()
    backoff.next()
    clock.advance(quiet_seconds)
    assert backoff.next() == expected


def failing(*errors: KubeError) -> Callable[[], str]:
    left = list(errors)

    def attempt() -> str:
        if left:
            raise left.pop(0)
        return "done"

    return attempt


def test_a_conflict_is_tried_again() -> None:
    conflicts = [ConflictError("stale", code=409)] * 4
    clock = FakeClock(automatic=True)
    assert retry_on_conflict(failing(*conflicts), stop=StopToken(), clock=clock) == "done"
    assert sum(clock.waits) < 1.0


def test_the_last_conflict_is_raised() -> None:
    with pytest.raises(ConflictError):
        retry_on_conflict(
            failing(*[ConflictError("stale", code=409)] * 5), stop=StopToken(), clock=FakeClock(automatic=True)
        )


def test_another_error_is_not_a_conflict() -> None:
    with pytest.raises(ForbiddenError):
        retry_on_conflict(failing(ForbiddenError("no", code=403)), stop=StopToken(), clock=FakeClock(automatic=True))


@pytest.mark.parametrize(
    "error", [TransportError("reset"), ThrottledError("later", code=429), ServerError("ill", code=503)]
)
def test_what_passes_by_itself_is_tried_again(error: KubeError) -> None:
    clock = FakeClock(automatic=True)
    assert retry_transient(failing(error, error), stop=StopToken(), clock=clock) == "done"
    assert len(clock.waits) == 2


def test_what_does_not_pass_by_itself_is_raised_at_once() -> None:
    clock = FakeClock(automatic=True)
    with pytest.raises(ForbiddenError):
        retry_transient(failing(ForbiddenError("no", code=403)), stop=StopToken(), clock=clock)
    assert clock.waits == []


def test_a_cancelled_token_ends_the_attempts() -> None:
    stop = StopToken()
    stop.cancel()
    with pytest.raises(TransportError):
        retry_transient(failing(TransportError("reset")), stop=stop, clock=FakeClock(automatic=True))


def test_the_servers_wish_counts_where_it_is_longer() -> None:
    backoff = Backoff(clock=FakeClock(), random=lambda: 0.0)
    assert delay_after(ThrottledError("later", code=429, retry_after_seconds=9.0), backoff) == 9.0
    assert delay_after(ThrottledError("later", code=429, retry_after_seconds=1.0), backoff) == 1.6
    assert delay_after(TransportError("reset"), backoff) == 3.2
