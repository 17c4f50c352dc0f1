from __future__ import annotations

from pkg.workqueue.ratelimit import ExponentialFailureLimiter


def test_each_failure_doubles_the_delay_from_5_ms() -> None:
    limiter = ExponentialFailureLimiter[str]()
    assert [limiter.when("a") for _ in range(4)] == [0.005, 0.01, 0.02, 0.04]


def test_the_delay_ends_at_1000_seconds_however_often_it_fails() -> None:
    limiter = ExponentialFailureLimiter[str]()
    delays = [limiter.when("a") for _ in range(5000)]
    assert delays[17] == 655.36
    assert set(delays[18:]) == {1000.0}


def test_keys_are_counted_apart_and_forgotten_apart() -> None:
    limiter = ExponentialFailureLimiter[str]()
    limiter.when("a")
    limiter.when("a")
    limiter.when("b")
    limiter.forget("a")
    assert (limiter.num_requeues("a"), limiter.num_requeues("b")) == (0, 1)
    assert limiter.when("a") == 0.005
    assert limiter.when("b") == 0.01
